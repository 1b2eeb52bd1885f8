"""An Azure account for tests: Azurite's blob service, one process on a loopback port of its own."""

from __future__ import annotations

import random
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from azure.storage.blob import ContainerClient

from tests.deadline import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping

ACCOUNT: Final = "devstoreaccount1"
KEY: Final = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
"""Not a secret: every emulator has this account and this key."""

_PROGRAM: Final = Path(__file__).parent / "js" / "node_modules" / ".bin" / "azurite-blob"
_START_S: Final = 60.0
_STOP_S: Final = 10.0
_TRIES: Final = 5


def connection_string(url: str) -> str:
    """Return how a client is let into the account at *url*, or by way of it."""
    return f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={url}"


class Azurite:
    """One ``azurite-blob`` on *directory*, with one container.

    Any number may run at once. The port is one that the kernel does not give out by itself, and
    stays the same through ``restart``; where somebody listens on it already, another one is tried.
    Wants ``tests/stores/prepare`` to have run.
    """

    def __init__(self, directory: Path, container: str = "uploads") -> None:
        assert _PROGRAM.exists(), "Azurite is not installed: run tests/stores/prepare"
        self.directory = directory
        self.container = container
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        for _ in range(_TRIES):
            self._port = random.randrange(10_000, 32_000)
            if self._start():
                break
        else:
            raise AssertionError(f"Azurite does not start:\n{self.log()}")
        with self.client() as made:
            made.create_container()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        """The endpoint of the account, path style."""
        return f"http://127.0.0.1:{self._port}/{ACCOUNT}"

    @property
    def connection_string(self) -> str:
        """How a client is let in."""
        return self.through(self.url)

    def through(self, url: str) -> str:
        """Return the connection string by way of a proxy at *url*."""
        return connection_string(url)

    @property
    def settings(self) -> Mapping[str, str]:
        """What a fileloft-fast server is started with."""
        return {
            "FILELOFT_BACKEND": "azure",
            "FILELOFT_AZURE_CONTAINER": self.container,
            "FILELOFT_AZURE_CONNECTION_STRING": self.connection_string,
        }

    def client(self) -> ContainerClient:
        """Return somebody else's client of the container; to be closed."""
        return ContainerClient.from_connection_string(self.connection_string, self.container)

    def kill(self) -> None:
        """End the process in the middle of what it does; killing twice is fine.

        By SIGTERM: what it has answered must be there after a restart, and it writes down which
        blobs there are at its end, or every five seconds.
        """
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def restart(self) -> None:
        """Start again on the same data and port; kills what still runs."""
        self.kill()
        assert any(self._start() for _ in range(_TRIES)), self.log()

    def log(self) -> str:
        """Return the end of what the process has said."""
        return (self.directory / "azurite.log").read_text(errors="backslashreplace")[-8000:]

    def _start(self) -> bool:
        """Start the process and wait until it serves; False where it ended instead."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "azurite.log").open("ab") as log:
            self._process = process = subprocess.Popen(
                [
                    str(_PROGRAM),
                    *("--blobHost", "127.0.0.1", "--blobPort", str(self._port)),
                    *("--location", str(self.directory / "data")),
                    "--silent",
                    "--disableTelemetry",  # else it looks for a host of Microsoft's
                    "--skipApiVersionCheck",  # else it refuses every SDK that is newer
                ],
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
        return process.poll() is None

    def _serves(self) -> bool:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self._port}/", timeout=5).close()
        except urllib.error.HTTPError as answer:
            answer.close()  # 400: no such account, and nobody else's answer
            return answer.headers.get("Server", "").startswith("Azurite")
        except OSError:
            return False
        return False
