"""The life of an upload as a table: every state, every event, and what each refuses."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from fileloft_fast.errors import (
    ConcatenationError,
    FinalUploadError,
    InvalidHeaderError,
    NotReadyError,
    TooLargeError,
    UploadGoneError,
    UploadNotFoundError,
    WireError,
)
from fileloft_fast.model import Concat, UploadInfo


class State(StrEnum):
    """Where an upload stands."""

    ABSENT = "absent"
    DEFERRED = "deferred"
    OPEN = "open"
    COMPLETE = "complete"
    FINAL = "final"
    GONE = "gone"


class Event(StrEnum):
    """What a request or the clock does to an upload."""

    CREATE = "POST with Upload-Length"
    CREATE_EMPTY = "POST with Upload-Length 0"
    DEFER = "POST with Upload-Defer-Length"
    CONCATENATE = "POST with Upload-Concat final"
    DECLARE = "PATCH sets Upload-Length"
    RECEIVE = "PATCH brings bytes"
    FILL = "PATCH brings the last byte"
    JOIN = "a final upload names it"
    READ = "GET"
    TERMINATE = "DELETE"
    EXPIRE = "its time is over"


NEXT: Final[Mapping[tuple[State, Event], State]] = {
    (State.ABSENT, Event.CREATE): State.OPEN,
    (State.ABSENT, Event.CREATE_EMPTY): State.COMPLETE,
    (State.ABSENT, Event.DEFER): State.DEFERRED,
    (State.ABSENT, Event.CONCATENATE): State.FINAL,
    (State.DEFERRED, Event.RECEIVE): State.DEFERRED,
    (State.DEFERRED, Event.DECLARE): State.OPEN,
    (State.DEFERRED, Event.TERMINATE): State.GONE,
    (State.DEFERRED, Event.EXPIRE): State.GONE,
    (State.OPEN, Event.RECEIVE): State.OPEN,
    (State.OPEN, Event.FILL): State.COMPLETE,
    (State.OPEN, Event.TERMINATE): State.GONE,
    (State.OPEN, Event.EXPIRE): State.GONE,
    (State.COMPLETE, Event.JOIN): State.COMPLETE,
    (State.COMPLETE, Event.READ): State.COMPLETE,
    (State.COMPLETE, Event.TERMINATE): State.GONE,
    (State.COMPLETE, Event.EXPIRE): State.GONE,
    (State.FINAL, Event.READ): State.FINAL,
    (State.FINAL, Event.TERMINATE): State.GONE,
    (State.FINAL, Event.EXPIRE): State.GONE,
}
"""The state after an event, for every event that a state allows.

COMPLETE and FINAL meet EXPIRE only where the operator lets finished uploads expire.
"""

_UNFINISHED: Final = "the upload is not finished"
_LENGTH_SET: Final = "Upload-Length is set and does not change"

REFUSED: Final[Mapping[tuple[State, Event], tuple[type[WireError], str]]] = {
    (State.OPEN, Event.DECLARE): (InvalidHeaderError, _LENGTH_SET),
    (State.COMPLETE, Event.DECLARE): (InvalidHeaderError, _LENGTH_SET),
    (State.COMPLETE, Event.RECEIVE): (TooLargeError, "the upload has all its bytes"),
    (State.FINAL, Event.DECLARE): (FinalUploadError, "a final upload takes no length"),
    (State.FINAL, Event.RECEIVE): (FinalUploadError, "a final upload takes no bytes"),
    (State.DEFERRED, Event.JOIN): (ConcatenationError, _UNFINISHED),
    (State.OPEN, Event.JOIN): (ConcatenationError, _UNFINISHED),
    (State.FINAL, Event.JOIN): (ConcatenationError, "a final upload is not a partial one"),
    (State.ABSENT, Event.JOIN): (ConcatenationError, "Upload-Concat names no upload"),
    (State.DEFERRED, Event.READ): (NotReadyError, _UNFINISHED),
    (State.OPEN, Event.READ): (NotReadyError, _UNFINISHED),
    (State.ABSENT, Event.RECEIVE): (UploadNotFoundError, "no such upload"),
    (State.ABSENT, Event.READ): (UploadNotFoundError, "no such upload"),
    (State.ABSENT, Event.TERMINATE): (UploadNotFoundError, "no such upload"),
    (State.GONE, Event.RECEIVE): (UploadGoneError, "the upload is gone"),
    (State.GONE, Event.JOIN): (UploadGoneError, "the upload is gone"),
    (State.GONE, Event.READ): (UploadGoneError, "the upload is gone"),
    (State.GONE, Event.TERMINATE): (UploadGoneError, "the upload is gone"),
}
"""What a client is told for an event that a state does not allow."""


def step(state: State, event: Event) -> State:
    """Return the state after *event*.

    Raises the error of ``REFUSED``; a pair that no request can bring about is a bug of ours and
    raises RuntimeError.
    """
    after = NEXT.get((state, event))
    if after is not None:
        return after
    refusal = REFUSED.get((state, event))
    if refusal is None:
        raise RuntimeError(f"{event.name} cannot meet an upload that is {state}")
    error, message = refusal
    raise error(message)


def state_of(info: UploadInfo) -> State:
    """Return where the upload stands by what the store knows; its expiry is not looked at."""
    if info.concat is Concat.FINAL:
        return State.FINAL
    if info.length is None:
        return State.DEFERRED
    return State.COMPLETE if info.complete else State.OPEN


def diagram() -> str:
    """Return the table as a mermaid state diagram, for the documentation."""
    names = {State.ABSENT: "[*]", State.GONE: "[*]"}
    lines = ["stateDiagram-v2"]
    for (state, event), after in NEXT.items():
        start, end = names.get(state, state.value), names.get(after, after.value)
        lines.append(f"    {start} --> {end} : {event.value}")
    return "\n".join(lines) + "\n"
