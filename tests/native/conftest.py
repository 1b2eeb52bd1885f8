"""Fixtures of the engine's tests; a test that is a coroutine runs on a uvloop of its own."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import pytest
import uvloop

from tests.native.yard import Yard

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE_S: Final = 60.0


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an asynchronous test on its yard's loop."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    runner = pyfuncitem.funcargs["runner"]
    assert isinstance(runner, asyncio.Runner)

    async def patiently() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await pyfuncitem.obj(**arguments)

    runner.run(patiently())
    return True


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as made:
        yield made


@pytest.fixture
def yard(tmp_path: Path, runner: asyncio.Runner) -> Iterator[Yard]:
    with ExitStack() as stack:
        yield Yard(tmp_path, runner.get_loop(), stack)
