"""What a machine is measured by: fixed work of the kind that a benchmark does.

Machines differ, and one machine differs from moment to moment. A round of a benchmark divided by
its yardstick, which is measured right before it, differs little.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import google_crc32c
import xxhash

Work: TypeAlias = Callable[[], object]

_RUNS: Final = 2
_BYTES: Final = bytes(range(256)) * 1024
_TEXT: Final = "Upload-Metadata: filename c21hbGwuYmlu,filetype YXBwbGljYXRpb24=\r\n" * 8


@dataclass(frozen=True, slots=True)
class Yardstick:
    """Work to divide by, and by how much a ratio may grow before it is a regression."""

    work: Work
    tolerance: float

    def measure(self) -> float:
        """Return the seconds of CPU that the work takes now."""
        best = float("inf")
        for _ in range(_RUNS):
            began = time.process_time()
            self.work()
            best = min(best, time.process_time() - began)
        return best


class _Point:
    __slots__ = ("left", "right")

    def __init__(self, left: int, right: str) -> None:
        self.left = left
        self.right = right

    def joined(self) -> str:
        return f"{self.right}={self.left}"


def python_and_c() -> int:
    """Calls, attributes, dicts and text in Python; hashing, JSON and compression in C."""
    seen: dict[str, int] = {}
    for number in range(200):
        point = _Point(number, "key")
        for line in _TEXT[:160].split("\r\n"):
            name, _, value = line.partition(":")
            seen[name.lower()] = seen.get(name, 0) + len(value.strip())
        seen[point.joined()] = number
    told = json.dumps(seen)
    return zlib.crc32(zlib.compress(told.encode(), 1)) + len(json.loads(told))


def kernel() -> int:
    """Make, write, read, stat and remove a file in memory, and pass bytes through a pipe."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        read, write = os.pipe()
        got = 0
        for number in range(20):
            name = f"{number:032x}"
            file = os.open(name, os.O_RDWR | os.O_CREAT, 0o600, dir_fd=directory)
            os.pwrite(file, _BYTES[:4096], 0)
            got += os.fstat(file).st_size
            os.close(file)
            os.write(write, b"x")
            got += len(os.read(read, 1))
            os.unlink(name, dir_fd=directory)
        for each in (read, write, directory):
            os.close(each)
    return got


MEMORY: Final = "/dev/shm"  # noqa: S108 - files of no disk: what a disk costs is not measured here

# A checksum is measured by another implementation of it: some processors have instructions for one
# and not for another.
YARDSTICKS: Final[dict[str, Yardstick]] = {
    "python": Yardstick(python_and_c, 0.25),
    "kernel": Yardstick(kernel, 0.5),
    "crc32": Yardstick(lambda: zlib.crc32(_BYTES), 0.3),
    "crc32c": Yardstick(lambda: google_crc32c.value(_BYTES), 0.3),
    "xxh3-64": Yardstick(lambda: xxhash.xxh3_64_digest(_BYTES), 0.3),
    "xxh128": Yardstick(lambda: xxhash.xxh3_128_digest(_BYTES), 0.3),
    **{
        name: Yardstick(lambda name=name: hashlib.new(name, _BYTES).digest(), 0.3)  # type: ignore[misc]
        for name in ("md5", "sha1", "sha256", "sha512")
    },
}
