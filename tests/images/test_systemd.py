"""The systemd units: what systemd itself says of them, and what the server needs of the kernel."""

from __future__ import annotations

import re
import subprocess
from configparser import RawConfigParser
from typing import TYPE_CHECKING, Final

import pytest

from fileloft_fast.config import ROWS, read_settings
from tests.images.dockerfile import ROOT

if TYPE_CHECKING:
    from pathlib import Path

FOLDER: Final = ROOT / "deploy" / "systemd"
SERVICE: Final = FOLDER / "fileloft-fast.service"
LARGEST_EXPOSURE: Final = 14  # in tenths, as --threshold takes it; 100 is wide open
NEEDED: Final = {
    *("splice", "sendfile", "copy_file_range", "fallocate", "sync_file_range", "ioctl"),
    *("fdatasync", "fsync", "pwrite64", "pread64", "pipe2", "eventfd2", "epoll_wait", "flock"),
    *("prlimit64", "fchmod", "renameat", "fcntl", "clone3", "execve", "kill", "wait4", "waitid"),
    *("recvfrom", "sendmsg", "accept4", "timerfd_create", "socketpair", "copy_file_range"),
}
"""What the engine, the loop, workers and hooks ask the kernel for, beyond what all programs do."""


def unit(path: Path) -> RawConfigParser:
    """Read a unit; of a key that is given twice the values are put together."""
    text: list[str] = []
    for line in path.read_text().splitlines():
        key, _, value = line.partition("=")
        before = next((n for n, each in enumerate(text) if each.startswith(f"{key}=")), None)
        if before is None or not value:
            text.append(line)
        else:
            text[before] += f" {value}"
    parser = RawConfigParser(delimiters="=", comment_prefixes="#", strict=True)
    parser.optionxform = str  # type: ignore[method-assign,assignment] # keys keep their case
    parser.read_string("\n".join(text))
    return parser


def systemd_analyze(*words: str) -> str:
    """Return what systemd-analyze prints, and fail where it does."""
    done = subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def expanded(name: str) -> set[str]:
    """Return the system calls of a group such as ``@file-system``."""
    calls: set[str] = set()
    for line in systemd_analyze("syscall-filter", name).splitlines()[1:]:
        word = line.strip()
        if word and not word.startswith("#"):
            calls |= expanded(word) if word.startswith("@") else {word}
    return calls


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    for path in FOLDER.glob("fileloft-fast.*"):
        # the program is not installed here
        text = path.read_text().replace("/opt/fileloft-fast/bin/fileloft-fast", "/bin/true")
        (tmp_path / path.name).write_text(text)
    units = [str(tmp_path / f"fileloft-fast.{kind}") for kind in ("service", "socket")]
    said = systemd_analyze("verify", "--man=no", *units)
    assert [line for line in said.splitlines() if "fileloft-fast" in line] == []


def test_systemd_calls_the_service_well_protected() -> None:
    threshold = f"--threshold={LARGEST_EXPOSURE}"
    systemd_analyze("security", "--offline=yes", "--no-pager", threshold, str(SERVICE))


def test_the_filter_lets_through_what_the_server_needs() -> None:
    allowed, taken = unit(SERVICE)["Service"]["SystemCallFilter"].split("~")
    calls = set().union(*map(expanded, allowed.split()))
    calls -= set().union(*map(expanded, taken.split()))
    assert NEEDED - calls == set()
    assert not calls & {"mount", "ptrace", "bpf", "setuid", "chroot", "keyctl"}


def test_the_settings_can_be_served_and_fit_the_unit() -> None:
    service = unit(SERVICE)["Service"]
    env = dict([service["Environment"].split("=", 1)])
    settings = read_settings(env)
    assert settings.data_dir == ROWS["data_dir"].default == f"/var/lib/{service['StateDirectory']}"
    assert int(service["TimeoutStopSec"]) > settings.shutdown_timeout_s
    assert service["ExecStart"].split()[1:] == ["serve"]
    assert service["Type"] == "notify"


def test_systemd_waits_for_a_main_process_that_is_not_its_child() -> None:
    # which it is after an upgrade; systemd 257 then sends SIGTERM and SIGKILL in one go
    service = unit(SERVICE)["Service"]
    assert "kill -TERM $MAINPID" in service["ExecStop"]
    assert "while kill -0 $MAINPID" in service["ExecStop"]
    assert service["KillMode"] == "mixed"


def test_the_socket_opens_the_port_of_the_settings() -> None:
    socket = unit(FOLDER / "fileloft-fast.socket")["Socket"]
    assert ROWS["bind"].default.endswith(f":{socket['ListenStream']}")


@pytest.mark.parametrize("key", ["User", "Group"])
def test_the_user_is_one_that_sysusers_makes(key: str) -> None:
    made = re.findall(r"^u (\S+) ", (FOLDER / "fileloft-fast.sysusers").read_text(), re.MULTILINE)
    assert made == [unit(SERVICE)["Service"][key]]
