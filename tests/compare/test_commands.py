"""A server that is a command: it is started, measured and ended, or it is told why not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import pytest

from benchmarks.compare import commands
from benchmarks.compare.commands import Command, NotStartedError, running
from tests.deadline import eventually

LISTENS: Final = (
    "import socket, sys, time;"
    "held = socket.create_server(('127.0.0.1', int(sys.argv[1])));"
    "print('here'); time.sleep(60)"
)


def python(code: str) -> Command:
    return Command(words=[sys.executable, "-c", code, "{port}", "{directory}"])


def test_a_command_runs_until_the_context_ends(tmp_path: Path) -> None:
    with running(python(LISTENS), tmp_path) as peer:
        assert Path(f"/proc/{peer.pid}").exists()
        assert (tmp_path / "data").is_dir()
    eventually(lambda: not Path(f"/proc/{peer.pid}").exists())


def test_a_command_that_does_not_end_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_STOP_S", 0.1)
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + LISTENS
    with running(python(deaf), tmp_path) as peer:
        pass
    assert not Path(f"/proc/{peer.pid}").exists()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise SystemExit(3)", "ended with 3"),
        ("print('first'); print('no such option'); raise SystemExit(2)", "no such option"),
    ],
)
def test_a_command_that_ends_says_why_in_one_line(tmp_path: Path, code: str, said: str) -> None:
    with pytest.raises(NotStartedError, match=said) as caught, running(python(code), tmp_path):
        pass
    assert "\n" not in str(caught.value)


def test_a_command_that_does_not_exist_is_told(tmp_path: Path) -> None:
    none = Command(words=["no-such-server", "{port}"])
    missing = pytest.raises(NotStartedError, match="no-such-server: No such file")
    with missing, running(none, tmp_path):
        pass


def test_a_command_that_never_listens_is_ended_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_START_S", 0.2)
    mute = python("import time; time.sleep(60)")
    with pytest.raises(NotStartedError, match="does not listen"), running(mute, tmp_path):
        pass


def test_a_command_gets_path_and_nothing_else_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FILELOFT_SYNC", "none")
    _, environment = Command(words=[], environment={"A": "{port}"}).filled(1, tmp_path / "data")
    assert environment.keys() == {"PATH", "HOME", "A"}
