"""What the status page is told, second by second: names of the JSON are names of the fields."""

from __future__ import annotations

from msgspec import Struct


class Running(Struct, frozen=True):
    """A request that brings bytes to an upload.

    ``offset`` is the upload's, ``length`` None where nobody has said it. ``rate`` is bytes a second
    of late, ``age`` seconds since the request began, ``client`` its address.
    """

    id: str
    state: str
    client: str
    offset: int
    length: int | None
    rate: float
    age: float


class Rates(Struct, frozen=True):
    """What came, left and was asked for, a second; of all workers."""

    received: float
    sent: float
    shipped: float
    requests: float
    errors: float


class Totals(Struct, frozen=True):
    """What was counted since the server started; of all workers."""

    received: float
    sent: float
    requests: float
    refused: float
    """Answers of 400 to 499."""
    failed: float
    """Answers of 500 and above."""
    created: float
    finished: float


class Flushing(Struct, frozen=True):
    """The way to the object store; of all workers.

    ``lag`` is seconds from an upload's last byte until its object was stored, the mean over
    ``stored`` uploads of the last minute; None where there were none.
    """

    away: bool
    shipments: float
    waiting_bytes: float
    spool_bytes: float
    queue: dict[str, float]
    lag: float | None
    stored: float


class Snapshot(Struct, frozen=True, kw_only=True):
    """The server at one moment. ``at`` is in seconds since the epoch.

    ``rates`` are None where nothing was counted just before. ``uploads`` are those of the process
    that answers, ``process``, the slowest ones; ``more`` were left out. ``reasons`` are why no
    upload should come there, None where that is not known yet.
    """

    at: float
    version: str
    backend: str
    process: int
    up: float
    workers: float
    restarts: float
    reasons: list[str] | None
    rates: Rates | None
    totals: Totals
    connections: float
    held: float
    """Uploads that somebody works on; of all workers."""
    disk_free: float
    flushing: Flushing | None
    uploads: list[Running]
    more: int
