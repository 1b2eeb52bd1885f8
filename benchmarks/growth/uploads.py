"""One upload of 1 MiB to 100 GiB: seconds and CPU for each GB, and the server's memory.

The target of a large one is discarded: behind the writer its bytes are punched out of the file, as
the flusher does it with what has left, so that every system call of the server is the real one and
the disk need not have the room. What is punched early is never written to the disk.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from typing import TYPE_CHECKING, Final, Self

from fileloft_fast.bench.process import cpu_s
from tests.endpoint import Endpoint
from tests.server import Server
from tests.wire import OCTETS, render_request

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.growth.results import Values
    from tests.wire import Wire

SIZES: Final = tuple(2**20 * each for each in (1, 16, 256, 1024, 4096, 16384, 102400))
QUICK: Final = SIZES[:4]

_SOURCE_BYTES: Final = 64 * 2**20
_AT_LEAST_BYTES: Final = 512 * 2**20  # together, of uploads that are too short for a clock
_KEPT_BYTES: Final = 2 * 2**30
_STEP_BYTES: Final = 256 * 2**20
_LOOK_EVERY_S: Final = 0.05
_KEEP_SIZE_AND_PUNCH: Final = 0x01 | 0x02


class Eraser:
    """Punches out of the file at *path* what lies more than 2 GiB behind its end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        punch = ctypes.CDLL(None, use_errno=True).fallocate
        punch.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
        done = 0
        descriptor = os.open(self._path, os.O_WRONLY)
        try:
            while not self._ended.wait(_LOOK_EVERY_S):
                while os.fstat(descriptor).st_size - done > _KEPT_BYTES + _STEP_BYTES:
                    if punch(descriptor, _KEEP_SIZE_AND_PUNCH, done, _STEP_BYTES) != 0:
                        raise OSError(ctypes.get_errno(), "fallocate")
                    done += _STEP_BYTES
        finally:
            os.close(descriptor)


def measure(folder: Path, size: int) -> Values:
    """Upload *size* bytes by one PATCH, several times where they are few."""
    number = max(1, min(256, _AT_LEAST_BYTES // size))
    source = folder / "source"
    if not source.exists():
        source.write_bytes(os.urandom(_SOURCE_BYTES))
    with Server(folder / "data") as server, source.open("rb") as file:
        tus = Endpoint(server)
        _upload(tus, file.fileno(), min(size, _SOURCE_BYTES))  # so that nothing is the first time
        spent, began = cpu_s(server.pid), time.monotonic()
        uploads = [_upload(tus, file.fileno(), size) for _ in range(number)]
        seconds, spent = time.monotonic() - began, cpu_s(server.pid) - spent
        peak = server.memory("VmHWM")
        for upload in uploads:
            if tus.ask("DELETE", upload).status != 204:
                raise RuntimeError("not deleted")
    gigabytes = number * size / 1e9
    return {
        "seconds_per_gb": seconds / gigabytes,
        "cpu_s_per_gb": spent / gigabytes,
        "seconds": seconds / number,
        "peak_rss_mib": peak / 2**20,
    }


def _upload(tus: Endpoint, source: int, size: int) -> str:
    upload = tus.create(size)
    fields = {"Upload-Offset": "0", "Content-Type": OCTETS, "Content-Length": str(size)}
    with tus.connect(600.0) as wire, Eraser(tus.data_file(upload)):
        wire.send(render_request("PATCH", upload, fields))
        _send(wire, source, size)
        if wire.read().status != 204:
            raise RuntimeError("not taken")
    return upload


def _send(wire: Wire, source: int, size: int) -> None:
    """Send *size* bytes of the file, again and again from its start."""
    wire.socket.settimeout(None)
    sent = 0
    while sent < size:
        at = sent % _SOURCE_BYTES
        wanted = min(size - sent, _SOURCE_BYTES - at)
        sent += os.sendfile(wire.socket.fileno(), source, at, wanted)
