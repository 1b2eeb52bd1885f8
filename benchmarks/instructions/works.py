"""What a server is asked while its instructions are counted, on one connection, one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.endpoint import Endpoint, metadata
from tests.wire import OCTETS, Wire, render_request

SMALL: Final = bytes(range(256)) * 16
LARGE: Final = bytes(range(256)) * 32768
IETF: Final[dict[str, str | None]] = {"Upload-Draft-Interop-Version": "8", "Tus-Resumable": None}
UNSYNCED: Final = {"FILELOFT_SYNC": "none"}


@dataclass(frozen=True, slots=True)
class Work:
    """Requests of one kind: each one that is taken from the iterator has been answered."""

    begin: Callable[[Endpoint, Wire], Iterator[None]]
    times: int
    """How many are counted, after as many that warm up."""
    settings: Mapping[str, str] = field(default_factory=lambda: UNSYNCED)
    many_files: bool = False
    """Whether it leaves so many that to delete them would slow down whoever measures next."""


def creations(tus: Endpoint, wire: Wire) -> Iterator[None]:
    """Make uploads of 4 KiB, each with its body."""
    fields = {
        "Upload-Length": str(len(SMALL)),
        "Upload-Metadata": metadata(filename="small.bin"),
        "Content-Type": OCTETS,
    }
    request = render_request("POST", tus.base, fields, SMALL)
    while True:
        _ask(wire, request, 201)
        yield


def patches(tus: Endpoint, wire: Wire, body: bytes = SMALL) -> Iterator[None]:
    """Append *body* to one upload, again and again."""
    upload = tus.create(10**12)
    offset = 0
    while True:
        _ask(wire, tus.render_append(upload, offset, body), 204)
        offset += len(body)
        yield


def large_patches(tus: Endpoint, wire: Wire) -> Iterator[None]:
    """Append 8 MiB to one upload, again and again: the engine reads them from the socket."""
    return patches(tus, wire, LARGE)


def heads(tus: Endpoint, wire: Wire) -> Iterator[None]:
    """Ask for the offset of one upload."""
    request = render_request("HEAD", tus.create(10**12, {"Upload-Metadata": "a YQ=="}))
    while True:
        _ask(wire, request, 200)
        yield


def whole_creations(tus: Endpoint, wire: Wire) -> Iterator[None]:
    """Make uploads of 4 KiB, each by one request of the IETF's protocol."""
    fields = {
        "Upload-Complete": "?1",
        "Upload-Length": str(len(SMALL)),
        "Content-Disposition": 'attachment; filename="small.bin"',
        "Content-Type": "application/octet-stream",
    }
    request = render_request("POST", tus.base, IETF | fields, SMALL)
    while True:
        _ask(wire, request, 201)
        yield


def partial_patches(tus: Endpoint, wire: Wire, body: bytes = SMALL) -> Iterator[None]:
    """Append *body* to one upload by the IETF's protocol, again and again."""
    upload = _begun(tus, wire)
    fields = IETF | {"Upload-Complete": "?0", "Content-Type": "application/partial-upload"}
    offset = 0
    while True:
        told = fields | {"Upload-Offset": str(offset)}
        _ask(wire, render_request("PATCH", upload, told, body), 204)
        offset += len(body)
        yield


def large_partial_patches(tus: Endpoint, wire: Wire) -> Iterator[None]:
    """Append 8 MiB to one upload by the IETF's protocol, again and again."""
    return partial_patches(tus, wire, LARGE)


def looks(tus: Endpoint, wire: Wire) -> Iterator[None]:
    """Ask for the offset of one upload by the IETF's protocol."""
    request = render_request("HEAD", _begun(tus, wire), IETF)
    while True:
        _ask(wire, request, 204)
        yield


WORKS: Final[Mapping[str, Work]] = {
    "4 KiB creation-with-upload": Work(creations, 300, many_files=True),
    "4 KiB creation-with-upload, durable": Work(creations, 300, {}, many_files=True),
    "4 KiB PATCH": Work(patches, 300),
    "8 MiB PATCH": Work(large_patches, 8),
    "HEAD": Work(heads, 300),
    "4 KiB creation, ietf": Work(whole_creations, 300, many_files=True),
    "4 KiB creation, durable, ietf": Work(whole_creations, 300, {}, many_files=True),
    "4 KiB PATCH, ietf": Work(partial_patches, 300),
    "8 MiB PATCH, ietf": Work(large_partial_patches, 8),
    "HEAD, ietf": Work(looks, 300),
}


def _begun(tus: Endpoint, wire: Wire) -> str:
    """Begin a large upload by the IETF's protocol, and return its path."""
    fields = {"Upload-Complete": "?0", "Upload-Length": str(10**12)}
    return tus.path_of(wire.ask(render_request("POST", tus.base, IETF | fields)))


def _ask(wire: Wire, request: bytes, status: int) -> None:
    answer = wire.ask(request)
    if answer.status != status:
        raise RuntimeError(f"{answer.status} instead of {status}: {answer.body!r}")
