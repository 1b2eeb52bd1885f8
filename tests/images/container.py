"""A process as a container engine starts it: its own PIDs, a read-only root, no capabilities."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from tests.images.layers import Image

_START_S: Final = 60.0
_STOP_S: Final = 30.0
_STARTED: Final = re.compile(r"listening address=(\S+):(\d+)")

# Handed: the layers, the folder for the root, the volume and where it goes, then what to run.
_ENTER: Final = """
set -eu
layers=$1 root=$2 volume=$3 at=$4; shift 4
mount -t overlay -o "lowerdir=$layers" overlay "$root"
mount -t proc -o nosuid,noexec,nodev proc "$root/proc"
mount -t tmpfs -o nosuid,mode=755 tmpfs "$root/dev"
for each in null zero full random urandom tty; do
    touch "$root/dev/$each"; mount --bind "/dev/$each" "$root/dev/$each"
done
ln -s /proc/self/fd "$root/dev/fd"
mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
mount --bind "$volume" "$root$at"
cd "$root"
exec chroot . "$@"
"""


class Container:
    """*image* at work with *settings*, its one volume in *volume*; as its user, without rights."""

    def __init__(self, image: Image, settings: Mapping[str, str], volume: Path, work: Path) -> None:
        self._image = image
        self._env = image.config.env | dict(settings)
        self.log: list[str] = []
        root = work / "container"
        root.mkdir(parents=True, exist_ok=True)
        (at,) = image.config.volumes
        enter = ["/bin/sh", "-c", _ENTER, "enter", image.lower(), str(root), str(volume), at]
        self._unshare = subprocess.Popen(
            [
                *(str(shutil.which("unshare")), "--pid", "--mount", "--ipc", "--fork"),
                *("--kill-child=KILL", "--propagation=private"),
                *(*enter, *self._humbly(), *image.config.entrypoint),
            ],
            env=self._env,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        try:
            self.address = self._wait_for_address()
        except BaseException:
            self._unshare.kill()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._unshare.kill()  # and with it all that is inside
        self._unshare.wait()

    @property
    def pid(self) -> int:
        """The process that is PID 1 inside, as it is numbered outside."""
        children = Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children")
        return int(children.read_text(encoding="ascii"))

    def health(self) -> subprocess.CompletedProcess[str]:
        """Run the HEALTHCHECK inside, as an engine does."""
        return self.run(self._image.config.healthcheck)

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run *command* inside and return how it ended."""
        enter = [str(shutil.which("nsenter")), f"--target={self.pid}", "--mount", "--pid", "--ipc"]
        return subprocess.run(
            [*enter, "--root", "--wd", *self._humbly(), *command],
            env=self._env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def processes(self) -> dict[int, str]:
        """Return the processes inside, numbered as inside, each with its state's letter."""
        found: dict[int, str] = {}
        for stat in Path(f"/proc/{self.pid}/root/proc").glob("[0-9]*/stat"):
            with suppress(FileNotFoundError, ProcessLookupError):  # ended while we look
                state = stat.read_text(encoding="utf-8", errors="replace").rpartition(") ")[2][0]
                found[int(stat.parent.name)] = state
        return found

    def stop(self) -> tuple[int, float]:
        """Send SIGTERM to PID 1; return its exit status and the seconds that it took."""
        begun = time.monotonic()
        os.kill(self.pid, signal.SIGTERM)
        code = self._unshare.wait(_STOP_S)
        self._reader.join(_STOP_S)
        return code, time.monotonic() - begun

    def _humbly(self) -> list[str]:
        """Return what starts a command as the image's user with no capability left."""
        user, _, group = self._image.config.user.partition(":")
        return [
            *("/usr/bin/setpriv", f"--reuid={user}", f"--regid={group or user}", "--clear-groups"),
            *("--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"),
        ]

    def _read_log(self) -> None:
        assert self._unshare.stderr is not None
        with self._unshare.stderr as pipe:
            for line in pipe:
                with self._changed:
                    self.log.append(line.rstrip("\n"))
                    self._changed.notify_all()

    def _wait_for_address(self) -> tuple[str, int]:
        end = time.monotonic() + _START_S
        with self._changed:
            while True:
                for line in self.log:
                    if found := _STARTED.search(line):
                        return found[1], int(found[2])
                left = end - time.monotonic()
                assert left > 0, "\n".join(["did not start:", *self.log])
                self._changed.wait(min(left, 1.0))
