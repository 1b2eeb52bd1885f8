"""Where a connection stands."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final


class State(Enum):
    """What a connection does with the bytes that come."""

    IDLE = auto()  # between requests, or in the middle of a head
    SERVING = auto()  # a request is being answered
    SKIPPING = auto()  # answered; the short rest of its body is read away
    LINGERING = auto()  # answered and half closed; what still comes is dropped
    CLOSED = auto()


# Names of the module: before Python 3.12, a look at an enum's member costs as much as a call.
IDLE: Final = State.IDLE
SERVING: Final = State.SERVING
