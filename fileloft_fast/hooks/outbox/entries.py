"""The lines of an outbox file: what is to be told, whether it came true, who has been told.

One entry a line: its CRC-32C, a space, JSON. Several are written at once and synced together. A
line that does not fit is one that a crash has torn, or damage: it is passed over.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from fileloft_fast.dataplane import digest_of

_SUM: Final = 8  # hexadecimal digits


class Told(msgspec.Struct, frozen=True, tag="told"):
    """The hook *sink* has event *n*, or it became a dead letter."""

    n: int
    sink: str
    dead: bool = False


class Made(msgspec.Struct, frozen=True, tag="made"):
    """What event *n* tells of is true; *body*, where it is set, is what is to be told then."""

    n: int
    body: str = ""


class Void(msgspec.Struct, frozen=True, tag="void"):
    """What event *n* would tell of did not come to pass: it is forgotten."""

    n: int


class Event(msgspec.Struct, frozen=True, tag="event"):
    """An event that is to be told: *key* is its idempotency key, *body* the hook's request.

    *made*: what it tells of is true already. Else a ``Made`` or ``Void`` follows, or, after a
    crash, the store is asked. *at*: seconds since the epoch.
    """

    n: int
    key: str
    event: str
    upload: str
    at: float
    body: str
    made: bool = False


Entry: TypeAlias = Event | Made | Void | Told

_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder[Entry](Entry)


def render(entry: Entry) -> bytes:
    """Return the line of *entry*."""
    text = _ENCODER.encode(entry)
    return b"%b %b\n" % (_sum(text), text)


def parse(contents: bytes) -> tuple[list[Entry], int]:
    """Return the entries that can be read, and how many whole lines could not."""
    entries: list[Entry] = []
    damaged = 0
    *lines, _torn = contents.split(b"\n")
    for line in lines:
        text = line[_SUM + 1 :]
        if line[: _SUM + 1] != _sum(text) + b" ":
            damaged += bool(line)  # an empty one ends a torn one
            continue
        try:
            entries.append(_DECODER.decode(text))
        except msgspec.DecodeError:
            damaged += 1
    return entries, damaged


def _sum(text: bytes) -> bytes:
    return digest_of("crc32c", text).hex().encode()
