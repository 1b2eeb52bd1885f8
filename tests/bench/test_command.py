"""The command ``bench``: its arguments, exit status, outputs, and servers that it starts."""

from __future__ import annotations

import io
import re
import shlex
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Final
from urllib.parse import quote
from xml.etree import ElementTree as ET

import pytest

from fileloft_fast.bench import WORKS, decode_report
from fileloft_fast.bench.dialects import DIALECTS
from fileloft_fast.cli import run
from fileloft_fast.cli.bench import PROTOCOLS, WORK_NAMES
from tests.bench.fake import Manners, fake_server
from tests.bench.measuring import url_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Fleet
    from tests.endpoint import Endpoint

NOWHERE: Final = "http://127.0.0.1:9/files/"
QUICK: Final = (
    "--size=1M", "--chunk=256K", "--streams=2", "--small-size=100", "--small-count=50",
    "--connections=4", "--slow-connections=10", "--slow-time=1", "--timeout=10",
)  # fmt: skip


def bench(*words: str) -> int:
    return run(["bench", *words], {})


def test_the_works_are_those_of_the_bench() -> None:
    assert list(WORKS) == list(WORK_NAMES)
    assert list(DIALECTS) == list(PROTOCOLS)


def test_all_works_are_measured_and_written(
    shop: Endpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--json", str(tmp_path / "r.json"), "--markdown", str(tmp_path / "r.md")]
    words = [*QUICK, "--pid", str(shop.server.pid), "--plots", str(tmp_path / "plots"), *files]
    assert bench(url_of(shop), *words, "--rounds", "2", "--token", "s3cret") == 0
    said = capsys.readouterr()
    assert said.err == ""  # no bar where nobody looks
    assert (tmp_path / "r.md").read_text() == said.out
    rows = [line.split(" | ")[0].strip("| ") for line in said.out.splitlines() if "|" in line]
    assert rows == ["work", "---", *WORK_NAMES]
    report = decode_report((tmp_path / "r.json").read_bytes())
    assert [(each.round, each.work) for each in report.results] == [
        (turn, work) for turn in (1, 2) for work in WORK_NAMES
    ]
    assert report.machine.server_directory is not None
    assert report.machine.server_directory.path == str(shop.server.data.resolve())
    assert "s3cret" not in said.out + (tmp_path / "r.json").read_text()
    assert report.command[:3] == ("fileloft-fast", "bench", url_of(shop))
    _check_plots(tmp_path / "plots")


def _check_plots(directory: Path) -> None:
    names = {path.name for path in directory.iterdir()}
    stems = ("latency", "bytes", "uploads", "cpu_bytes", "cpu_uploads", "cpu")
    assert names == {f"{stem}.{kind}" for stem in stems for kind in ("svg", "png")}
    for path in directory.iterdir():
        if path.suffix == ".svg":
            assert ET.fromstring(path.read_text()).tag == "{http://www.w3.org/2000/svg}svg"
        else:
            assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_a_failure_is_the_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    with fake_server(Manners(fails_every=10)) as fake:
        assert bench(fake.url, *QUICK, "--only", "small") == 1
    said = capsys.readouterr().out
    assert "5 x step 1: 503" in said
    assert "first failure: `HTTP/1.1 503" in said


def test_quiet_prints_nothing(tus: Endpoint, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(url_of(tus), *QUICK, "--only", "large", "--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_a_server_is_started_and_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    address = f"127.0.0.1:{port}"
    command = shlex.join(
        ["env", f"FILELOFT_BIND={address}", f"FILELOFT_DATA_DIR={tmp_path / 'data'}",
         "FILELOFT_GRANT_SECRET=0123456789abcdef0123456789abcdef",
         sys.executable, "-m", "fileloft_fast", "serve"]
    )  # fmt: skip
    words = [f"http://{address}/files/", *QUICK, "--only", "large,small", "--command", command]
    assert bench(*words) == 0
    said = capsys.readouterr().out
    assert "0123456789" not in said
    assert "MiB" in said
    assert str(tmp_path / "data") in said
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_a_command_that_ends_at_once_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    command = shlex.join([sys.executable, "-c", "print('no such database'); exit(3)"])
    assert bench(NOWHERE, "--command", command) == 2
    said = capsys.readouterr().err
    assert "ended with 3" in said
    assert "no such database" in said


def test_a_command_is_not_started_where_somebody_answers_already(
    tus: Endpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(url_of(tus), "--command", f"touch {tmp_path / 'started'}") == 2
    assert "answers already" in capsys.readouterr().err
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["https://127.0.0.1/files/"], "https is not measured: .*sendfile"),
        (["ftp://127.0.0.1/"], "must be a URL such as"),
        (["127.0.0.1:8080"], "must be a URL such as"),
        (["http://127.0.0.1:99999/"], "Port"),
        (["http://me:secret@127.0.0.1/"], "a password in it"),
        ([NOWHERE, "--header", "Host: x"], "what the tool itself says"),
        ([NOWHERE, "--header", "upload-length: 3"], "what the tool itself says"),
        ([NOWHERE, "--header", "nonsense"], "must be 'Name: value'"),
        ([NOWHERE, "--token", "a\r\nb"], "must be 'Name: value'"),
        ([NOWHERE, "--token", "@/does/not/exist"], "No such file"),
        ([NOWHERE, "--command", "'"], "--command"),
        ([NOWHERE, "--command", ""], "--command"),
        ([NOWHERE, "--command", "/does/not/exist"], "/does/not/exist: No such file"),
        ([NOWHERE, "--json", "/does/not/exist/r.json"], "cannot be written"),
        ([NOWHERE, "--markdown", "/"], "cannot be written"),
        ([NOWHERE, "--chunk", "1"], "more than 100000 chunks"),
        ([NOWHERE, "--slow-connections", "10000000"], "ulimit -n"),
        ([NOWHERE, "--pid", "4194304"], "process 4194304: No such"),
        ([NOWHERE], "no answer: .*refused"),
    ],
)
def test_what_cannot_be_measured_is_said_in_a_line(
    words: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(*words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(why, err), err
    assert err.count("\n") == 1
    assert "secret" not in err


@pytest.mark.parametrize(
    "words",
    [
        [],
        [NOWHERE, "--only", "large,huge"],
        [NOWHERE, "--size", "much"],
        [NOWHERE, "--size", "0"],
        [NOWHERE, "--streams", "0"],
        [NOWHERE, "--rounds", "-1"],
        [NOWHERE, "--rate", "inf"],
        [NOWHERE, "--rate", "0"],
        [NOWHERE, "--timeout", "soon"],
        [NOWHERE, "--pid", "1", "--command", "true"],
    ],
)
def test_wrong_usage_is_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        bench(*words)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_plots_need_an_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert bench(NOWHERE, "--plots", str(tmp_path)) == 2
    assert "pip install 'fileloft-fast[bench]'" in capsys.readouterr().err


def test_a_server_loads_nothing_of_the_bench() -> None:
    script = "import sys, fileloft_fast.__main__; print(*sys.modules)"
    command = [sys.executable, "-c", script]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "fileloft_fast.cli.bench" in loaded
    assert not {"fileloft_fast.bench", "fileloft_fast.dataplane.load", "matplotlib"} & set(loaded)


def test_a_bar_is_for_a_terminal(tus: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert bench(url_of(tus), *QUICK, "--only", "large,small,resume") == 0
    said = terminal.getvalue()
    assert "large" in said
    assert "0.00/1.05M" in said
    assert "uploads/s" in said


def test_a_unix_socket_is_measured_too(
    fleet: Fleet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "s"
    with fleet.start(UNIX_SOCKET=str(path)) as server:
        url = f"http+unix://{quote(str(path), safe='')}/files/"
        words = [url, *QUICK, "--only", "large,streams,small,resume", "--pid", str(server.pid)]
        assert bench(*words) == 0, capsys.readouterr().out


def test_ipv6_and_names_are_measured_too(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    with fleet.start(BIND="[::1]:0") as server:
        url = f"http://[::1]:{server.address[1]}/files/"
        assert bench(url, *QUICK, "--only", "small") == 0, capsys.readouterr().out
    with fleet.start(BIND="127.0.0.1:0") as server:
        url = f"http://localhost:{server.address[1]}/files/"
        assert bench(url, *QUICK, "--only", "small") == 0, capsys.readouterr().out
