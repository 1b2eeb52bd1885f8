"""What a server's processes use: CPU time, memory and context switches, from /proc."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fileloft_fast.bench.failure import BenchError
from fileloft_fast.bench.results import ServerUse

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_RESET_PEAK: Final = b"5"  # proc(5), clear_refs: VmHWM begins anew at what is resident now
_FIELD: Final = re.compile(r"^(\w+):\s+(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Reading:
    """What all processes have used until now; threads by their ids."""

    cpu_s: float = 0.0
    rss_bytes: int = 0
    peak_bytes: int = 0
    processes: int = 0
    threads_s: dict[int, float] = field(default_factory=dict)
    switches: dict[int, tuple[int, int]] = field(default_factory=dict)


class Process:
    """A process with all that it has started, read anew each time."""

    def __init__(self, pid: int) -> None:
        """Raises BenchError where there is no such process, or it may not be looked at."""
        self.pid = pid
        self._peaks_reset = False
        try:
            self.read()
        except (OSError, ValueError) as error:
            raise BenchError(f"process {pid}: {getattr(error, 'strerror', error)}") from None

    def begin(self) -> Reading:
        """Let the peaks of memory begin anew where that is permitted, and read."""
        self._peaks_reset = all(list(map(_reset_peak, _tree(self.pid))))
        return self.read()

    def read(self) -> Reading:
        """Read what is used until now; processes that ended meanwhile count by their parents.

        Raises OSError where the first process has ended.
        """
        spent_s, rss, peak = 0.0, 0, 0
        threads: dict[int, float] = {}
        switches: dict[int, tuple[int, int]] = {}
        pids = _tree(self.pid)
        for pid in pids:
            with _gone_unless(first=pid == self.pid):
                spent_s += cpu_s(pid, with_children=True)
                memory = _numbers(f"/proc/{pid}/status")
                rss += memory.get("VmRSS", 0) * 1024
                peak += memory.get("VmHWM", 0) * 1024
                for thread in _listed(f"/proc/{pid}/task"):
                    _read_thread(pid, thread, threads, switches)
        return Reading(spent_s, rss, peak, len(pids), threads, switches)

    def used_since(self, before: Reading) -> ServerUse:
        """Return what was used since *before*; of threads, those that are still there."""
        after = self.read()
        busiest = max(
            (
                spent - before.threads_s.get(thread, 0.0)
                for thread, spent in after.threads_s.items()
            ),
            default=0.0,
        )
        switched = [
            (now - then[0], forced - then[1])
            for thread, (now, forced) in after.switches.items()
            for then in (before.switches.get(thread, (0, 0)),)
        ]
        return ServerUse(
            cpu_s=after.cpu_s - before.cpu_s,
            busiest_thread_s=busiest,
            rss_before_bytes=before.rss_bytes,
            peak_rss_bytes=after.peak_bytes,
            peak_since_start=not self._peaks_reset,
            voluntary_switches=sum(voluntary for voluntary, _ in switched),
            involuntary_switches=sum(forced for _, forced in switched),
            processes=after.processes,
        )

    def directory(self) -> str:
        """Return where it keeps uploads as far as can be known: FILELOFT_DATA_DIR, else its cwd.

        "" where neither may be read.
        """
        with suppress(OSError):
            cwd = Path(f"/proc/{self.pid}/cwd").readlink()
            for entry in Path(f"/proc/{self.pid}/environ").read_bytes().split(b"\0"):
                name, _, value = entry.partition(b"=")
                if name == b"FILELOFT_DATA_DIR" and value:
                    return str(cwd / os.fsdecode(value))
            return str(cwd)
        return ""


class _gone_unless:  # noqa: N801 - reads as a word at its one place
    """Let a process be gone, unless it is the first one, without which nothing can be said."""

    def __init__(self, *, first: bool) -> None:
        self._first = first

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        return isinstance(error, (FileNotFoundError, ProcessLookupError)) and not self._first


def _read_thread(
    pid: int, thread: int, threads: dict[int, float], switches: dict[int, tuple[int, int]]
) -> None:
    with suppress(FileNotFoundError, ProcessLookupError):  # threads end, which is no matter
        at = f"/proc/{pid}/task/{thread}"
        counts = _numbers(f"{at}/status")
        threads[thread] = _cpu_s(f"{at}/stat", 2)
        switches[thread] = (
            counts.get("voluntary_ctxt_switches", 0),
            counts.get("nonvoluntary_ctxt_switches", 0),
        )


def _tree(pid: int) -> list[int]:
    """Return *pid* and all that descends from it."""
    found = [pid]
    for parent in found:
        with suppress(FileNotFoundError, ProcessLookupError):
            for thread in _listed(f"/proc/{parent}/task"):
                children = Path(f"/proc/{parent}/task/{thread}/children").read_text("ascii")
                found += map(int, children.split())
    return found


def _listed(path: str) -> list[int]:
    return [int(name) for name in os.listdir(path)]  # noqa: PTH208 - names are all that is wanted


def cpu_s(pid: int, *, with_children: bool = False) -> float:
    """Return the user and system time of process *pid*, in seconds.

    *with_children*: and that of children which ended and were waited for. Raises OSError.
    """
    return _cpu_s(f"/proc/{pid}/stat", 4 if with_children else 2)


def _cpu_s(path: str, figures: int) -> float:
    """Return the sum of the first of utime, stime, cutime, cstime (proc(5), stat)."""
    # the name, field 2, may have spaces: count from the last parenthesis
    words = Path(path).read_text("ascii", "replace").rpartition(")")[2].split()
    return sum(map(int, words[11 : 11 + figures])) / _TICKS_PER_S


def _numbers(path: str) -> dict[str, int]:
    return {name: int(n) for name, n in _FIELD.findall(Path(path).read_text("utf-8", "replace"))}


def _reset_peak(pid: int) -> bool:
    """Let VmHWM begin anew; return whether it could be."""
    try:
        Path(f"/proc/{pid}/clear_refs").write_bytes(_RESET_PEAK)
    except FileNotFoundError:  # it has ended
        return True
    except OSError:
        return False
    return True
