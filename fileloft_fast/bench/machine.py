"""What a figure rests on: processor, memory, kernel, file system, versions, commit."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fileloft_fast.bench.results import Machine, Mount

if TYPE_CHECKING:
    from collections.abc import Iterator

_PACKAGES: Final = ("fileloft-fast", "uvloop", "httptools", "msgspec", "matplotlib")
_GIT_S: Final = 10.0


def describe_machine(server_directory: str = "") -> Machine:
    """Return what this machine is; *server_directory*: where the server keeps uploads.

    Reads /proc and asks git, where the tool runs from a checkout. Blocks.
    """
    return Machine(
        cpu=_cpu(),
        cpus=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        kernel=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        packages=dict(_versions()),
        commit=_commit(Path(__file__).parents[2]),
        tool_directory=mount_of(str(Path.cwd())),
        server_directory=mount_of(server_directory) if server_directory else None,
    )


def mount_of(directory: str) -> Mount | None:
    """Return on what *directory* is kept, None where nobody knows."""
    path = os.path.realpath(directory)
    best: tuple[str, str, str] | None = None
    for point, kind, device in _mounts():
        within = path == point or path.startswith(point.rstrip("/") + "/")
        # of two mounts at one place the later one hides the other
        if within and (best is None or len(point) >= len(best[0])):
            best = (point, kind, device)
    return Mount(path=path, kind=best[1], device=best[2]) if best else None


def _mounts() -> Iterator[tuple[str, str, str]]:
    """Yield place, kind and device of each mount (proc(5), mountinfo)."""
    for line in Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines():
        before, _, after = line.partition(" - ")
        point = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), before.split()[4])
        kind, device, *_ = after.split()
        yield point, kind, device


def _cpu() -> str:
    matched = re.search(
        r"^(?:model name|Model|CPU implementer)\s*:\s*(.+)$",
        Path("/proc/cpuinfo").read_text("utf-8", "replace"),
        re.MULTILINE,
    )
    return matched[1] if matched else platform.machine()


def _versions() -> Iterator[tuple[str, str]]:
    for package in _PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:  # an extra that is not installed
            continue


def _commit(root: Path) -> str:
    """Return the commit that is checked out at *root*, with a + where files differ; "" for none."""
    git = shutil.which("git")
    if git is None or not (root / ".git").exists():
        return ""
    asked = [git, "-C", str(root), "describe", "--always", "--abbrev=40", "--dirty=+", "--match="]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, timeout=_GIT_S, check=False)  # noqa: S603 - nothing from outside
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return said.stdout.strip() if said.returncode == 0 else ""
