"""What a store must offer to be held to the contract of ``Objects``, and the list of those that do.

A file ``tests/stores/{name}_backend.py`` is all that a store needs: its ``BACKENDS`` says how each
variant is opened. ``conftest.py`` finds the file, opens a variant when a test first asks for it and
closes it with the session.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import pytest
import uvloop

if TYPE_CHECKING:
    from fileloft_fast.stores.remote.objects import Objects

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A store that runs. What it cannot, or what its emulator does not do, is said here."""

    connect: Callable[[], AbstractAsyncContextManager[Objects]]
    """Make a new driver, started; any number of them, one after the other or at once."""

    lists_sessions: bool = True
    ends_sessions: bool = True
    """A session that was aborted, or never begun, is lost."""
    lists_objects: bool = False
    """It is a ``ListedObjects``."""
    keeps_conditions: bool = True
    verifies_parts: bool = True
    """Bytes that are not what their checksum says are refused."""
    signs: bool = True
    """``sign`` returns a URL that can be got over HTTP."""

    checks_signatures: bool = True

    def needs(self, ability: str) -> None:
        """Skip the test where the store has not got *ability*, one of the fields above."""
        if not getattr(self, ability):
            pytest.skip(f"no: {ability}")

    def play(self, scene: Callable[[Objects], Awaitable[T]]) -> T:
        """Run *scene* with a driver of its own, on the loop that the server runs on."""

        async def played() -> T:
            async with self.connect() as objects:
                return await scene(objects)

        return uvloop.run(played())


Opener: TypeAlias = Callable[[Path], AbstractContextManager[Backend]]
"""Starts a store, with a directory of its own, for as long as the context lasts."""


def find_openers() -> Mapping[str, Opener]:
    """Return every variant of every store by its name."""
    found: dict[str, Opener] = {}
    for file in sorted(Path(__file__).parent.glob("*_backend.py")):
        module = importlib.import_module(f"tests.stores.{file.stem}")
        found |= module.BACKENDS
    return found
