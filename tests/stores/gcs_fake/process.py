"""The fake, started and stopped by tests, and told what to do wrong."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self
from urllib.request import Request, urlopen

_START_S: Final = 30.0
_ROOT: Final = Path(__file__).parents[3]


class GcsFake:
    """One fake on a loopback port; *options* as on its command line, without the dashes.

    What it keeps is under *directory*; started again, it goes on with that at the same address.
    """

    def __init__(self, directory: Path, **options: str | bool | int) -> None:
        self.directory = directory
        self.bucket = str(options.get("bucket", "tusbucket"))
        self.url = ""
        self._options = {"directory": str(directory), **options}
        self._process: subprocess.Popen[str] | None = None
        self.restart()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def settings(self) -> Mapping[str, str]:
        """The environment of a server that keeps its uploads here."""
        return {
            "FILELOFT_BACKEND": "gcs",
            "FILELOFT_GCS_BUCKET": self.bucket,
            "STORAGE_EMULATOR_HOST": self.url,
        }

    def kill(self) -> None:
        """Kill the process, as a power cut would; killing twice is fine."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def restart(self) -> None:
        """Start again on the same data and address; kills what still runs."""
        self.kill()
        command = [sys.executable, "-m", "tests.stores.gcs_fake"]
        for name, value in self._options.items():
            if value is not False:
                command.append(f"--{name}" if value is True else f"--{name}={value}")
        self._process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], _START_S)
        self.url = self._process.stdout.readline().strip() if ready else ""
        if not self.url:
            self.kill()
            raise AssertionError("the fake does not start")
        self._options["port"] = int(self.url.rpartition(":")[2])

    def fail(self, operation: str, kind: str = "status", **terms: float) -> None:
        """Let requests fail; see ``faults.Fault``."""
        self._tell("POST", "faults", {"operation": operation, "kind": kind, **terms})

    def heal(self) -> None:
        """Let nothing fail any more, and count anew."""
        self._tell("DELETE", "faults")

    @property
    def asked(self) -> list[str]:
        """The operations that were asked for since the last ``heal``."""
        return list(self._tell("GET", "faults"))

    @property
    def sessions(self) -> list[str]:
        """What became of the resumable sessions: open, done, cancelled, failed."""
        return [state for _, state in self._tell("GET", "sessions").values()]

    def open_keys(self) -> list[str]:
        """Return the keys of sessions that were neither finished nor aborted."""
        return [key for key, state in self._tell("GET", "sessions").values() if state == "open"]

    def keys(self) -> list[str]:
        """Return the keys of all objects."""
        return list(self._tell("GET", "keys"))

    def forget_sessions(self) -> None:
        """Know no session any more, as after a week."""
        self._tell("DELETE", "sessions")

    def wipe(self) -> None:
        """Forget every object and session."""
        self._tell("POST", "wipe")

    def identify(self, **terms: int) -> None:
        """Set ``lifetime_s`` of tokens, or the status that asking for one ``fails_with``."""
        self._tell("POST", "identity", terms)

    def revoke_tokens(self) -> None:
        """Make every token worthless."""
        self._tell("DELETE", "identity")

    @property
    def tokens_issued(self) -> int:
        """How many tokens were asked for and given."""
        return int(self._tell("GET", "identity"))

    def _tell(self, method: str, path: str, terms: object = None) -> Any:
        body = None if terms is None else json.dumps(terms).encode()
        request = Request(f"{self.url}/_fake/{path}", body, method=method)
        with urlopen(request, timeout=10) as answer:
            return json.load(answer)
