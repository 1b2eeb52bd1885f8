"""One server's tus endpoint as a test sees it: over the wire, and on the disk behind it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import urlsplit

from tests.wire import OCTETS, Answer, Wire, render_request

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server import Server

ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
Headers = Mapping[str, str | None]


def checksum(algorithm: str, body: bytes) -> str:
    """Return *body*'s Upload-Checksum by one of hashlib's algorithms."""
    digest = hashlib.new(algorithm, body).digest()
    return f"{algorithm} {base64.b64encode(digest).decode()}"


def metadata(**pairs: str | bytes) -> str:
    """Return an Upload-Metadata value."""
    values = {key: v.encode() if isinstance(v, str) else v for key, v in pairs.items()}
    return ",".join(f"{key} {base64.b64encode(v).decode()}" for key, v in values.items())


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The tus endpoint of *server* under *base*."""

    mismatched: ClassVar[int] = 460
    """The status where a body is not what it was said to hash to."""

    server: Server
    base: str = "/files/"

    def connect(self, timeout_s: float = 10.0) -> Wire:
        """Open a connection."""
        return Wire(self.server.address, timeout_s, self.server.tls)

    def exchange(self, request: bytes) -> Answer:
        """Send *request* on a connection of its own and read its answer."""
        with self.connect() as wire:
            return wire.ask(request)

    def ask(
        self, method: str, target: str, headers: Headers | None = None, body: bytes = b""
    ) -> Answer:
        """Make a request on a connection of its own and read its answer."""
        return self.exchange(self.render(method, target, headers, body))

    def render(
        self, method: str, target: str, headers: Headers | None = None, body: bytes = b""
    ) -> bytes:
        """Return the bytes of a request."""
        return render_request(method, target, headers, body)

    def post(self, headers: Headers | None = None, body: bytes = b"") -> Answer:
        """POST to the creation URL."""
        return self.ask("POST", self.base, headers, body)

    def create(
        self, length: int | None, headers: Headers | None = None, body: bytes | None = None
    ) -> str:
        """Create an upload, with *body* as its first bytes, and return its path; None defers."""
        size = {"Upload-Defer-Length": "1"} if length is None else {"Upload-Length": str(length)}
        kind = {} if body is None else {"Content-Type": OCTETS}
        answer = self.post({**size, **kind, **(headers or {})}, body or b"")
        assert answer.status == 201, answer
        return self.path_of(answer)

    def create_holding(self, content: bytes, length: int) -> str:
        """Create an upload of *length* bytes that already has *content*."""
        upload = self.create(length)
        if content:
            answer = self.append(upload, 0, content)
            assert answer.status == 204, answer
        return upload

    def finish(self, content: bytes, headers: Headers | None = None) -> str:
        """Create an upload whose every byte is there."""
        return self.create(len(content), headers, content)

    def append(
        self,
        upload: str,
        offset: int,
        body: bytes,
        headers: Headers | None = None,
        *,
        ends: bool = False,
    ) -> Answer:
        """PATCH *body* at *offset*."""
        return self.exchange(self.render_append(upload, offset, body, headers, ends=ends))

    def render_append(
        self,
        upload: str,
        offset: int,
        body: bytes,
        headers: Headers | None = None,
        *,
        ends: bool = False,
    ) -> bytes:
        """Return the bytes of a PATCH."""
        del ends  # the length says where a tus upload ends
        fields = {"Upload-Offset": str(offset), "Content-Type": OCTETS}
        return render_request("PATCH", upload, {**fields, **(headers or {})}, body)

    def took(self, answer: Answer) -> bool:
        """Whether *answer* says that an append was stored."""
        return answer.status == 204

    def is_complete(self, upload: str) -> bool:
        """Whether HEAD says that nothing more is to come."""
        answer = self.head(upload)
        return answer.get("Upload-Length") == answer["Upload-Offset"]

    def checksum(self, body: bytes) -> dict[str, str]:
        """Return the field that a body is verified by."""
        return {"Upload-Checksum": checksum("sha256", body)}

    def head(self, upload: str, headers: Headers | None = None) -> Answer:
        """HEAD *upload*."""
        return self.ask("HEAD", upload, headers)

    def offset(self, upload: str) -> int:
        """Return the offset that HEAD tells."""
        answer = self.head(upload)
        assert answer.status == 200, answer
        return int(answer["Upload-Offset"])

    def path_of(self, answer: Answer) -> str:
        """Return the path of the upload that *answer* created."""
        path = urlsplit(answer["Location"]).path
        assert path.startswith(self.base), path
        assert ID.fullmatch(path.removeprefix(self.base)), path
        return path

    def data_file(self, upload: str) -> Path:
        """Return where the bytes of *upload* are kept."""
        return self.server.data / upload.rsplit("/", 1)[1]

    def info_file(self, upload: str) -> Path:
        """Return where what is known of *upload* is kept."""
        path = self.data_file(upload)
        return path.with_name(path.name + ".info")

    def stored(self, upload: str) -> bytes:
        """Return the bytes on the disk."""
        return self.data_file(upload).read_bytes()

    def info(self, upload: str) -> dict[str, Any]:
        """Return what the disk knows of *upload* beside its bytes."""
        info: dict[str, Any] = json.loads(self.info_file(upload).read_bytes())
        return info

    def files(self) -> set[str]:
        """Return the names of all files in the data directory."""
        return set(os.listdir(self.server.data))  # noqa: PTH208 - three times as fast as iterdir

    def uploads(self) -> set[str]:
        """Return the names of all uploads on the disk."""
        return {name[:-5] for name in self.files() if name.endswith(".info")}

    def assert_holds(self, upload: str, content: bytes) -> None:
        """Assert that HEAD and the disk agree that *upload* has exactly *content*."""
        assert self.offset(upload) == len(content)
        assert self.stored(upload) == content

    def assert_gone(self, upload: str) -> None:
        """Assert that neither the wire nor the disk knows *upload* any more."""
        answer = self.head(upload)
        assert answer.status in {404, 410}, answer
        assert "Upload-Offset" not in answer
        assert not self.data_file(upload).exists()
        assert not self.info_file(upload).exists()
