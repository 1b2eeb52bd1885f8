"""What is removed from the directory because no upload has it, and what is not."""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import pytest

from fileloft_fast.errors import StoreError
from fileloft_fast.stores.fs import leftovers
from fileloft_fast.stores.fs.leftovers import SINCE, Leftovers, remove_leftovers

if TYPE_CHECKING:
    from pathlib import Path

ID: Final = "0123456789abcdef" * 2
OLD: Final = 1_000_000_000
LIMIT: Final = OLD + 3600


def put(root: Path, *names: str, at: float = OLD) -> None:
    for name in names:
        (root / name).write_bytes(b"x")
        os.utime(root / name, (at, at))


def remove(root: Path) -> int:
    return asyncio.run(remove_leftovers(str(root), LIMIT, OLD))


def names(root: Path) -> set[str]:
    return {path.name for path in root.iterdir()} - {SINCE}


@pytest.mark.parametrize("name", [ID, ID + ".zst", ID + ".info.tmp", f"team-a-{ID}"])
def test_an_old_file_without_an_upload_is_removed(tmp_path: Path, name: str) -> None:
    put(tmp_path, name)
    assert remove(tmp_path) == 1
    assert names(tmp_path) == set()


@pytest.mark.parametrize("name", [ID, ID + ".zst", ID + ".info.tmp", f"team-a-{ID}"])
def test_what_lay_there_before_this_server_did_is_somebodys(tmp_path: Path, name: str) -> None:
    put(tmp_path, name, at=OLD - 1)  # as @tus/server, and tusd without its .info, name their files
    assert remove(tmp_path) == 0
    assert asyncio.run(remove_leftovers(str(tmp_path), LIMIT, opened_at=0)) == 0  # a later start
    assert names(tmp_path) == {name}


@pytest.mark.parametrize("name", [ID, ID + ".zst", ID + ".info.tmp"])
def test_a_young_file_may_be_of_an_upload_that_is_being_made(tmp_path: Path, name: str) -> None:
    put(tmp_path, name, at=LIMIT)
    assert remove(tmp_path) == 0
    assert names(tmp_path) == {name}


def test_an_upload_keeps_all_its_files_but_a_half_replaced_record(tmp_path: Path) -> None:
    put(tmp_path, ID, ID + ".info", ID + ".journal", ID + ".zst", ID + ".info.tmp")
    assert remove(tmp_path) == 1
    assert names(tmp_path) == {ID, ID + ".info", ID + ".journal", ID + ".zst"}


def test_what_a_journal_speaks_of_is_left_to_the_shipment(tmp_path: Path) -> None:
    put(tmp_path, ID, ID + ".journal", ID + ".zst")
    assert remove(tmp_path) == 0


@pytest.mark.parametrize(
    "name",
    [
        "spool.id",
        "README",
        ID.upper(),
        ID[:-1],
        ID + "0",
        ID + ".info",
        ID + ".journal",
        ID + ".bak",
        ID + ".tmp",
        ID + "\n",
        "." + ID,
    ],
)
def test_other_files_are_never_touched(tmp_path: Path, name: str) -> None:
    put(tmp_path, name)
    assert remove(tmp_path) == 0
    assert names(tmp_path) == {name}


def test_only_plain_files_are_removed(tmp_path: Path) -> None:
    (tmp_path / ID).mkdir()
    os.utime(tmp_path / ID, (OLD, OLD))
    link = tmp_path / ("f" * 32)
    link.symlink_to("/nowhere")
    os.utime(link, (OLD, OLD), follow_symlinks=False)
    assert remove(tmp_path) == 0
    assert len(names(tmp_path)) == 2


def test_a_large_directory_is_gone_through_whole(tmp_path: Path) -> None:
    put(tmp_path, *(f"{number:032x}" for number in range(1300)))
    put(tmp_path, *(f"{number:032x}.info" for number in range(100)))
    assert remove(tmp_path) == 1200
    assert len(names(tmp_path)) == 200


def test_a_directory_that_cannot_be_read_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        asyncio.run(remove_leftovers(str(tmp_path / "nowhere"), LIMIT, OLD))


@pytest.mark.parametrize("looked_at", [False, True])
def test_a_file_that_goes_meanwhile_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, looked_at: bool
) -> None:
    def vanish(*_: object) -> bool:
        (tmp_path / ID).unlink(missing_ok=True)
        return looked_at

    put(tmp_path, ID)
    monkeypatch.setattr(Leftovers, "_is_leftover" if looked_at else "_has", vanish)
    assert remove(tmp_path) == 0


def test_a_cancelled_look_closes_the_directory_when_its_thread_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, ID)
    entered, go_on = threading.Event(), threading.Event()
    closed_while_reading: list[bool] = []
    reading = False
    read, close = Leftovers.read, Leftovers.close

    def slow(self: Leftovers) -> int:
        nonlocal reading
        reading = True
        entered.set()
        assert go_on.wait(10)
        looked_at = read(self)
        reading = False
        return looked_at

    def watched(self: Leftovers) -> None:
        closed_while_reading.append(reading)
        close(self)

    async def scene() -> None:
        look = asyncio.create_task(remove_leftovers(str(tmp_path), LIMIT, OLD))
        await asyncio.to_thread(entered.wait, 10)
        look.cancel()
        asyncio.get_running_loop().call_soon(go_on.set)
        with suppress(asyncio.CancelledError):
            await look
        assert closed_while_reading == [False]

    monkeypatch.setattr(leftovers.Leftovers, "read", slow)
    monkeypatch.setattr(leftovers.Leftovers, "close", watched)
    asyncio.run(scene())
