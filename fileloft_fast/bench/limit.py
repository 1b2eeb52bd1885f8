"""Who was the limit of a work: the rule by which a reader knows whose figure it is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from fileloft_fast.bench.results import Limit

if TYPE_CHECKING:
    from fileloft_fast.bench.results import ServerUse

BUSY: Final = 0.85
"""The share of the time from which on a thread, or what was left of the machine, counts as full."""


def who_was_the_limit(
    seconds: float,
    client_cpu_s: float,
    client_threads: int,
    server: ServerUse | None,
    cpus: int | None = None,
) -> Limit:
    """Return who had no more to give.

    The client where its threads used BUSY of their time: then the figure says nothing of the
    server, whatever that did. Else the server, where its busiest thread used BUSY of the time, or
    all of it used BUSY of what the client left of the machine's processors. Else neither: the
    network, the disk or the work's own pace. Without a process nobody knows of the server.
    """
    if not seconds:
        return Limit.UNKNOWN if server is None else Limit.NEITHER
    if client_cpu_s >= BUSY * seconds * client_threads:
        return Limit.CLIENT
    if server is None:
        return Limit.UNKNOWN
    left_s = (cpus or len(os.sched_getaffinity(0))) * seconds - client_cpu_s
    if server.busiest_thread_s >= BUSY * seconds or server.cpu_s >= BUSY * left_s:
        return Limit.SERVER
    return Limit.NEITHER
