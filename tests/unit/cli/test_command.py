"""The command line: which command runs, with which settings, and the exit status."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

from fileloft_fast import app
from fileloft_fast.cli import command, main, run
from fileloft_fast.config import ROWS
from fileloft_fast.errors import ConfigError

if TYPE_CHECKING:
    from fileloft_fast.app.workers import Launch
    from fileloft_fast.config import Settings


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Return the settings that a stand-in for the server was started with."""
    calls: list[Settings] = []

    def serve(settings: Settings, _launch: Launch) -> int:
        calls.append(settings)
        return 0

    monkeypatch.setattr(app, "serve", serve)
    monkeypatch.setattr(command, "configure_log", lambda _level, **_: None)
    return calls


@pytest.mark.parametrize("argv", [[], ["serve"]])
def test_serving_is_the_default(served: list[Settings], argv: list[str]) -> None:
    assert run(argv, {"FILELOFT_MAX_SIZE": "7"}) == 0
    assert [settings.max_size_bytes for settings in served] == [7]


def test_a_wrong_value_stops_the_start_with_one_line_and_status_2(
    served: list[Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([], {"FILELOFT_SYNC": "often"}) == 2
    assert served == []
    err = capsys.readouterr().err
    assert err.startswith("fileloft-fast: FILELOFT_SYNC: must be ")
    assert err.count("\n") == 1


def test_a_setting_that_fails_only_at_the_start_is_one_line_too(
    served: list[Settings], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def serve(_settings: Settings, _launch: Launch) -> int:
        raise ConfigError("FILELOFT_BIND: address already in use")

    monkeypatch.setattr(app, "serve", serve)
    assert run([], {}) == 2
    assert served == []
    assert capsys.readouterr().err == "fileloft-fast: FILELOFT_BIND: address already in use\n"


def test_an_unknown_variable_is_logged_and_ignored(
    served: list[Settings], caplog: pytest.LogCaptureFixture
) -> None:
    assert run([], {"FILELOFT_BNID": "x"}) == 0
    assert len(served) == 1
    assert [record.getMessage() for record in caplog.records] == ["unknown setting ignored"]


def test_help_lists_every_variable_with_default_and_meaning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(["--help"], {})
    assert ended.value.code == 0
    out = capsys.readouterr().out
    for row in ROWS.values():
        assert f"  {row.variable} [{row.default or 'unset'}]\n      {row.meaning}" in out


def test_version_is_that_of_the_distribution(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["fileloft-fast", "--version"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"fileloft-fast {version('fileloft-fast')}\n"


def test_wrong_usage_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(["srve"], {})
    assert ended.value.code == 2
    assert "invalid choice" in capsys.readouterr().err
