"""Who sent a request, where proxies stand in between: what they say, as far as it is believed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

if TYPE_CHECKING:
    from fileloft_fast.model import RequestHead
    from fileloft_fast.tus.rules import TusRules

_find_for: Final = re.compile(r'(?:^|;)[ \t]*for=(?:"([^"\\]*)"|([^;,"]*))', re.IGNORECASE).findall
_match_v4: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3}){3})(?::[0-9]{1,5})?").fullmatch
_match_v6: Final = re.compile(
    r"\[([0-9A-Fa-f:.]{2,45})\](?::[0-9]{1,5})?|([0-9A-Fa-f:.]{2,45})"
).fullmatch


def client_address(head: RequestHead, rules: TusRules) -> str:
    """Return the address of the client that sent *head*: ``ip:port``, port 0 where none is told.

    Without trusted proxies it is the connection's own, or what a PROXY header told. A proxy that is
    trusted is believed the last address of ``Forwarded`` or ``X-Forwarded-For``, the one that it
    added; where that is a trusted proxy as well, the one before, and so on. With
    FILELOFT_BEHIND_PROXY and no list of proxies, one hop is believed. A field that holds no address
    ends the walk: what is further left, anybody may have written. "" where nobody knows.
    """
    peer = head.peer
    is_proxy = rules.is_proxy
    if not (rules.behind_proxy and peer.trusted):
        return peer.address
    if peer.told and (is_proxy is None or not is_proxy(host_of(peer.address))):
        return peer.address
    found = peer.address
    for hop in reversed(_hops(head)):
        host = host_of(hop)
        if not host:
            break
        found = _with_port(hop, host)
        if is_proxy is None or not is_proxy(host):
            break
    return found


def with_client(head: RequestHead, rules: TusRules) -> RequestHead:
    """Return *head* with the client's address as its peer's, for hooks and logs."""
    address = client_address(head, rules)
    if address == head.peer.address:
        return head
    return replace(head, peer=replace(head.peer, address=address))


def host_of(address: str) -> str:
    """Return an address without its port and brackets, "" where it is none."""
    if match := _match_v4(address):
        return match[1]
    if match := _match_v6(address):
        return match[1] or match[2]
    return ""


def _with_port(hop: str, host: str) -> str:
    shown = f"[{host}]" if ":" in host else host
    return hop if hop.startswith(f"{shown}:") else f"{shown}:0"


def _hops(head: RequestHead) -> list[str]:
    """Return the addresses that proxies wrote down, the nearest proxy's last.

    ``Forwarded`` goes before ``X-Forwarded-For``; they are not mixed, as nobody knows their order.
    """
    forwarded = head.headers.get("forwarded")
    if forwarded is not None:
        found = [_find_for(element) for element in forwarded.split(",")]
        return [(each[0][0] or each[0][1]).strip(" \t") if each else "" for each in found]
    listed = head.headers.get("x-forwarded-for")
    return [] if listed is None else [each.strip(" \t") for each in listed.split(",")]
