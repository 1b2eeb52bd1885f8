"""How the S3 driver reads ranges over connections that break, and from stores that do otherwise."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any, Final

import pytest
import uvloop

from fileloft_fast.errors import ObjectNotFoundError, RemoteRefusedError, RemoteUnavailableError
from tests.stores.pieces import read
from tests.stores.s3_backend import connected, play
from tests.stores.stub import Answer, Asked, Stub

if TYPE_CHECKING:
    from fileloft_fast.stores.remote.s3 import S3Objects

CONTENT: Final = random.Random(5).randbytes(700_000)
VERSION: Final = '"version"'


class Shelf:
    """A store with one object, each answer of which is cut after as many bytes as *cuts* say."""

    def __init__(self, *cuts: int) -> None:
        self.cuts = list(cuts)
        self.tag = VERSION

    def __call__(self, asked: Asked) -> Answer:
        if asked.headers.get("if-match", self.tag) != self.tag:
            return Answer(412)
        start, end = range_of(asked)
        fields = {
            "ETag": self.tag,
            "Content-Range": f"bytes {start}-{min(end, len(CONTENT) - 1)}/{len(CONTENT)}",
        }
        cut = self.cuts.pop(0) if self.cuts else None
        return Answer(206, CONTENT[start : end + 1], fields, cut)


def range_of(asked: Asked) -> tuple[int, int]:
    """Return the first and the last byte that are asked for."""
    matched = re.fullmatch(r"bytes=(\d+)-(\d+)", asked.headers["range"])
    assert matched is not None
    return int(matched[1]), int(matched[2])


def read_from(stub: Stub, start: int = 0, length: int = len(CONTENT), **options: Any) -> bytes:
    """Return what a driver reads."""

    async def reading() -> bytes:
        async with connected(stub.url, **options) as objects:
            return await read(objects, "key", start, length)

    return uvloop.run(reading())


@pytest.mark.parametrize("cuts", [(0,), (1,), (100_000, 1, 0, 300_000), (0, 0, 0, 5, 0, 0, 0, 9)])
def test_reading_goes_on_where_a_connection_broke(cuts: tuple[int, ...]) -> None:
    with Stub(Shelf(*cuts)) as stub:
        assert read_from(stub, 1000, 600_000) == CONTENT[1000:601_000]
    assert {range_of(asked)[1] for asked in stub.asked} == {600_999}
    first, *others = stub.asked
    assert "if-match" not in first.headers
    assert {asked.headers.get("if-match") for asked in others} <= {VERSION, None}


def test_reading_ends_where_nothing_comes_any_more() -> None:
    with Stub(Shelf(100_000, *([0] * 100))) as stub, pytest.raises(RemoteUnavailableError):
        read_from(stub)
    assert len(stub.asked) < 20


def test_no_bytes_of_another_version_are_read() -> None:
    shelf = Shelf(100_000)
    got = b""

    async def scene(objects: S3Objects) -> None:
        nonlocal got
        async for piece in objects.get("key", 0, len(CONTENT)):
            got += piece
            shelf.tag = '"other"'

    with Stub(shelf) as stub, pytest.raises(ObjectNotFoundError):
        play(stub.url, scene)
    assert got == CONTENT[:100_000]


def test_bytes_beyond_the_object_are_not_there() -> None:
    with Stub(Shelf()) as stub, pytest.raises(RemoteRefusedError, match="asked"):
        read_from(stub, 0, len(CONTENT) + 1)


def test_a_store_that_knows_no_ranges_is_refused() -> None:
    with (
        Stub(lambda _: Answer(200, CONTENT, {"ETag": VERSION})) as stub,
        pytest.raises(RemoteRefusedError, match="no range"),
    ):
        read_from(stub, 1000, 1000)


def test_an_answer_that_holds_fewer_bytes_than_it_says_is_taken_up_again() -> None:
    answers = iter([100_000, len(CONTENT)])

    def script(asked: Asked) -> Answer:
        start, end = range_of(asked)
        fields = {"ETag": VERSION, "Content-Range": f"bytes {start}-{end}/{len(CONTENT)}"}
        return Answer(206, CONTENT[start : next(answers)], fields)

    with Stub(script) as stub:
        assert read_from(stub) == CONTENT
    assert [range_of(asked)[0] for asked in stub.asked] == [0, 100_000]


def test_what_is_denied_is_not_asked_for_again() -> None:
    with Stub(lambda _: Answer(403)) as stub, pytest.raises(RemoteRefusedError):
        read_from(stub)
    assert len(stub.asked) == 1
