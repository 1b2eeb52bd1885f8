"""Clients of fileloft and of tusd go on where they were, with this server in its place."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.adoption.fileloft import Fileloft
from tests.adoption.tusd import Tusd
from tests.endpoint import Endpoint
from tests.server import Server

if TYPE_CHECKING:
    from pathlib import Path

ID = "7f3a0c1e-9d57-4b0e-8a43-0d5a3c1f2b6e"
HEX = "24e533e02ec3bc40c387f1a0e460e216"
DATA = random.Random(11).randbytes(300_000)


@contextmanager
def serving(data: Path, workers: int = 1) -> Iterator[Endpoint]:
    settings = {
        "FILELOFT_ENABLE_DOWNLOAD": "1",
        "FILELOFT_ENABLE_CONCATENATION": "1",
        "FILELOFT_WORKERS": str(workers),
    }
    with Server(data, settings) as server:
        yield Endpoint(server)


def adopt(*arguments: object) -> None:
    command = [sys.executable, "-m", "fileloft_fast", "adopt", *map(str, arguments)]
    done = subprocess.run(command, env={"PATH": "/usr/bin:/bin"}, capture_output=True, check=False)
    assert done.returncode == 0, done


def assert_continues(tus: Endpoint, name: str, offset: int) -> None:
    """Assert that an upload goes on from *offset* and ends with all of DATA."""
    upload = f"/files/{name}"
    assert tus.offset(upload) == offset
    headers = {"Upload-Length": str(len(DATA))}  # as clients say it where it was deferred
    if "Upload-Defer-Length" not in tus.head(upload):
        headers = {}
    assert tus.append(upload, offset, DATA[offset:], headers).status == 204
    assert tus.ask("GET", upload).body == DATA


@pytest.mark.parametrize("by_hand", [True, False], ids=["adopt", "at the start"])
def test_clients_of_fileloft_go_on(tmp_path: Path, *, by_hand: bool) -> None:
    loft = Fileloft(tmp_path / "data")
    pieces = [DATA[:100_000], DATA[100_000:150_000]]
    loft.unfinished(ID, pieces, len(DATA), metadata={"filename": "wörld", "private": None})
    loft.unfinished("later", pieces[:1], None)
    loft.unfinished("new", [], len(DATA))
    loft.unfinished("part", [DATA[:5]], 5, is_partial=True)
    loft.finished("whole", DATA)
    if by_hand:
        adopt("--from", "fileloft", loft.path)
    with serving(loft.path) as tus:
        head = tus.head(f"/files/{ID}")
        assert head["Upload-Metadata"] == "filename d8O2cmxk,private"
        assert tus.head("/files/part")["Upload-Concat"] == "partial"
        assert_continues(tus, ID, 150_000)
        assert_continues(tus, "later", 100_000)
        assert_continues(tus, "new", 0)
        assert tus.ask("GET", "/files/whole").body == DATA
        if not by_hand:
            told = tus.server.wait_for_log("adopted uploads of fileloft")
            assert "uploads=4 left_out=0" in told.string
    assert not (loft.path / "locks").exists()
    assert not list(loft.path.glob("*_part_*"))


def test_a_start_says_what_cannot_be_continued_and_serves_the_rest(tmp_path: Path) -> None:
    loft = Fileloft(tmp_path / "data")
    loft.unfinished(ID, [DATA[:9]], len(DATA))
    loft.record("lost", 9, 5)
    for _ in range(2):  # until somebody has looked at it
        with serving(loft.path) as tus:
            told = tus.server.wait_for_log("cannot be continued")
            assert f"fileloft-fast adopt --from fileloft --dry-run {loft.path}" in told.string
            assert tus.head("/files/lost").status == 404
            assert tus.offset(f"/files/{ID}") == 9


def test_of_several_workers_one_adopts_and_all_serve(tmp_path: Path) -> None:
    loft = Fileloft(tmp_path / "data")
    for number in range(40):
        loft.unfinished(f"u{number}", [DATA[:9], DATA[9:20]], len(DATA))
    with serving(loft.path, workers=3) as tus:
        for number in range(40):
            assert tus.offset(f"/files/u{number}") == 20
        told = [line for line in tus.server.log if "adopted uploads" in line]
        assert len(told) == 1
        assert "uploads=40 left_out=0" in told[0]
        assert_continues(tus, "u7", 20)


def test_a_start_finds_parts_where_the_locks_are_gone(tmp_path: Path) -> None:
    loft = Fileloft(tmp_path / "data")
    loft.unfinished(ID, [DATA[:9]], len(DATA))
    (loft.path / "locks").rmdir()
    with serving(loft.path) as tus:
        assert_continues(tus, ID, 9)
    assert not (loft.path / "locks").exists()


def test_a_start_in_a_directory_of_its_own_adds_nothing_to_it(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as tus:
        upload = tus.create_holding(b"abc", 9)
        tus.server.stop()
    with serving(tmp_path / "data") as tus:
        assert tus.offset(upload) == 3
        assert tus.files() - {".locks"} == {upload[7:], f"{upload[7:]}.info"}
        assert not [line for line in tus.server.log if "adopt" in line]


def test_a_start_in_tusds_directory_says_which_command_adopts_it(tmp_path: Path) -> None:
    tusd = Tusd(tmp_path / "data")
    tusd.upload(HEX, DATA[:9], len(DATA))
    with serving(tusd.path) as tus:
        told = tus.server.wait_for_log("uploads of tusd lie here")
        assert f"fileloft-fast adopt --from tusd {tusd.path}" in told.string


@pytest.mark.parametrize("in_place", [True, False], ids=["in place", "into another"])
def test_clients_of_tusd_go_on(tmp_path: Path, *, in_place: bool) -> None:
    tusd = Tusd(tmp_path / "tusd")
    tusd.upload(HEX, DATA[:100_000], len(DATA), MetaData={"filename": "wörld"})
    tusd.upload("later", DATA[:7], None)
    tusd.upload("p1", DATA[:7], 7, IsPartial=True)
    tusd.upload("joined", DATA[:7] * 2, 14, IsFinal=True, PartialUploads=["p1", "p1"])
    data = tusd.path if in_place else tmp_path / "data"
    adopt("--from", "tusd", tusd.path, *([] if in_place else ["--into", data]))
    with serving(data) as tus:
        assert tus.head(f"/files/{HEX}")["Upload-Metadata"] == "filename d8O2cmxk"
        assert tus.head("/files/joined")["Upload-Concat"] == "final;/files/p1 /files/p1"
        assert tus.append("/files/joined", 14, b"").status == 403
        assert tus.ask("GET", "/files/joined").body == DATA[:7] * 2
        assert_continues(tus, HEX, 100_000)
        assert_continues(tus, "later", 7)
    if not in_place:
        assert (tusd.path / HEX).read_bytes() == DATA[:100_000]
