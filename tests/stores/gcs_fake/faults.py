"""What the fake does wrong on purpose, told to it over HTTP."""

from __future__ import annotations

from msgspec import Struct


class Fault(Struct, frozen=True):
    """What happens to the next *times* requests of one *operation*.

    Operations: create, part (bytes that are not the last), last, status, finish (an empty PUT with
    the total), abort, put, head, get, delete, list, compose, signed.
    """

    operation: str
    kind: str
    """``status``: refused with *status*, nothing done. ``proxy``: so, but not by Google.
    ``prefix``: of a chunk only *size* bytes are persisted. ``cut``: the connection ends after
    *size* bytes of the body, either way. ``lose``: done, and the connection ends instead of an
    answer. ``wait``: *seconds* before it is done. ``trickle``: *seconds* between pieces of 64 KiB
    of a body."""
    times: int = 1
    size: int = 0
    status: int = 503
    seconds: float = 0.0


class Faults:
    """Faults that are still to come, and what was asked for so far."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._planned: list[tuple[Fault, list[int]]] = []

    def plan(self, fault: Fault) -> None:
        """Let a fault happen."""
        self._planned.append((fault, [fault.times]))

    def clear(self) -> None:
        """Plan nothing any more, and forget what was asked for."""
        self._planned.clear()
        self.asked.clear()

    def next(self, operation: str) -> Fault | None:
        """Return what happens to a request that has just come, and count it."""
        self.asked.append(operation)
        for fault, left in self._planned:
            if fault.operation == operation and left[0]:
                left[0] -= 1
                return fault
        return None
