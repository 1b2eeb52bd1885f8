"""Joins in S3 whose caller is cancelled: the session that they have opened goes all the same."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from fileloft_fast.stores.remote.s3 import joining
from tests.stores.pieces import PLAIN
from tests.stores.s3_backend import play
from tests.stores.stub import Answer, Asked, Stub
from tests.stores.test_s3_lists import BIG, Copier, query_of, step_of

if TYPE_CHECKING:
    from fileloft_fast.stores.remote.objects import ObjectHead
    from fileloft_fast.stores.remote.s3 import S3Objects

PATIENCE_S = 10


class Stalled:
    """A store that copies, but answers nothing at *step* until it is ``freed``."""

    def __init__(self, step: str) -> None:
        self.freed = threading.Event()
        self._step = step
        self._reached = threading.Event()
        self._copier = Copier()

    def __call__(self, asked: Asked) -> Answer:
        if step_of(asked) == self._step:
            self._reached.set()
            assert self.freed.wait(PATIENCE_S)
        return self._copier(asked)

    async def reached(self) -> None:
        """Return when the step was asked for."""
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(None, self._reached.wait, PATIENCE_S)


def begin(objects: S3Objects) -> asyncio.Task[ObjectHead]:
    return asyncio.create_task(objects.join("key", BIG, PLAIN))


@pytest.mark.parametrize("step", ["copy", "complete"])
def test_a_cancelled_join_leaves_no_session(step: str) -> None:
    store = Stalled(step)

    async def scene(objects: S3Objects) -> None:
        join = begin(objects)
        await store.reached()
        join.cancel()
        with pytest.raises(asyncio.CancelledError):
            await join

    with Stub(store) as stub:
        play(stub.url, scene)
        store.freed.set()
    assert step_of(stub.asked[-1]) == "abort"
    assert query_of(stub.asked[-1])["uploadId"] == "session"


def test_a_join_that_is_cancelled_again_waits_for_its_abort() -> None:
    store = Stalled("abort")

    async def scene(objects: S3Objects) -> None:
        copying = Stalled("copy")
        stub.script = copying
        join = begin(objects)
        await copying.reached()
        stub.script = store
        join.cancel()
        await store.reached()
        join.cancel()
        await asyncio.wait([join], timeout=0.05)
        assert not join.done()
        store.freed.set()
        copying.freed.set()
        with pytest.raises(asyncio.CancelledError):
            await join

    with Stub(store) as stub:
        play(stub.url, scene)


def test_a_store_that_does_not_abort_does_not_hold_a_cancelled_join_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(joining, "_ABORT_S", 0.05)
    store = Stalled("abort")

    async def scene(objects: S3Objects) -> None:
        copying = Stalled("copy")
        stub.script = copying
        join = begin(objects)
        await copying.reached()
        stub.script = store
        join.cancel()
        with pytest.raises(asyncio.CancelledError):
            await join
        copying.freed.set()
        assert not store.freed.is_set()

    with Stub(store) as stub:
        play(stub.url, scene)
        store.freed.set()
