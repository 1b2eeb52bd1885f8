"""Requests to Google, with credentials; what goes wrong has the names of ``stores.remote``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from msgspec import Struct
from yarl import URL

from fileloft_fast.errors import (
    ConditionFailedError,
    RemoteRefusedError,
    RemoteUnavailableError,
    StoreError,
)
from fileloft_fast.stores.remote.gcs.resources import is_failure, parse_message

if TYPE_CHECKING:
    from aiohttp.payload import Payload

    from fileloft_fast.stores.remote.gcs.credentials import Credentials

_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=60.0)
_READ_BYTES: Final = 256 * 1024
_PASSING: Final = frozenset({408, 429})
_ABSENT: Final = frozenset({404, 410, 499})


class Answer(Struct, frozen=True):
    """An answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Client:
    """A pool of connections to *endpoint* (``https://host``). One request a call."""

    def __init__(self, endpoint: str, credentials: Credentials) -> None:
        self.endpoint = endpoint
        self.credentials = credentials
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the pool. Connects to nothing."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),  # who calls bounds what is under way
            headers={"User-Agent": "fileloft-fast", "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=_TIMEOUT,
            auto_decompress=False,  # objects are handed out as they are stored
            read_bufsize=_READ_BYTES,
            proxy=_proxy(self.endpoint),
        )

    async def close(self) -> None:
        """End every connection."""
        if self._session is not None:
            await self._session.close()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Payload | bytes | None = None,
    ) -> Answer:
        """Send a request for *path*, query included, and return the answer; see ``open``."""
        async with self.open(method, path, headers=headers, body=body) as response:
            return Answer(response.status, response.headers, await response.read())

    @asynccontextmanager
    async def open(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Payload | bytes | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request and give its answer, the head read, whatever its status.

        A token that is not taken is renewed, once. Raises RemoteUnavailableError, also for what
        goes wrong with the connection while the answer is read, and where somebody on the way says
        that something is not there; RemoteRefusedError without a token.
        """
        fields = await self.credentials.fields()
        with _connection_failures():
            response = await self._send(method, path, {**(headers or {}), **fields}, body)
            if response.status == 401 and self.credentials.reject(fields):
                response.close()
                fields = await self.credentials.fields()
                response = await self._send(method, path, {**(headers or {}), **fields}, body)
            async with response:
                # Without credentials it is an emulator, which says what it likes.
                if fields and response.status in _ABSENT:
                    await _check_sender(response)
                yield response

    async def _send(
        self, method: str, path: str, headers: Mapping[str, str], body: Payload | bytes | None
    ) -> aiohttp.ClientResponse:
        assert self._session is not None
        assert path.startswith("/")  # or the token would go to another host
        url = URL(self.endpoint + path, encoded=True)
        return await self._session.request(
            method, url, headers=headers, data=body, allow_redirects=False
        )


def is_missing(answer: Answer) -> bool:
    """Whether an object is not there; a bucket that is not there is the operator's matter."""
    return answer.status == 404 and "bucket does not exist" not in parse_message(answer.body)


def failure(answer: Answer, what: str) -> StoreError:
    """Return what an answer that is no success means; *what* was tried is told to the operator."""
    text = f"{what}: {answer.status} {parse_message(answer.body)}".rstrip()
    if answer.status == 412:
        return ConditionFailedError(text)
    if answer.status in _PASSING or answer.status >= 500:
        return RemoteUnavailableError(text)
    return RemoteRefusedError(text)


async def _check_sender(response: aiohttp.ClientResponse) -> None:
    """Raise RemoteUnavailableError where it is not Google that has answered.

    Google names every request that it has seen. A proxy, or a page to sign in on, does not, and
    what it does not find may be there.
    """
    if "X-GUploader-UploadID" in response.headers or is_failure(await response.read()):
        return
    raise RemoteUnavailableError(f"{response.status}, and not by Google")


@contextmanager
def _connection_failures() -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientError, OSError) as error:  # a timeout is an OSError too
        raise RemoteUnavailableError(f"Google Cloud Storage: {error!r}") from error


def _proxy(endpoint: str) -> str | None:
    """Return the proxy that the environment names for *endpoint*.

    aiohttp's own way (``trust_env``) would read ``~/.netrc`` too, and refuse to send the token.
    """
    parts = urlsplit(endpoint)
    if proxy_bypass(parts.hostname or ""):
        return None
    return getproxies().get(parts.scheme)
