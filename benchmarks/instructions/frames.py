"""Which Python functions the instructions are of: see ``frames.c``."""

from __future__ import annotations

import struct
import subprocess
import sysconfig
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from benchmarks.instructions.callgrind import inclusive
from benchmarks.instructions.counted import program

if TYPE_CHECKING:
    from benchmarks.instructions.callgrind import Counts

Calls = Counter[tuple[str, str]]

_SOURCE: Final = Path(__file__).with_name("frames.c")
_EDGE: Final = struct.Struct("=IIQ")
_BEFORE_EVERYTHING: Final = """\
import ctypes
ctypes.PyDLL({library!r}).begin({names!r}, {edges!r})
"""


class Frame(Struct, frozen=True):
    """What one Python function has cost, the C functions that it calls included."""

    name: str
    calls: int
    own: int
    """Without the Python functions that it calls."""
    whole: int


class Frames:
    """Python functions of a server that is started with ``settings``."""

    def __init__(self, folder: Path) -> None:
        self._names = folder / "names"
        self._edges = folder / "edges"
        self._seen: list[Calls] = []
        library = folder / "frames.so"
        include = f"-I{sysconfig.get_path('include')}"
        words = [program("cc"), "-O1", "-shared", "-fPIC", include, str(_SOURCE)]
        subprocess.run([*words, "-o", str(library)], check=True)  # noqa: S603
        self._edges.touch()
        start = folder / "start"
        start.mkdir()
        (start / "sitecustomize.py").write_text(
            _BEFORE_EVERYTHING.format(
                library=str(library),
                names=bytes(self._names),
                edges=bytes(self._edges),
            ),
            encoding="ascii",
        )
        self.settings: Mapping[str, str] = {"PYTHONPATH": str(start)}

    def look(self) -> None:
        """Take note of the calls until now; ``count`` calls it between its parts."""
        self._seen.append(_read_edges(self._edges.read_bytes()))

    def attribute(self, counts: Counts) -> list[Frame]:
        """Return the functions that *counts* are of, the dearest first."""
        before, once, thrice, _ = self._seen
        calls = Calls(thrice)
        calls.subtract(once)
        calls.subtract(once)
        calls.update(before)
        names = dict(line.split("\t", 1) for line in self._names.read_text().splitlines())
        times: Counter[str] = Counter()
        whole: Counter[str] = Counter()
        for function, number, cost in inclusive(counts):
            if function in names:
                times[function] += number
                whole[function] += cost
        own = Counter(whole)
        for (caller, callee), number in calls.items():
            if times[callee]:
                own[caller] -= round(number * whole[callee] / times[callee])
        return [
            Frame(_shown(names[function]), times[function], cost, whole[function])
            for function, cost in own.most_common()
            if function in names
        ]


def _read_edges(data: bytes) -> Calls:
    return Calls(
        {
            (f"python_{caller:03x}", f"python_{callee:03x}"): times
            for caller, callee, times in _EDGE.iter_unpack(data)
            if times
        }
    )


def _shown(told: str) -> str:
    """Return the function's name and its place, without the folders of an installation."""
    name, path, line = told.split("\t")
    return f"{name} {'/'.join(Path(path).parts[-3:])}:{line}"
