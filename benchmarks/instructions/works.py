"""What a server is asked while its instructions are counted, on one connection, one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.endpoint import Endpoint, metadata
from tests.wire import OCTETS, Wire, render_request

SMALL: Final = bytes(range(256)) * 16
LARGE: Final = bytes(range(256)) * 32768
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


WORKS: Final[Mapping[str, Work]] = {
    "4 KiB creation-with-upload": Work(creations, 300, many_files=True),
    "4 KiB creation-with-upload, durable": Work(creations, 300, {}, many_files=True),
    "4 KiB PATCH": Work(patches, 300),
    "8 MiB PATCH": Work(large_patches, 8),
    "HEAD": Work(heads, 300),
}


def _ask(wire: Wire, request: bytes, status: int) -> None:
    answer = wire.ask(request)
    if answer.status != status:
        raise RuntimeError(f"{answer.status} instead of {status}: {answer.body!r}")
