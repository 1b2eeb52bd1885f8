"""SIGKILL in the middle of everything (crash.py); benchmarks/crash_rounds.py runs many rounds."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.adversity.crash import run_round
from tests.deadline import eventually
from tests.resumer import Resumer
from tests.resumption import Resumption, digest_of, read_announcement
from tests.sender import Sender
from tests.server import Server
from tests.wire import CHUNKED, Wire

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("seed", "workers", "speaker"),
    [
        ("a", 1, Sender),
        ("b", 1, Sender),
        ("c", 1, Sender),
        ("d", 4, Sender),
        ("e", 4, Sender),
        ("f", 1, Resumer),
        ("g", 4, Resumer),
    ],
)
def test_a_kill_loses_nothing_acknowledged_and_shows_nothing_unverified(
    seed: str, workers: int, speaker: type[Sender], tmp_path: Path
) -> None:
    settings = {"FILELOFT_WORKERS": str(workers)}
    seen = run_round(tmp_path, seed, 7, settings, speaker)
    assert seen.uploads
    assert not seen.faults


@pytest.mark.parametrize("how", ["creation", "append", "parts"])
def test_all_bytes_without_their_end_are_a_full_upload_and_no_complete_one(
    how: str, tmp_path: Path
) -> None:
    """The IETF's protocol: killed between the last byte and the end, which the client says."""
    content = b"hello world"
    with_length = {"Upload-Length": str(len(content)), **CHUNKED}
    victim = Server(tmp_path)
    up = Resumption(victim)
    with up.connect() as wire:
        if how == "creation":
            wire.send(up.render_creation(b"b\r\n" + content, with_length))
            upload = read_announcement(wire, up)
        elif how == "append":
            upload = up.create(None)
            wire.send(up.render_append(upload, 0, b"b\r\n" + content, with_length, ends=True))
        else:
            upload = up.create(len(content), None, content)
        eventually(lambda: up.offset(upload) == len(content))
        victim.kill()
    with Server(tmp_path) as heir:
        up = Resumption(heir)
        up.assert_awaits_end(upload, content)
        answer = up.append(upload, len(content), b"", ends=True)
        assert (answer.status, up.draft.says(answer)) == (201, True)
        up.assert_complete(upload, content)


def test_what_104_has_told_survives_a_kill(tmp_path: Path) -> None:
    """``Upload-Offset`` is "a guarantee that no retransmission of it will be necessary"."""
    content = bytes(range(256)) * (9 * 4096)
    victim = Server(tmp_path)
    up = Resumption(victim)
    with up.connect() as wire:
        wire.send(up.render_creation(headers={"Content-Length": str(2 * len(content))}))
        upload = read_announcement(wire, up)
        wire.send(content)
        told = int(wire.read_interim(104)["Upload-Offset"])
        victim.kill()
    with Server(tmp_path) as heir:
        up = Resumption(heir)
        offset = up.offset(upload)
        assert told <= offset
        up.assert_awaits_end(upload, content[:offset])


def begin_creation(
    up: Resumption, wire: Wire, content: bytes, some: int, fields: dict[str, str]
) -> str:
    """Start an upload of *content*, wait until *some* bytes of it are stored; return its path."""
    wire.send(up.render_creation(headers={"Content-Length": str(len(content)), **fields}))
    upload = read_announcement(wire, up)
    wire.send(content[:some])
    eventually(lambda: up.offset(upload) == some)
    return upload


def test_what_the_whole_hashes_to_is_known_after_a_kill(tmp_path: Path) -> None:
    """``Repr-Digest`` of bytes that two processes have received, the first of which was killed."""
    content = bytes(range(256)) * 16_384
    uploads = {}
    victim = Server(tmp_path)
    up = Resumption(victim)
    with ExitStack() as stack:
        for claimed in (content, content + b"!"):
            wire = stack.enter_context(up.connect())
            told = {"Repr-Digest": digest_of(claimed)}
            uploads[claimed] = begin_creation(up, wire, content, 3_000_000, told)
        victim.kill()
    with Server(tmp_path) as heir:
        up = Resumption(heir)
        for claimed, upload in uploads.items():
            offset = up.offset(upload)
            answer = up.append(upload, offset, content[offset:], ends=True)
            if claimed == content:
                assert (answer.status, answer["Repr-Digest"]) == (201, digest_of(content))
                up.assert_complete(upload, content)
            else:
                up.assert_problem(answer, 400)
                up.assert_gone(upload)
