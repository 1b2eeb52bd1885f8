"""Public keys of an issuer: a JWKS in a file or at a URL, kept where it cannot be had again."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
import urllib.request
from concurrent.futures import Future
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.error import HTTPError

import jwt
from msgspec import Struct

from fileloft_fast.errors import ConfigError, KeysUnavailableError
from fileloft_fast.observe.log import fields

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

log = logging.getLogger(__name__)

UNKNOWN_KEY_S: Final = 30.0
"""Seconds between two looks for a key that is not known: no token must make us ask again."""

_MAX_BYTES: Final = 256 * 1024
_MAX_KEYS: Final = 100
_FETCH_S: Final = 5.0
_LOOK_S: Final = 10.0  # name, connection and head of the answer, which no other limit bounds
_LEAST_RSA_BITS: Final = 2048
_NO_KEY: Final = (ValueError, TypeError, LookupError, jwt.PyJWTError)
_FAILED: Final = (*_NO_KEY, OSError, HTTPException, RecursionError)

_ALGORITHMS: Final = {
    ("RSA", ""): ("RS256", "PS256"),
    ("EC", "P-256"): ("ES256",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
"""What a key may have signed with: by its kind, never by the token. No secret is in this table."""


class Key(Struct, frozen=True):
    """A key, and the algorithms that count with it; ``name`` is its ``kid``."""

    key: Any
    algorithms: tuple[str, ...]
    name: str = ""


def parse_keys(contents: bytes) -> tuple[Key, ...]:
    """Return the keys of a JWKS that verify signatures here; others are passed over.

    Raises ValueError, TypeError or PyJWTError where it is no JWKS.
    """
    told = json.loads(contents)
    listed = told.get("keys") if isinstance(told, dict) else None
    if not isinstance(listed, list):
        raise TypeError("keys is not a list")
    keys = [key for each in listed[:_MAX_KEYS] if (key := _maybe_key(each)) is not None]
    if not keys:
        raise ValueError("no key verifies RS256, PS256, ES256 or EdDSA")
    return tuple(keys)


def _maybe_key(entry: object) -> Key | None:
    """Return the key in *entry*; one that is none must not take the others away."""
    if not isinstance(entry, dict):
        return None
    if "d" in entry:  # nor may anybody who can read this file be able to sign
        log.warning("key passed over: it is a private one", extra=fields(kid=entry.get("kid")))
        return None
    try:
        return _parse_key(entry)
    except _NO_KEY as error:
        log.warning("key passed over", extra=fields(kid=entry.get("kid"), error=error))
        return None


def _parse_key(entry: dict[str, Any]) -> Key | None:
    kind, curve = str(entry.get("kty")), str(entry.get("crv", ""))
    algorithms = _ALGORITHMS.get((kind, curve if kind != "RSA" else ""), ())
    named = entry.get("alg")
    if named is not None:
        algorithms = tuple(name for name in algorithms if name == named)
    if not algorithms or entry.get("use", "sig") != "sig":
        return None
    key = jwt.PyJWK(entry, algorithm=algorithms[0]).key
    if kind == "RSA" and key.key_size < _LEAST_RSA_BITS:
        log.warning("key passed over: RSA below 2048 bits", extra=fields(kid=entry.get("kid")))
        return None
    return Key(key, algorithms, str(entry.get("kid", "")))


class KeySet:
    """The keys that *source*, a path or a URL, has; looked at again after *refresh_s*.

    What fails is logged, and the keys that were there go on to count.
    """

    def __init__(self, source: str, refresh_s: float) -> None:
        self._source = source
        self._read: Callable[[str], bytes] = _fetch if "://" in source else _read
        self._refresh_s = refresh_s
        self._unknown_s = min(UNKNOWN_KEY_S, refresh_s)
        self._keys: tuple[Key, ...] = ()
        self._contents = b""
        self._looked_at = float("-inf")
        self._looking: asyncio.Task[None] | None = None
        self._reading: Future[bytes] | None = None
        self.version = 0

    async def start(self) -> None:
        """Look for the keys. Raises ConfigError where a file has none; a URL may come later."""
        await self._look()
        if not self._keys and self._read is _read:
            raise ConfigError(f"FILELOFT_JWT_JWKS: {self._source} has no keys to verify with")

    async def close(self) -> None:
        """End a look that is under way."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    def renew(self) -> None:
        """Begin to look again where the keys are old; who asks does not wait for it."""
        if time.monotonic() - self._looked_at > self._refresh_s:
            self._look_once()

    async def candidates(self, header: dict[str, Any]) -> Sequence[Key]:
        """Return the key that *header* names; without a name, the only one there is."""
        found = self._find(header)
        if not found and time.monotonic() - self._looked_at > self._unknown_s:
            self._look_once()
        if not found and self._looking is not None:
            await asyncio.shield(self._looking)
            found = self._find(header)
        if not self._keys:
            raise KeysUnavailableError("no keys to verify with")
        return found

    def _find(self, header: dict[str, Any]) -> Sequence[Key]:
        name = header.get("kid")
        if name is None:
            return self._keys if len(self._keys) == 1 else ()
        # Two keys of one name are allowed where their kinds differ (RFC 7517 section 4.5).
        return [key for key in self._keys if key.name == name]

    def _look_once(self) -> None:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        self._looked_at = time.monotonic()
        try:
            async with asyncio.timeout(_LOOK_S):
                contents = await self._contents_now()
            keys = parse_keys(contents)
        except _FAILED as error:
            log.warning("no keys", extra=fields(source=self._source, error=error))
            return
        if contents != self._contents:
            self._keys, self._contents = keys, contents
            self.version += 1
            log.info("keys", extra=fields(source=self._source, keys=len(keys)))

    async def _contents_now(self) -> bytes:
        """Return what the source has. Raises what reading it does.

        In a thread of its own, which nobody waits for at the end: it may never finish. There is one
        at most.
        """
        if self._reading is not None and not self._reading.done():
            raise TimeoutError("the last look has not ended")
        self._reading = Future()
        self._reading.set_running_or_notify_cancel()  # the thread cannot be called off
        work = (self._reading, self._read, self._source)
        threading.Thread(target=_settle, args=work, name="keys", daemon=True).start()
        return await asyncio.wrap_future(self._reading)


def _settle(done: Future[bytes], read: Callable[[str], bytes], source: str) -> None:
    try:
        contents = read(source)
    except Exception as error:  # whoever waits must hear of a bug of ours, too
        done.set_exception(error)
    else:
        done.set_result(contents)


def _fetch(url: str) -> bytes:
    """Return what *url* has, by TLS that is verified. Blocks. Raises OSError, ValueError."""
    opener = urllib.request.OpenerDirector()
    # Without a handler of redirects: keys come from where the operator said, and nowhere else.
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    # The operator's own URL: https, or http on this host.
    request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310
    deadline = time.monotonic() + _FETCH_S
    contents = b""
    try:
        with opener.open(request, timeout=_FETCH_S) as answer:
            while piece := answer.read1(_MAX_BYTES):
                contents += piece
                if len(contents) > _MAX_BYTES:
                    raise ValueError("larger than a JWKS may be")
                if time.monotonic() > deadline:
                    raise TimeoutError("the answer takes too long")
    except HTTPError as refusal:
        refusal.close()  # it is an answer, too, and holds its connection
        raise
    return contents


def _read(path: str) -> bytes:
    with Path(path).open("rb") as file:
        contents = file.read(_MAX_BYTES + 1)
    if len(contents) > _MAX_BYTES:
        raise ValueError("larger than a JWKS may be")
    return contents
