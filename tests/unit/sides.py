"""Stand-ins for a connection, as a body sees it (``http1.body.SocketSide``)."""

from __future__ import annotations

import os


class Side:
    """A connection that lends nothing."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def send_interim(self, data: bytes, *, needed: bool) -> bool:  # noqa: ARG002
        return True

    def is_abandoned(self) -> bool:
        return False

    def is_readable(self) -> bool:
        return False

    def duplicate(self) -> int | None:
        return None


class LendingSide(Side):
    """A connection that lends its socket and remembers it."""

    def __init__(self) -> None:
        self.lent = -1

    def duplicate(self) -> int:
        self.lent = os.dup(0)
        return self.lent
