"""The load client against our own server: every kind of request that a tool makes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from fileloft_fast.dataplane.load import Load, Step
from tests.server import Server

if TYPE_CHECKING:
    from pathlib import Path

LENGTH: Final = 3_000_000
OCTETS: Final = "Content-Type: application/offset+octet-stream"


def head(first: str, *fields: str) -> bytes:
    lines = [f"{first} HTTP/1.1", "Host: test", "Tus-Resumable: 1.0.0", *fields, "", ""]
    return "\r\n".join(lines).encode()


def test_uploads_arrive_whole_and_are_asked_for_and_loaded_back(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(1_000_001))
    file = os.open(source, os.O_RDONLY)
    post = head("POST /files/", f"Upload-Length: {LENGTH}", "Content-Length: 0")
    patch = head("PATCH {location}", "Upload-Offset: 0", OCTETS, f"Content-Length: {LENGTH}")
    script = [
        Step(post, 201, keeps_location=True),
        Step(patch, 204, file=file, start=7, length=LENGTH, offset=LENGTH),
        Step(head("HEAD {location}"), 200, offset=LENGTH),
        Step(head("GET {location}"), 200),
    ]
    with Server(tmp_path / "data", {"FILELOFT_ENABLE_DOWNLOAD": "1"}) as server:
        load = Load(server.address, [script], units=5, connections=2, threads=2)
        load.run()
    os.close(file)
    assert (load.failures, load.first_failure, load.units_done) == ({}, b"", 5)
    assert load.bytes_sent == load.bytes_received == 5 * LENGTH
    assert [load.histogram(step).count for step in range(4)] == [5, 5, 5, 5]
    expected = (source.read_bytes() * 4)[7 : 7 + LENGTH]
    stored = [p for p in (tmp_path / "data").iterdir() if p.stat().st_size == LENGTH]
    assert len(stored) == 5
    assert all(path.read_bytes() == expected for path in stored)
