"""The two forms in which bytes go to Google."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from fileloft_fast.stores.remote.body import PieceBody, Read

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter

    from fileloft_fast.stores.remote.objects import Pace, Piece


class ChunkBody(PieceBody):
    """A chunk of a session, sent once: after a failure Google is asked first what it has.

    aiohttp by itself would send a PUT again from its beginning.
    """

    _begun = False

    @property
    def consumed(self) -> bool:
        """Whether it was sent, or a part of it."""
        return self._begun

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        """See ``PieceBody``."""
        self._begun = True
        await super().write_with_length(writer, content_length)


class RelatedBody(PieceBody):
    """An object and its resource in one request (``multipart/related``)."""

    def __init__(
        self,
        resource: bytes,
        content: Piece | bytes,
        content_type: str,
        *,
        pace: Pace | None,
        read: Read,
    ) -> None:
        super().__init__(content, pace=pace, read=read)
        # Random, so that no content holds it.
        boundary = secrets.token_hex(16)
        self.content_type_field = f"multipart/related; boundary={boundary}"
        self._before = (
            f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n".encode()
            + resource
            + f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\n\r\n".encode()
        )
        self._after = f"\r\n--{boundary}--\r\n".encode()
        self._size = len(self._before) + len(self) + len(self._after)

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        """Send resource and object; aiohttp asks for a part of a body only in redirects."""
        assert content_length in {None, self._size}
        writer.send_headers()
        await writer.write(self._before)
        await super().write_with_length(writer, None)
        await writer.write(self._after)
