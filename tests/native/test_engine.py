from __future__ import annotations

import asyncio
import errno
import gc
import os
import threading
from collections.abc import Coroutine
from typing import Any, cast

import pytest
import uvloop

from fileloft_fast.dataplane import SYNC_NAME, SYNC_NONE, Digest, Engine, digest_of
from tests.native.yard import Yard, body, engine_threads, pieces

ALL_BUT_KILL_AND_STOP = 0x7FFFFFFF & ~(1 << 8) & ~(1 << 18)


async def test_many_transfers_at_once_do_not_mix(yard: Yard) -> None:
    async def upload(number: int) -> None:
        data = body(700_000 + number, seed=number)
        file = yard.file(str(number))
        client, server = yard.connection()
        running = Digest("sha1") if number % 2 else None
        transfer = yard.engine.receive(
            server.fileno(), file, 0, len(data), prefix=data[: number % 3 * 100], digest=running
        )
        for piece in pieces(data[number % 3 * 100 :], number, 100_000):
            await yard.sent(client, piece)
        assert await yard.over(transfer) == (len(data), 0)
        assert yard.read(str(number)) == data
        if running:
            assert running.digest() == digest_of("sha1", data)

    await asyncio.gather(*(upload(number) for number in range(64)))


async def test_transfers_that_end_at_random_leave_no_trace_in_the_next(yard: Yard) -> None:
    async def upload(number: int) -> None:
        for life in range(8):
            data = body(50_000, seed=number * 8 + life)
            name = f"{number}-{life}"
            file = os.open(yard.root / name, os.O_CREAT | os.O_WRONLY)
            client, server = yard.connection()
            transfer = yard.engine.receive(server.fileno(), file, 0, 60_000)
            await yard.sent(client, data)
            await yard.arrived(server, transfer, len(data))
            match (number + life) % 3:
                case 0:
                    client.close()
                case 1:
                    transfer.cancel()
                case _:
                    assert await transfer.progress() == len(data)
                    await yard.sent(client, bytes(10_000))
            moved, number_of_error = await yard.over(transfer)
            assert number_of_error in (0, errno.ECANCELED)
            assert yard.read(name)[: len(data)] == data
            assert moved == len(yard.read(name))
            os.close(file)
            server.close()
            client.close()

    await asyncio.gather(*(upload(number) for number in range(32)))


async def test_thousands_of_jobs_all_come_back(yard: Yard) -> None:
    yard.write("a", b"")
    jobs: list[Coroutine[Any, Any, Any]] = []

    async def write(number: int) -> None:
        end = await yard.engine.append(
            yard.directory, b"a", b"%04d" % number, number * 4, SYNC_NONE
        )
        assert end == number * 4 + 4

    jobs += [write(number) for number in range(5000)]
    await asyncio.gather(*jobs)
    assert yard.read("a") == b"".join(b"%04d" % number for number in range(5000))


async def test_close_resolves_everything_that_is_in_flight(yard: Yard) -> None:
    engine = yard.engine
    file = yard.file("big", bytes(30_000_000))
    transfers = []
    for number in range(20):
        client, server = yard.connection()
        transfers.append(engine.receive(server.fileno(), yard.file(f"r{number}"), 0, 1 << 30))
        await yard.sent(client, body(number * 1000))
        await yard.arrived(server, transfers[-1], number * 1000)
        _, server = yard.connection()
        transfers.append(engine.send(server.fileno(), file, 0, 30_000_000))
    asked = [transfer.progress() for transfer in transfers]
    made = [
        engine.create(yard.directory, b"c%d" % n, b"x", b"i%d" % n, b"y", SYNC_NAME)
        for n in range(50)
    ]
    quick = [engine.free_space(yard.directory) for _ in range(50)]
    engine.close()
    assert all(future.done() for future in (*asked, *quick))
    assert all(future.done() for future in made)
    assert {transfer.errno for transfer in transfers} == {errno.ECANCELED}
    assert all(transfer.done.done() for transfer in transfers)
    await asyncio.gather(*made, *quick, *asked)
    for number in range(20):
        assert yard.read(f"r{number}") == body(number * 1000)
    assert len([name for name in yard.names() if name[0] == "c"]) == 50


async def test_a_closed_engine_takes_no_more_work_and_has_no_threads(yard: Yard) -> None:
    await yard.engine.free_space(yard.directory)
    assert engine_threads()
    yard.engine.close()
    yard.engine.close()
    await yard.until(lambda: not engine_threads())
    _, server = yard.connection()
    for use in (
        lambda: yard.engine.free_space(yard.directory),
        lambda: yard.engine.receive(server.fileno(), 0, 0, 1),
        lambda: yard.engine.send(server.fileno(), 0, 0, 1),
        lambda: yard.engine.write(0, b"", 0, Digest("md5")),
    ):
        with pytest.raises(RuntimeError, match="closed"):
            use()


def test_threads_start_when_they_are_needed_and_take_no_signals() -> None:
    async def scenario() -> None:
        engine = Engine(asyncio.get_running_loop())
        assert not engine_threads()
        directory = os.open("/", os.O_RDONLY)
        await engine.free_space(directory)
        masks = [int(status["SigBlk"], 16) & 0x7FFFFFFF for status in engine_threads()]
        assert masks == [ALL_BUT_KILL_AND_STOP]
        os.close(directory)
        engine.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())


def test_an_engine_that_was_forgotten_says_so_and_stops() -> None:
    async def scenario() -> None:
        engine = Engine(asyncio.get_running_loop())
        directory = os.open("/", os.O_RDONLY)
        await engine.free_space(directory)
        os.close(directory)

    def forget() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(scenario())
        gc.collect()

    with pytest.warns(ResourceWarning, match="engine was not closed"):
        forget()
    assert not engine_threads()


async def test_an_engine_needs_threads_and_one_initialisation(yard: Yard) -> None:
    for wrong in (
        {"quick_threads": 0},
        {"sync_threads": 0},
        {"transfer_threads": 0},
        {"tick_ms": 0},
    ):
        with pytest.raises(ValueError, match="thread"):
            Engine(yard.loop, **wrong)
    with pytest.raises(RuntimeError):
        Engine.__init__(yard.engine, yard.loop)


async def test_a_transfer_is_made_by_an_engine_only(yard: Yard) -> None:
    _, server = yard.connection()
    transfer = yard.engine.receive(server.fileno(), yard.file(), 0, 0)
    with pytest.raises(TypeError):
        type(transfer)()
    hollow = type(transfer).__new__(type(transfer))
    assert (hollow.moved, hollow.errno) == (0, 0)
    hollow.cancel()
    with pytest.raises(RuntimeError):
        await hollow.progress()
    await transfer.done


class LoopWithoutFutures:
    """As if memory had run out between two allocations of one call."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop

    def __getattr__(self, name: str) -> object:
        return getattr(self.loop, name)

    def create_future(self) -> asyncio.Future[None]:
        raise MemoryError


async def test_a_transfer_that_could_not_be_made_keeps_nothing(yard: Yard) -> None:
    engine = Engine(cast("asyncio.AbstractEventLoop", LoopWithoutFutures(yard.loop)))
    yard.stack.callback(engine.close)
    file = yard.file()
    _, server = yard.connection()
    running = Digest("sha1")
    for _ in range(3):
        with pytest.raises(MemoryError):
            engine.receive(server.fileno(), file, 0, 1, digest=running)
    running.update(b"")  # not lent
    transfer = yard.engine.receive(server.fileno(), file, 0, 0, digest=running)
    assert await yard.over(transfer) == (0, 0)


async def test_the_loop_goes_on_while_the_engine_works(yard: Yard) -> None:
    busy = [yard.engine.write(yard.file(str(n)), bytes(64 << 20), 0) for n in range(4)]
    answered = threading.Event()
    yard.loop.call_soon(answered.set)
    await asyncio.sleep(0)
    assert answered.is_set()
    await asyncio.gather(*busy)
