"""What can go wrong between a driver and its store, told beforehand.

A call is looked at twice: before it takes effect, and after, where its answer can still be lost.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from fileloft_fast.errors import RemoteUnavailableError


class Phase(Enum):
    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True)
class Call:
    """One operation on a store; ``number`` is a part's, 0 elsewhere."""

    name: str
    key: str
    number: int = 0


Script: TypeAlias = Callable[[Call, Phase], BaseException | None]
"""Returns what a call fails with in this phase, or None."""


@dataclass
class Gate:
    """Calls wait here until they are let through."""

    name: str
    key: str
    phase: Phase
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    def open(self) -> None:
        """Let through what waits and what comes."""
        self.opened.set()

    def stops(self, call: Call, phase: Phase) -> bool:
        return phase is self.phase and _meant(call, self.name, self.key)


@dataclass
class _Planned:
    name: str
    key: str
    phase: Phase
    error: BaseException
    times: int


class Faults:
    """The faults of one client of a store, and the count of what it asked for.

    *name* is an operation, "" any; *key* is how a key ends, "" any. ``script`` is asked where
    nothing was planned.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.script: Script | None = None
        self.down = False
        self._planned: list[_Planned] = []
        self._gates: list[Gate] = []

    @property
    def counts(self) -> Counter[str]:
        """How often each operation was asked for, refused ones included."""
        return Counter(call.name for call in self.calls)

    def refuse(
        self, name: str = "", *, key: str = "", times: int = 1, error: BaseException | None = None
    ) -> None:
        """Let the next *times* such calls fail without an effect."""
        self._plan(name, key, Phase.BEFORE, times, error)

    def lose(
        self, name: str = "", *, key: str = "", times: int = 1, error: BaseException | None = None
    ) -> None:
        """Let the next *times* such calls take effect, and lose the answer."""
        self._plan(name, key, Phase.AFTER, times, error)

    def gate(self, name: str = "", *, key: str = "", phase: Phase = Phase.BEFORE) -> Gate:
        """Stop such calls until the gate that is returned is opened."""
        gate = Gate(name, key, phase)
        self._gates.append(gate)
        return gate

    def clear(self) -> None:
        """Let everything work from now on."""
        self.down = False
        self.script = None
        self._planned.clear()
        for gate in self._gates:
            gate.open()
        self._gates.clear()

    async def pass_(self, call: Call, phase: Phase) -> None:
        """Raise, wait, or let *call* through."""
        if phase is Phase.BEFORE:
            self.calls.append(call)
        await asyncio.sleep(0)  # another task's turn, as with every real request
        for gate in self._gates:
            if gate.stops(call, phase):
                gate.reached.set()
                await gate.opened.wait()
        if self.down:
            raise RemoteUnavailableError("the store is down")
        for planned in self._planned:
            if planned.times and planned.phase is phase and _meant(call, planned.name, planned.key):
                planned.times -= 1
                raise planned.error
        error = None if self.script is None else self.script(call, phase)
        if error is not None:
            raise error

    def _plan(
        self, name: str, key: str, phase: Phase, times: int, error: BaseException | None
    ) -> None:
        error = RemoteUnavailableError("503 Slow Down") if error is None else error
        self._planned.append(_Planned(name, key, phase, error, times))


def _meant(call: Call, name: str, key: str) -> bool:
    return name in {"", call.name} and call.key.endswith(key)
