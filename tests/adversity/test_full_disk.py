"""A full disk: a clear answer, nothing that was stored is lost, and the upload goes on later."""

from __future__ import annotations

import os
import random
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pytest

from tests.endpoint import Endpoint, checksum
from tests.resumer import Resumer
from tests.sender import Kind, Refused, Sender
from tests.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB: Final = 1024 * 1024
DISK: Final = 24 * MIB
BALLAST: Final = 16 * MIB


@contextmanager
def small_disk(where: Path) -> Iterator[Path]:
    """Mount a file system of DISK bytes at *where*."""
    assert os.geteuid() == 0, "a small disk is a tmpfs, and mounting needs root: run this as root"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(where)], check=True)
    try:
        yield where
    finally:
        subprocess.run(["umount", str(where)], check=True)


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Endpoint]:
    """Return a server whose disk has room for DISK - BALLAST bytes until the ballast goes."""
    with small_disk(tmp_path / "disk") as disk:
        (disk / "ballast").write_bytes(bytes(BALLAST))
        data = disk / "data"
        data.mkdir()
        with Server(data, {"FILELOFT_MIN_FREE": "0"}) as server:
            yield Endpoint(server)


def make_room(full: Endpoint) -> None:
    (full.server.data.parent / "ballast").unlink()


def create_and_send(sender: Sender) -> None:
    sender.create()
    sender.send()


@pytest.mark.parametrize("kind", [Kind.PLAIN, Kind.CHUNKED, Kind.CREATION])
@pytest.mark.parametrize("speaker", [Sender, Resumer])
def test_a_body_that_fills_the_disk_keeps_what_was_written(
    speaker: type[Sender], kind: Kind, full: Endpoint
) -> None:
    """By the IETF's protocol of a creation, too: its 104 has named the upload (example C)."""
    content = random.Random(str(kind)).randbytes(12 * MIB)
    sender = speaker(full.server.address, content, kind)
    with pytest.raises(Refused) as refused:
        create_and_send(sender)
    sender.close()
    assert refused.value.answer.status == 507
    kept = sender.look()
    sender.close()
    assert kept > 4 * MIB
    assert full.stored(sender.path)[:kept] == content[:kept]
    make_room(full)
    sender.finish()
    full.assert_holds(sender.path, content)


@pytest.mark.parametrize("kind", [Kind.CHECKED, Kind.TRAILER])
def test_a_chunk_that_cannot_be_verified_leaves_the_offset(kind: Kind, full: Endpoint) -> None:
    content = random.Random(str(kind)).randbytes(12 * MIB)
    sender = Sender(full.server.address, content, kind, chunk=3 * MIB)
    sender.create()
    sender.send()
    sender.send()
    with pytest.raises(Refused) as refused:
        sender.send()
    sender.close()
    assert refused.value.answer.status == 507
    assert sender.look() == 6 * MIB
    sender.close()
    make_room(full)
    sender.finish()
    full.assert_holds(sender.path, content)


def test_a_creation_for_which_there_is_no_room_leaves_nothing(full: Endpoint) -> None:
    body = bytes(12 * MIB)
    before = full.uploads()
    answer = full.post(
        {"Upload-Length": str(len(body)), "Content-Type": "application/offset+octet-stream"}, body
    )
    assert answer.status == 507
    assert "Location" not in answer or full.offset(full.path_of(answer)) <= len(body)
    upload = full.create(5, None, b"hello") if "Location" not in answer else None
    assert upload is None or full.uploads() - before == {upload.rsplit("/", 1)[1]}


def test_other_uploads_go_on_after_one_met_the_full_disk(full: Endpoint) -> None:
    """ENOSPC in mid-splice leaves bytes in the pipe: they may end in no other upload."""
    body = random.Random("ballast").randbytes(12 * MIB)
    first = full.create(len(body))
    assert full.append(first, 0, body).status == 507
    make_room(full)
    for number in range(20):
        content = random.Random(number).randbytes(300_000)
        upload = full.create(len(content))
        fields = {"Upload-Checksum": checksum("sha1", content)} if number % 2 else {}
        assert full.append(upload, 0, content, fields).status == 204
        full.assert_holds(upload, content)


def test_below_the_least_free_space_nothing_is_created(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        settings = {"FILELOFT_MIN_FREE": str(DISK + 1)}
        with Server(disk / "data", settings) as server:
            answer = Endpoint(server).post({"Upload-Length": "5"})
            assert answer.status == 507
            assert answer.body.startswith(b"ERR_STORAGE_FULL")
            assert not Endpoint(server).uploads()
