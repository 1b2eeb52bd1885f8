"""The one table of metrics: name, kind, labels, meaning; the board lays its cells out by it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fileloft_fast import errors
from fileloft_fast.errors import FileloftError

METHODS: Final = ("GET", "HEAD", "OPTIONS", "PATCH", "POST", "DELETE", "PUT")
OTHER: Final = "other"
HOOK_TYPES: Final = (
    "pre-create",
    "post-create",
    "post-receive",
    "pre-finish",
    "post-finish",
    "pre-terminate",
    "post-terminate",
    "pre-access",
    "stored",
)

_QUICK_S: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05)
_PATIENT_S: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_LONG_S: Final = (60.0, 300.0, 900.0, 3600.0)
_RATES: Final = tuple(float(2**power) for power in range(16, 34, 2))  # 64 KiB/s to 4 GiB/s


class Kind(StrEnum):
    """What a metric is to Prometheus."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Across(StrEnum):
    """What becomes of the numbers of several workers."""

    SUM = "sum"
    MOST = "the largest"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    ``series`` has a row of label values for each series that there can be: which ones is known
    beforehand, so that each has its place on the board. ``bounds`` are those of a histogram.
    """

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    series: tuple[tuple[str, ...], ...] = ((),)
    bounds: tuple[float, ...] = ()
    across: Across = Across.SUM

    @property
    def width(self) -> int:
        """How many cells a series has: a histogram's buckets, the one without end, and the sum."""
        return len(self.bounds) + 2 if self.kind is Kind.HISTOGRAM else 1


def _singles(values: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    return tuple((value,) for value in values)


# What the IETF's protocol has another status for than tus.
_IETF: Final = {("400", "ERR_CHECKSUM_MISMATCH"), ("404", "ERR_GONE")}


def _failures() -> tuple[tuple[str, ...], ...]:
    """Return status and code of every error there is, and of what a hook makes up."""
    pairs = {
        (str(error.status), f"ERR_{error.code.upper()}")
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, FileloftError)
    }
    pairs |= _IETF
    return (*sorted(pairs), *((kind, OTHER) for kind in ("2xx", "3xx", "4xx", "5xx")))


_METHODS: Final = _singles((*METHODS, OTHER))
_C, _G, _H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM

METRICS: Final = (
    # -- tusd's names, where they mean the same --------------------------------------------------
    Metric("tusd_requests_total", _C, "requests, by method", ("method",), _METHODS),
    Metric(
        "tusd_errors_total",
        _C,
        "answers that refuse or fail, by status and error code",
        ("status", "code"),
        _failures(),
    ),
    Metric("tusd_bytes_received", _C, "bytes of bodies taken in; grows while they arrive"),
    Metric(
        "fileloft_bytes_sent_total",
        _C,
        "bytes of files and streams sent in answers; grows while they leave",
    ),
    Metric("tusd_uploads_created", _C, "uploads created"),
    Metric("tusd_uploads_finished", _C, "uploads whose last byte was acknowledged"),
    Metric("tusd_uploads_terminated", _C, "uploads deleted by their client"),
    Metric("tusd_connections_open", _G, "connections that are open"),
    Metric("tusd_hook_invocations_total", _C, "hooks called", ("hooktype",), _singles(HOOK_TYPES)),
    Metric("tusd_hook_errors_total", _C, "hooks that failed", ("hooktype",), _singles(HOOK_TYPES)),
    # -- requests -------------------------------------------------------------------------------
    Metric(
        "fileloft_request_duration_seconds",
        _H,
        "from the head of a request to the end of its answer, by method",
        ("method",),
        _METHODS,
        (*_QUICK_S, *_PATIENT_S, *_LONG_S),
    ),
    Metric(
        "fileloft_chunk_throughput_bytes_per_second",
        _H,
        "how fast the body of a PATCH or POST was taken in, of bodies from 64 KiB on",
        bounds=_RATES,
    ),
    Metric("fileloft_requests_running", _G, "requests that are being served"),
    Metric("fileloft_transfers_running", _G, "bodies that the engine reads from their sockets"),
    Metric("fileloft_uploads_expired_total", _C, "uploads deleted since they had expired"),
    # -- locks ----------------------------------------------------------------------------------
    Metric(
        "fileloft_lock_wait_seconds",
        _H,
        "how long a request waited that did not get its upload's lock at once",
        bounds=(*_QUICK_S, *_PATIENT_S),
    ),
    Metric(
        "fileloft_lock_handovers_total", _C, "times that who held an upload was asked to let go"
    ),
    Metric("fileloft_uploads_held", _G, "uploads that somebody holds"),
    # -- disk -----------------------------------------------------------------------------------
    Metric(
        "fileloft_sync_seconds",
        _H,
        "how long an answer waited for the disk to sync, its turn included",
        bounds=(*_QUICK_S, *_PATIENT_S),
    ),
    Metric(
        "fileloft_disk_free_bytes",
        _G,
        "bytes that may still be written to the data directory's file system",
        across=Across.MOST,
    ),
    # -- object stores --------------------------------------------------------------------------
    Metric(
        "fileloft_flush_lag_seconds",
        _H,
        "from an upload's last byte until its object was stored",
        bounds=(*_QUICK_S[3:], *_PATIENT_S, *_LONG_S),
    ),
    Metric("fileloft_flush_waiting_bytes", _G, "bytes in the spool that could leave now"),
    Metric("fileloft_flush_shipments", _G, "uploads on their way to the object store"),
    Metric(
        "fileloft_flush_queue",
        _G,
        "uploads that wait for their turn with the object store, by lane",
        ("lane",),
        _singles(("parts", "small", "compressing")),
    ),
    Metric("fileloft_flush_sent_bytes_total", _C, "bytes sent to the object store"),
    Metric(
        "fileloft_store_away",
        _G,
        "1 while the object store is taken to be away",
        across=Across.MOST,
    ),
    Metric("fileloft_spool_bytes", _G, "bytes in the spool of uploads that the flusher knows of"),
    # -- the process ----------------------------------------------------------------------------
    Metric(
        "fileloft_loop_lag_seconds",
        _H,
        "how late the event loop was, looked at twice a second",
        bounds=(*_QUICK_S[3:], *_PATIENT_S),
    ),
    Metric("fileloft_draining", _G, "1 while the server is stopping", across=Across.MOST),
    Metric("fileloft_workers", _G, "processes that serve"),
    Metric("fileloft_worker_restarts_total", _C, "workers started anew since they had died"),
    Metric(
        "fileloft_connections_handed_over_total",
        _C,
        "connections handed to the worker that has the upload of their next request",
    ),
    Metric("process_cpu_seconds_total", _C, "CPU time, user and system"),
    Metric("process_resident_memory_bytes", _G, "memory in use"),
    Metric("process_open_fds", _G, "descriptors that are open"),
)
"""What is measured. Rows may be added anywhere: nothing is kept between two starts."""

BUILD: Final = Metric(
    "fileloft_build_info",
    Kind.GAUGE,
    "1; the labels say what is running",
    ("version", "python", "backend"),
)
"""On no board: its labels are known only at the start."""
