"""A process that adopts ends anywhere: nothing is lost, and doing it again ends the same."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from fileloft_fast.model import UploadId
from fileloft_fast.stores.fs.adoption import (
    Carrier,
    FileloftDirectory,
    TusdDirectory,
    Verdict,
    attempt,
)
from fileloft_fast.stores.fs.info_file import parse_info
from tests.adoption.fileloft import Fileloft
from tests.adoption.tusd import Tusd

if TYPE_CHECKING:
    from pathlib import Path

CALLS = (
    "copy_file_range",
    "fsync",
    "link",
    "open",
    "pread",
    "rename",
    "unlink",
    "utime",
    "write",
)


class Killed(BaseException):
    """The process ended here."""


@contextmanager
def ending_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """End at the call of the kernel with the number *step*, before it is made."""
    made = [0]

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **options: Any) -> Any:
            if made[0] == step:
                raise Killed
            made[0] += 1
            return call(*args, **options)

        return wrapped

    with monkeypatch.context() as patched:
        for name in CALLS:
            patched.setattr(os, name, counted(getattr(os, name)))
        yield made


def fileloft(path: Path) -> dict[str, bytes]:
    loft = Fileloft(path)
    loft.unfinished("many", [b"abc", b"de", b"f"], 9)
    loft.unfinished("one", [b"abc"], 9)
    loft.unfinished("none", [], None)
    loft.unfinished("joining", [b"abc", b"de"], 5)
    loft.write("joining", b"ab")
    return {"many": b"abcdef", "one": b"abc", "none": b"", "joining": b"abcde"}


def tusd(path: Path) -> dict[str, bytes]:
    other = Tusd(path)
    other.upload("some", b"abc", 9)
    other.upload("whole", b"hello", 5)
    other.record("aside", 9, Storage={"Type": "filestore", "Path": str(path / "film")})
    (path / "film").write_bytes(b"film")
    return {"some": b"abc", "whole": b"hello", "aside": b"film"}


def adopt(kind: type[FileloftDirectory | TusdDirectory], source: Path, into: Path) -> None:
    directory = kind(source, "/files/", in_place=source == into)
    carrier = Carrier(into, in_place=source == into, file_mode=0o600)
    for name in directory.names():
        assert attempt(carrier, carrier.settled(directory.plan(name))).verdict is not (
            Verdict.LEFT_OUT
        )


@pytest.mark.parametrize("in_place", [True, False], ids=["in place", "into another"])
@pytest.mark.parametrize(("kind", "fill"), [(FileloftDirectory, fileloft), (TusdDirectory, tusd)])
def test_a_process_that_ends_at_any_call_of_the_kernel_loses_nothing(
    kind: type[FileloftDirectory | TusdDirectory],
    fill: Callable[[Path], dict[str, bytes]],
    *,
    in_place: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended, step = True, 0
    while ended:
        source = tmp_path / str(step)
        source.mkdir()
        held = fill(source)
        into = source if in_place else tmp_path / f"{step}-into"
        into.mkdir(exist_ok=True)
        with ending_at(step, monkeypatch):
            try:
                adopt(kind, source, into)
                ended = False
            except Killed:
                step += 1
        adopt(kind, source, into)
        for name, data in held.items():
            assert (into / name).read_bytes() == data
            record = parse_info((into / f"{name}.info").read_bytes(), UploadId(name))
            assert record.mark_at is not None
        for pattern in ("*.adopting", "*.tmp", "*_part_*"):
            assert not list(into.glob(pattern))
    assert step > 20


@pytest.mark.parametrize("call", ["copy_file_range", "fsync", "link", "rename"])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_fails_leaves_everything_as_it_was(
    call: str, error: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loft = Fileloft(tmp_path)
    loft.unfinished("u", [b"abc"] if call == "link" else [b"abc", b"de"], 9)
    names = {entry.name for entry in tmp_path.iterdir()}

    def fail(*_args: object, **_options: object) -> None:
        raise OSError(error, os.strerror(error))

    directory = FileloftDirectory(tmp_path, "/files/", in_place=True)
    carrier = Carrier(tmp_path, in_place=True, file_mode=0o600)
    assert directory.names() == ["u"]
    with monkeypatch.context() as patched:
        patched.setattr(os, call, fail)
        plan = attempt(carrier, directory.plan("u"))
    assert (plan.verdict, plan.why) == (Verdict.LEFT_OUT, os.strerror(error))
    assert {entry.name for entry in tmp_path.iterdir()} <= names | {"u.adopting"}
    assert attempt(carrier, directory.plan("u")).verdict is Verdict.ADOPT


def test_a_copy_that_differs_is_noticed_and_the_original_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loft = Fileloft(tmp_path)
    loft.unfinished("u", [b"abc", b"de"], 9)
    copy = os.copy_file_range

    def flip(reading: int, writing: int, size: int) -> int:
        done = copy(reading, writing, size)
        os.pwrite(writing, b"X", 0)
        return done

    directory = FileloftDirectory(tmp_path, "/files/", in_place=True)
    carrier = Carrier(tmp_path, in_place=True, file_mode=0o600)
    assert directory.names() == ["u"]
    monkeypatch.setattr(os, "copy_file_range", flip)
    assert "differs" in attempt(carrier, directory.plan("u")).why
    assert (tmp_path / "u_part_0").read_bytes() == b"abc"
    assert not (tmp_path / "u").exists()


def test_where_the_kernel_does_not_copy_between_two_file_systems_it_is_done_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_options: object) -> int:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "copy_file_range", refuse)
    monkeypatch.setattr(os, "link", refuse)
    data = random.Random(7).randbytes(700_001)
    Fileloft(tmp_path / "a").finished("u", data)
    (tmp_path / "b").mkdir()
    adopt(FileloftDirectory, tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b" / "u").read_bytes() == data


@pytest.mark.slow
def test_a_command_that_is_killed_again_and_again_ends_with_every_upload_whole(
    tmp_path: Path,
) -> None:
    chance = random.Random(5)
    original = Fileloft(tmp_path / "original")
    held: dict[str, bytes] = {}
    for number in range(60):
        pieces = [chance.randbytes(chance.randrange(200_000)) for _ in range(chance.randrange(6))]
        held[f"u{number}"] = b"".join(pieces)
        original.unfinished(f"u{number}", pieces, 10**9)
    data = tmp_path / "data"
    shutil.copytree(original.path, data, copy_function=shutil.copy2)
    between = 0
    while True:
        process = subprocess.Popen(
            [sys.executable, "-m", "fileloft_fast", "adopt", "--from", "fileloft", str(data)],
            env={"PATH": "/usr/bin:/bin"},
            stdout=subprocess.DEVNULL,
        )
        # By what is done, not by the clock: no machine is too fast or too slow for that.
        enough = len(waiting(data)) - chance.randrange(1, 12)
        while process.poll() is None and len(waiting(data)) > enough:
            pass
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        between += 0 < len(waiting(data)) < sum(map(bool, held.values()))
        for name, contents in held.items():
            assert_whole(data, name, contents)
    assert process.returncode == 0
    assert between, "none of the kills fell into the work"
    for name, contents in held.items():
        assert (data / name).read_bytes() == contents
    assert len(list(data.iterdir())) == 2 * len(held)


def waiting(data: Path) -> set[str]:
    """Return the names of the uploads that still have parts."""
    return {path.name.split("_")[0] for path in data.glob("*_part_*")}


def assert_whole(data: Path, name: str, contents: bytes) -> None:
    """Assert that the bytes are all in the parts, or in the upload."""
    parts = sorted(data.glob(f"{name}_part_*"), key=lambda path: int(path.name.split("_")[-1]))
    joined = b"".join(path.read_bytes() for path in parts)
    assert contents == joined or (data / name).read_bytes() == contents
