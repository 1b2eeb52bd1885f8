"""Who may see the status: whoever has a key of it, or a token that allows everything."""

from __future__ import annotations

import hmac
import ipaddress
import logging
import math
import re
import time
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from fileloft_fast.errors import ForbiddenError, TooManyTriesError, UnauthorizedError
from fileloft_fast.model import Operation
from fileloft_fast.observe.log import fields

if TYPE_CHECKING:
    from fileloft_fast.access import Access
    from fileloft_fast.model import RequestHead

log = logging.getLogger(__name__)

_MOST_TRIES: Final = 10
_TRY_AGAIN_S: Final = 6.0
_KEPT: Final = 10_000  # an address that was forgotten has all of its tries again
_match_bearer: Final = re.compile(r"(?i:bearer) +([!-~]{1,8192})").fullmatch
_WRONG: Final = "a valid key is needed"


class Gate:
    """Admits by one of *keys*, or by what *access* admits as an administrator."""

    def __init__(self, keys: Sequence[str], access: Access | None = None) -> None:
        self._digests = [_digest(key) for key in keys]
        self._access = access
        self._tries = Tries()

    async def admit(self, head: RequestHead) -> float:
        """Return until when the bearer may look, in seconds since the epoch.

        Raises UnauthorizedError, ForbiddenError, TooManyTriesError, KeysUnavailableError.
        """
        client = head.peer.address
        self._tries.check(client)
        match = _match_bearer(head.headers.get("authorization", ""))
        if match is None:
            raise UnauthorizedError(_WRONG)
        if self._is_key(match[1]):
            return math.inf
        try:
            return await self._admitted_by_token(head)
        except UnauthorizedError:
            self._tries.fail(client)
            log.warning("status refused: wrong key", extra=fields(client=client or "-"))
            raise

    async def _admitted_by_token(self, head: RequestHead) -> float:
        if self._access is None:
            raise UnauthorizedError(_WRONG)
        # No token out of a URL, which histories keep.
        permit = (await self._access.admit(replace(head, query=""))).permit
        assert permit is not None, "admitted without a token"
        sees_all = not (permit.upload or permit.prefix)
        if Operation.ADMIN not in permit.operations or not sees_all:
            raise ForbiddenError("the token does not allow this")
        return permit.expires_at

    def _is_key(self, given: str) -> bool:
        """Compare with every key, digest with digest: the time says nothing of where they part."""
        digest = _digest(given)
        return sum(hmac.compare_digest(digest, key) for key in self._digests) > 0


class Tries:
    """The wrong keys that each address may still send: a bucket each, that fills up slowly."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def check(self, client: str) -> None:
        """Raise TooManyTriesError where *client* (``ip:port``) has none left."""
        held = self._held(_network(client), time.monotonic())
        if held < 1:
            wait_s = math.ceil((1 - held) * _TRY_AGAIN_S)
            raise TooManyTriesError("too many wrong keys", retry_after_s=wait_s)

    def fail(self, client: str) -> None:
        """Count a wrong key of *client*."""
        now, network = time.monotonic(), _network(client)
        held = self._held(network, now)
        self._buckets[network] = held - 1, now
        self._buckets.move_to_end(network)
        if len(self._buckets) > _KEPT:
            self._buckets.popitem(last=False)

    def _held(self, network: str, now: float) -> float:
        held, at = self._buckets.get(network, (float(_MOST_TRIES), now))
        return min(float(_MOST_TRIES), held + (now - at) / _TRY_AGAIN_S)


def _digest(key: str) -> bytes:
    return sha256(key.encode("latin-1")).digest()


def _network(client: str) -> str:
    """Return what stands for whoever has the address *client*: of IPv6, its network."""
    host = client.rpartition(":")[0].strip("[]")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:  # as a proxy told it, or nobody knows: a Unix socket
        return host
    if address.version == 4:
        return host
    return str(ipaddress.ip_network((address, 64), strict=False))
