"""Hooks that are sent by HTTP. Needs aiohttp: imported only where a URL is set."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import aiohttp

from fileloft_fast.errors import HookFailedError, HookUnavailableError, RefusedByHookError
from fileloft_fast.hooks.describe import canonical
from fileloft_fast.hooks.signing import render_signature
from fileloft_fast.hooks.sink import AGAIN_STATUS, Call
from fileloft_fast.hooks.wire import MAX_REPLY_BYTES, HookResponse, parse_response, too_long

if TYPE_CHECKING:
    from fileloft_fast.config import HookEvent

_CONNECTIONS: Final = 64
_RESERVED: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "hook-name",
        "hook-signature",
        "host",
        "idempotency-key",
        "transfer-encoding",
        "upgrade",
    }
)

# What of a refusal's own fields means something to the client that is refused.
_PASSED_ON: Final = ("Content-Type", "Www-Authenticate", "Retry-After")


class HttpSink:
    """POSTs each event to *url*; *forward* names the client's fields that go along as fields."""

    def __init__(
        self, url: str, *, timeout_s: float, forward: Sequence[str] = (), secret: str | None = None
    ) -> None:
        self._url = url
        mark = hashlib.sha256(url.encode()).hexdigest()[:8]
        self._name = f"http:{urlsplit(url).hostname}:{mark}"
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._forward = [name for name in forward if name.lower() not in _RESERVED]
        self._secret = None if secret is None else secret.encode()
        self._session: aiohttp.ClientSession | None = None

    @property
    def name(self) -> str:
        """See ``Sink``: the host, and of the rest a hash alone, for it may hold a token."""
        return self._name

    def wants(self, event: HookEvent) -> bool:  # noqa: ARG002 - only the server there knows
        """See ``Sink``."""
        return True

    async def call(self, call: Call) -> HookResponse:
        """See ``Sink``: 2xx with JSON is an answer, other 4xx a refusal."""
        try:
            return await self._post(call)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # No text of aiohttp's: it may name the URL.
            raise HookUnavailableError(f"no answer: {type(error).__name__}") from error

    async def close(self) -> None:
        """See ``Sink``."""
        if self._session is not None:
            await self._session.close()
            await asyncio.sleep(0)  # aiohttp ends its transports in the turn after

    async def _post(self, call: Call) -> HookResponse:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=_CONNECTIONS)
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # a few bytes could become any number
            )
        async with self._session.post(
            self._url, data=call.body, headers=self._fields(call), allow_redirects=False
        ) as answer:
            status = answer.status
            if status in AGAIN_STATUS or status > 504:
                raise HookUnavailableError(f"the hook answered {status}")
            if not (200 <= status < 300 or 400 <= status < 500):
                raise HookFailedError(f"the hook answered {status}")
            text = await _read(answer)
            if status < 300:
                if text.strip() and answer.content_type != "application/json":
                    raise HookFailedError("the answer is not application/json", delivered=True)
                return parse_response(text)
        raise RefusedByHookError(
            f"the hook answered {status}",
            answer_status=status,
            answer_body=text,
            answer_fields=_passed_on(answer),
        )

    def _fields(self, call: Call) -> dict[str, str]:
        sent = call.parse().event.http_request.header if self._forward else {}
        fields = {
            name: ", ".join(sent[canonical(name.lower())])
            for name in self._forward
            if canonical(name.lower()) in sent
        }
        fields |= {
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "Hook-Name": call.event.value,
            "Idempotency-Key": call.key,
        }
        if self._secret is not None:
            fields["Hook-Signature"] = render_signature(self._secret, call.body, int(time.time()))
        return fields


def _passed_on(answer: aiohttp.ClientResponse) -> tuple[tuple[str, str], ...]:
    found = ((name, answer.headers.get(name, "")) for name in _PASSED_ON)
    return tuple(
        (name, text) for name, text in found if text.isascii() and text.isprintable() and text
    )


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    """Return the body, of which too much is not waited for. Raises HookFailedError."""
    text = bytearray()
    async for piece in answer.content.iter_any():
        text += piece
        if len(text) > MAX_REPLY_BYTES and answer.status < 300:
            raise too_long()
        if len(text) > MAX_REPLY_BYTES:
            break
    return bytes(text[:MAX_REPLY_BYTES])
