"""What the client does where the way to the server breaks, by a proxy that breaks it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pytest

from fileloft_fast.storage import Storage, TimedOutError, UnavailableError, make_path
from tests.proxy import Break, Course, End, Fate, Proxy
from tests.storages.app_server import KEY
from tests.storages.visitors import send, url_of
from tests.unit.storage.sides import SIDES, open_side

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server import Server

DATA: Final = random.Random("broken").randbytes(3_000_000)
LOST_ANSWER: Final = Break(at=1, end=End.RESET, answer=True)


def pour(pieces: Iterator[bytes], into: bytearray) -> None:
    """Add *pieces* to *into*, as long as they come."""
    for piece in pieces:
        into += piece


@pytest.fixture(params=SIDES)
def side(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("end", [End.RESET, End.CLOSE])
def test_what_was_cut_off_is_stored_by_another_connection(
    folder_server: Server, side: str, end: End, tmp_path: Path
) -> None:
    path = make_path("cut")
    file = tmp_path / "file"
    file.write_bytes(DATA)
    cut = Fate(up=Course(after=1_000_000, end=end))
    with (
        Proxy(folder_server.address, cut, cut) as way,
        open_side(side, url_of(way), KEY) as storage,
        file.open("rb") as opened,
    ):
        assert storage.store(path, opened).size == len(DATA)
        assert way.accepted == 3
        assert storage.retrieve(path) == DATA


def test_a_retrieval_that_was_cut_off_begins_anew(folder_server: Server, side: str) -> None:
    path = make_path("again")
    with Storage(url_of(folder_server), KEY) as direct:
        direct.store(path, DATA)
    cut = Fate(down=Course(after=1_000_000, end=End.RESET))
    with (
        Proxy(folder_server.address, cut) as way,
        open_side(side, url_of(way), KEY) as storage,
    ):
        assert storage.retrieve(path) == DATA
        assert way.accepted == 2


def test_a_stream_that_was_cut_off_goes_on_where_it_was(folder_server: Server, side: str) -> None:
    path = make_path("goeson")
    with Storage(url_of(folder_server), KEY) as direct:
        direct.store(path, DATA)
    cut = Fate(down=Course(after=1_000_000, end=End.RESET))
    came = bytearray()
    with (
        Proxy(folder_server.address, cut) as way,
        open_side(side, url_of(way), KEY) as storage,
    ):
        with pytest.raises(UnavailableError):
            pour(storage.stream(path), came)
        assert 0 < len(came) < len(DATA)
        pour(storage.stream(path, start=len(came)), came)
    assert came == DATA


def test_a_verification_whose_answer_was_lost_is_the_callers_to_judge(
    folder_server: Server, side: str
) -> None:
    path = make_path("lost")
    with Proxy(folder_server.address) as way, open_side(side, url_of(way), KEY) as storage:
        assert send(storage.create_ticket(path), DATA).status == 204
    with (
        Proxy(folder_server.address, breaks=[LOST_ANSWER]) as way,
        open_side(side, url_of(way), KEY) as storage,
    ):
        with pytest.raises(UnavailableError) as caught:
            storage.verify(path)
        assert caught.value.perhaps_done
        assert storage.exists(path) or storage.verify(path)


def test_a_server_that_is_silent_is_not_waited_for_twice(folder_server: Server, side: str) -> None:
    stalled = Fate(up=Course(after=0, end=End.STALL))
    with (
        Proxy(folder_server.address, otherwise=stalled) as way,
        open_side(side, url_of(way), KEY, timeout_s=1.0) as storage,
    ):
        with pytest.raises(TimedOutError):
            storage.exists("a")
        assert way.accepted == 1


def test_who_cannot_be_reached_is_said_to_be_away(side: str, folder_server: Server) -> None:
    with Proxy(folder_server.address) as way:
        nowhere = url_of(way)
    with (
        open_side(side, nowhere, KEY, longest_pause_s=0.0) as storage,
        pytest.raises(UnavailableError) as caught,
    ):
        storage.exists("a")
    assert not caught.value.perhaps_done


def test_a_connection_is_kept_between_calls(folder_server: Server, side: str) -> None:
    path = make_path("kept")
    with Proxy(folder_server.address) as way, open_side(side, url_of(way), KEY) as storage:
        storage.store(path, iter([DATA]))
        assert storage.exists(path)
        assert not storage.exists(make_path("none"))
        with storage.open(path) as download:
            assert b"".join(download) == DATA
        assert [found.path for found in storage.list(path)] == [path]
        assert storage.delete(path)
        assert way.accepted == 1
