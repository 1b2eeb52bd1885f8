"""Which peers are believed: a list of networks, and those on a Unix socket."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

UNIX: Final = "unix"
"""The word for whoever connects to the Unix socket."""

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Networks:
    """Addresses of proxies; ``str`` gives the list as it is written in a setting."""

    networks: tuple[_Network, ...]
    unix: bool = False

    def __str__(self) -> str:
        return ",".join([*map(str, self.networks), *([UNIX] if self.unix else [])])

    def covers(self, host: str) -> bool:
        """Return whether *host*, an address without its port, is one of them; "" is a Unix peer."""
        return self.unix if not host else _is_in(host, self.networks)


@lru_cache(maxsize=1024)
def _is_in(host: str, networks: tuple[_Network, ...]) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in networks)


def parse_networks(text: str) -> Networks:
    """Parse a comma list of addresses, CIDRs and the word ``unix``."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    try:
        networks = tuple(ipaddress.ip_network(word) for word in words if word != UNIX)
    except ValueError:
        raise ValueError("must be addresses or networks such as 10.0.0.0/8, or unix") from None
    return Networks(networks, unix=UNIX in words)
