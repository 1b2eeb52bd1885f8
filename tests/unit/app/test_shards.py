"""Uploads are moved to the spool of the worker that has them from now on, and never lost."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from fileloft_fast.app import shards
from fileloft_fast.app.shards import reshard
from fileloft_fast.errors import ConfigError
from fileloft_fast.model import UploadId, shard_of

if TYPE_CHECKING:
    from pathlib import Path

SUFFIXES = ("", ".info", ".journal", ".zst")
OTHERS = ("access.db", "access.db-wal", "spool.id", "README", "notes.txt")


def make(directory: Path, count: int = 20) -> dict[str, str]:
    """Make files of uploads, and some that are nobody's; return what is in those of uploads."""
    dice = random.Random(count)
    made = {}
    for _ in range(count):
        upload = f"{dice.getrandbits(128):032x}"
        for suffix in SUFFIXES:
            made[upload + suffix] = upload + suffix
            (directory / (upload + suffix)).write_text(upload + suffix)
    for name in OTHERS:
        (directory / name).write_text(name)
    (directory / "chunk").mkdir()
    (directory / "outbox").mkdir()
    return made


def make_folders(directory: Path, count: int) -> None:
    for number in range(count):
        (directory / f"worker-{number}").mkdir(exist_ok=True)


def assert_holds(directory: Path, made: dict[str, str], count: int) -> None:
    for name, content in made.items():
        folder = directory
        if count > 1:
            folder /= f"worker-{shard_of(UploadId(name.partition('.')[0]), count)}"
        assert (folder / name).read_text() == content
    found = [each for each in directory.rglob("*") if each.is_file()]
    assert len(found) == len(made) + len(OTHERS)
    assert {name for name in OTHERS if (directory / name).is_file()} == set(OTHERS)


def test_a_shard_is_the_same_for_ever() -> None:
    assert [shard_of(UploadId("0123456789abcdef" * 2), n) for n in (1, 2, 3, 64)] == [0, 0, 1, 14]


@pytest.mark.parametrize("counts", [(3, 2, 1), (2, 5, 3, 1, 4), (1, 1, 2, 2, 1)])
def test_every_file_is_where_its_id_says(tmp_path: Path, counts: tuple[int, ...]) -> None:
    made = make(tmp_path)
    for count in counts:
        make_folders(tmp_path, count if count > 1 else 0)
        reshard(tmp_path, count)
        assert_holds(tmp_path, made, count)
        folders = [each.name for each in shards.folders(tmp_path)]
        assert folders == ([f"worker-{n}" for n in range(count)] if count > 1 else [])


def test_a_move_that_was_broken_off_anywhere_is_ended_by_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(tmp_path)
    move = shards._move
    dice = random.Random(7)
    for _ in range(30):
        count, left = dice.choice([1, 2, 3, 4]), dice.randrange(1, 60)

        def stops(name: str, folder: Path, to: Path) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            move(name, folder, to)

        monkeypatch.setattr(shards, "_move", stops)
        make_folders(tmp_path, count if count > 1 else 0)
        try:
            reshard(tmp_path, count)
        except KeyboardInterrupt:
            continue
        assert_holds(tmp_path, made, count)
    monkeypatch.setattr(shards, "_move", move)
    reshard(tmp_path, 1)
    assert_holds(tmp_path, made, 1)


def test_an_upload_that_is_in_two_places_is_refused(tmp_path: Path) -> None:
    made = make(tmp_path, 1)
    make_folders(tmp_path, 2)
    name = next(iter(made))
    folder = tmp_path / f"worker-{shard_of(UploadId(name), 2)}"
    (folder / name).write_text("another")
    with pytest.raises(ConfigError, match=f"FILELOFT_DATA_DIR: {name} is in "):
        reshard(tmp_path, 2)
    assert (folder / name).read_text() == "another"
    assert (tmp_path / name).read_text() == name


def test_what_a_replacement_left_half_done_is_no_obstacle(tmp_path: Path) -> None:
    make(tmp_path, 1)
    make_folders(tmp_path, 2)
    upload = UploadId("0" * 32)
    folder = tmp_path / f"worker-{shard_of(upload, 2)}"
    for each in (tmp_path, folder):
        (each / f"{upload}.info.tmp").write_text("half")
    reshard(tmp_path, 2)
    assert not (tmp_path / f"{upload}.info.tmp").exists()
    assert (folder / f"{upload}.info.tmp").exists()
