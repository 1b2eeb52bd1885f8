"""A socket that the engine cannot take: nothing stays open, and the connection can still end."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import TYPE_CHECKING, Any, cast

import pytest

from fileloft_fast.errors import OverloadedError
from fileloft_fast.http1.body import RequestBody
from fileloft_fast.model import Offset, RequestHead, UploadId
from fileloft_fast.tus.effects import Append
from fileloft_fast.uploads.intake import Intake
from fileloft_fast.uploads.locks import Locks
from tests.unit.sides import LendingSide

if TYPE_CHECKING:
    from fileloft_fast.stores import AnyStore, Found

ID = UploadId("a")
FAILURES = (
    (OSError(errno.ENOSPC, "no more watches"), OverloadedError),
    (OSError(errno.EAGAIN, "no more threads"), OverloadedError),
    (MemoryError(), MemoryError),
    (RuntimeError("the engine is closed"), RuntimeError),
)


class Refusing:
    """An appender, and the store that opens it, whose engine starts no transfer."""

    def __init__(self, failure: Exception) -> None:
        self.received = 0
        self.kept = False
        self._failure = failure

    async def open(self, *_: object, **__: object) -> Refusing:
        return self

    def receive(self, *_: object, **__: object) -> Any:
        raise self._failure

    async def keep(self) -> None:
        self.kept = True


@pytest.mark.parametrize(("failure", "told"), FAILURES, ids=repr)
def test_a_transfer_that_does_not_start_gives_the_socket_back(
    failure: Exception, told: type[Exception]
) -> None:
    async def scene() -> None:
        side, store = LendingSide(), Refusing(failure)
        head = RequestHead("PATCH", "/files/a", {}, content_length=10)
        body = RequestBody(side, asyncio.get_running_loop(), head)
        intake = Intake(store=cast("AnyStore", store), algorithms={}, idle_ms=1, min_rate=0)
        wanted = Append(ID, Offset(0), None, 10)
        async with Locks(1).hold(ID, body) as hold:
            with pytest.raises(told):
                await intake.bring(cast("Found", None), wanted, body, 10, hold)
            assert hold.transfer is None
        assert store.kept
        with pytest.raises(OSError) as closed:
            os.fstat(side.lent)
        assert closed.value.errno == errno.EBADF
        body.cut()  # as connection_lost does

    asyncio.run(scene())
