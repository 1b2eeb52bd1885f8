"""An S3 server for tests: SeaweedFS, one process on loopback ports of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final, Self

from tests.deadline import eventually
from tests.ports import free_port

ACCESS_KEY: Final = "testkey"
SECRET_KEY: Final = "testsecret"
REGION: Final = "us-east-1"

KEYS: Final = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    "AWS_EC2_METADATA_DISABLED": "true",
}

_PORTS: Final = ("master", "volume", "filer", "s3", "admin")
_START_S: Final = 60.0  # on the data of a killed one: up to 20 s
_TRIES: Final = 5


class SeaweedFS:
    """One ``weed mini`` on *directory*, with one bucket; started, and ended by SIGKILL.

    Any number may run at once: the ports are free ones, and stay the same through ``restart``.
    """

    def __init__(self, directory: Path, bucket: str = "uploads") -> None:
        self.directory = directory
        self.bucket = bucket
        self._ports: dict[str, int] = {}
        self._process: subprocess.Popen[bytes] | None = None
        for _ in range(_TRIES):
            self._ports = free_ports()
            if self._start():
                return
        raise AssertionError(f"SeaweedFS does not start:\n{self.log()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        """The endpoint, path style."""
        return f"http://127.0.0.1:{self._ports['s3']}"

    @property
    def settings(self) -> dict[str, str]:
        """What a fileloft-fast server is started with."""
        return {
            **KEYS,
            "FILELOFT_BACKEND": "s3",
            "FILELOFT_S3_BUCKET": self.bucket,
            "FILELOFT_S3_ENDPOINT": self.url,
            "FILELOFT_S3_REGION": REGION,
            "FILELOFT_S3_FORCE_PATH_STYLE": "1",
        }

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """Kill the process (SIGTERM takes it half a minute); killing twice is fine."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        for port in self._ports.values():
            for leftover in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                leftover.unlink(missing_ok=True)

    def restart(self) -> None:
        """Start again on the same data and ports; kills what still runs."""
        self.kill()
        assert any(self._start() for _ in range(_TRIES)), self.log()

    def log(self) -> str:
        """Return the end of what the process has said."""
        return (self.directory / "weed.log").read_text(errors="backslashreplace")[-8000:]

    def _start(self) -> bool:
        """Start the process and wait until it serves; False where a port was taken meanwhile."""
        data = self.directory / "data"
        data.mkdir(parents=True, exist_ok=True)
        with (self.directory / "weed.log").open("ab") as log:
            self._process = process = subprocess.Popen(
                self._command(data),
                env={"PATH": "/usr/bin:/bin", "HOME": str(self.directory)} | KEYS,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            eventually(lambda: process.poll() is not None or self._serves(), within_s=_START_S)
        except BaseException:
            self.kill()
            raise
        if process.poll() is None:
            return True
        self.kill()
        return False

    def _command(self, data: Path) -> list[str]:
        ports = self._ports
        return [
            str(Path(sys.executable).parent / "weed"),
            "-logtostderr=true",
            "mini",
            f"-dir={data}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            f"-bucket={self.bucket}",
            "-admin.ui=false",
            "-webdav=false",
            "-master.telemetry=false",
            "-master.volumeSizeLimitMB=1024",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            *(f"-{name}.port={ports[name]}" for name in _PORTS),
            *(f"-{name}.port.grpc={ports[name + '.grpc']}" for name in _PORTS),
        ]

    def _serves(self) -> bool:
        """Whether S3 answers and the bucket is made, which comes a moment later."""
        bucket = f"http://127.0.0.1:{self._ports['filer']}/buckets/{self.bucket}/"
        return _answers(f"{self.url}/healthz") and _answers(bucket)


def free_ports() -> dict[str, int]:
    """Return ports that nobody listens on, outside the range that the kernel gives out itself."""
    names = [*_PORTS, *(f"{name}.grpc" for name in _PORTS)]
    found: dict[str, int] = {}
    while len(found) < len(names):
        port = free_port()
        if port not in found.values():
            found[names[len(found)]] = port
    return found


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
