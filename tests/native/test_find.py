from __future__ import annotations

import asyncio
import errno
import os
import random

import pytest

from tests.native.yard import Yard, body

MIB = 1024 * 1024
PIECE = 256 * 1024
PLAIN = body(2 * PIECE + 100).replace(b"\r", b".")
NEEDLE = b"\r\n--dart-http-boundary-" + b"x0" * 25 + b"y"


@pytest.mark.parametrize("place", [0, 1, PIECE - 74, PIECE - 73, PIECE - 1, PIECE, 2 * PIECE - 5])
@pytest.mark.parametrize("needle", [NEEDLE, b"\r", b"\r\n--b"])
async def test_a_needle_is_found_wherever_it_lies(yard: Yard, place: int, needle: bytes) -> None:
    file = yard.file(contents=PLAIN[:place] + needle + PLAIN[place:] + needle)
    assert await yard.engine.find(file, needle, 0, 3 * PIECE) == place


@pytest.mark.parametrize("offset", [0, 1, 7, PIECE])
async def test_a_needle_counts_only_where_the_range_has_it_whole(yard: Yard, offset: int) -> None:
    file = yard.file(contents=b"." * offset + NEEDLE + b"." * PIECE)
    length = len(NEEDLE)
    assert await yard.engine.find(file, NEEDLE, offset, length) == offset
    assert await yard.engine.find(file, NEEDLE, offset, length - 1) == -1
    assert await yard.engine.find(file, NEEDLE, offset + 1, 2 * PIECE) == -1


async def test_what_python_finds_is_found(yard: Yard) -> None:
    source = random.Random(7)
    for _ in range(200):
        needle = bytes(source.choices(b"ab", k=source.randint(1, 12)))
        data = bytes(source.choices(b"ab", k=source.randint(0, 400)))
        file = yard.file(contents=data)
        start = source.randint(0, 50)
        end = source.randint(start, 450)
        found = await yard.engine.find(file, needle, start, end - start)
        assert found == data.find(needle, start, end)


async def test_a_needle_across_pieces_is_found_though_each_begins_like_it(yard: Yard) -> None:
    # every piece ends with the beginning of a needle that goes on otherwise
    begun = NEEDLE[:-1]
    data = (b"." * (PIECE - len(begun)) + begun) * 3 + NEEDLE
    file = yard.file(contents=data)
    assert await yard.engine.find(file, NEEDLE, 0, len(data)) == data.find(NEEDLE)


async def test_a_needle_longer_than_a_piece_is_found(yard: Yard) -> None:
    needle = body(PIECE + 1000)
    file = yard.file(contents=body(3 * PIECE, seed=1) + needle + b"more")
    assert await yard.engine.find(file, needle, 0, 8 * PIECE) == 3 * PIECE


async def test_nothing_is_no_needle_and_an_empty_file_has_none(yard: Yard) -> None:
    with pytest.raises(ValueError, match="nothing"):
        await yard.engine.find(yard.file(), b"", 0, 10)
    with pytest.raises(ValueError, match="negative"):
        await yard.engine.find(yard.file(), b"x", -1, 10)
    assert await yard.engine.find(yard.file(), b"x", 0, MIB) == -1
    assert await yard.engine.find(yard.file(contents=b"x"), b"x", 0, 0) == -1


async def test_a_long_search_holds_up_nobody_and_ends_with_the_engine(yard: Yard) -> None:
    file = yard.file()
    os.ftruncate(file, 1 << 40)
    running = yard.engine.find(file, NEEDLE, 0, 1 << 40)
    for _ in range(100):
        await yard.engine.free_space(yard.directory)
    assert not running.done()
    yard.engine.close()
    with pytest.raises(OSError) as raised:
        await running
    assert raised.value.errno == errno.ECANCELED


async def test_searches_of_one_file_run_at_once(yard: Yard) -> None:
    data = body(2 * MIB)
    file = yard.file(contents=data)
    places = range(0, 2 * MIB - 40, 50_021)
    found = await asyncio.gather(
        *(yard.engine.find(file, data[at : at + 40], 0, 2 * MIB) for at in places)
    )
    assert found == list(places)


async def test_a_pipe_cannot_be_searched(yard: Yard) -> None:
    reading, writing = os.pipe()
    try:
        with pytest.raises(OSError) as raised:
            await yard.engine.find(reading, b"x", 0, 1)
        assert raised.value.errno == errno.ESPIPE
    finally:
        os.close(reading)
        os.close(writing)
