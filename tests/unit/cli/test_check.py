"""``check``: what is in force and where it came from; what is wrong; the exit status."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from fileloft_fast.cli import run
from fileloft_fast.cli.check import check
from fileloft_fast.config import ROWS
from tests.certificates import Authority

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_every_setting_is_printed_with_its_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    env = {
        "FILELOFT_DATA_DIR": str(tmp_path),
        "FILELOFT_BASE_PATH": "up",
        "FILELOFT_FILE_MODE": "640",
        "FILELOFT_LOCK_TIMEOUT": "2.50",
        "FILELOFT_BIND": "[::1]:1,localhost:2",
        "FILELOFT_ENABLE_DOWNLOAD": "TRUE",
        "FILELOFT_MIN_FREE": "1K",
        "RUST_LOG": "a=debug",
    }
    assert run(["check"], env) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) == len(ROWS) + 1
    assert "FILELOFT_BASE_PATH = /up/  # environment, FILELOFT_BASE_PATH\n" in out
    assert "FILELOFT_FILE_MODE = 0640  # environment" in out
    assert "FILELOFT_LOCK_TIMEOUT = 2.5  # environment" in out
    assert "FILELOFT_BIND = [::1]:1,localhost:2  # environment" in out
    assert "FILELOFT_ENABLE_DOWNLOAD = 1  # environment" in out
    assert "FILELOFT_MIN_FREE = 1024  # environment" in out
    assert "FILELOFT_LOG = debug  # environment, RUST_LOG\n" in out
    assert "FILELOFT_SYNC = complete  # default\n" in out
    assert "FILELOFT_UNIX_SOCKET = (none)  # default\n" in out
    assert out.endswith("\nok\n")


def test_each_wrong_setting_has_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env = {"FILELOFT_DATA_DIR": str(tmp_path), "FILELOFT_BIND": "x", "FILELOFT_SYNC": "often"}
    assert run(["check"], env) == 1
    out = capsys.readouterr().out
    assert "error: FILELOFT_BIND: " in out
    assert "error: FILELOFT_SYNC: " in out
    assert out.endswith("\nnot fit to serve\n")


def test_an_unknown_variable_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    env = {"FILELOFT_DATA_DIR": str(tmp_path), "FILELOFT_MIN_FREE": "0", "FILELOFT_BNID": "x"}
    assert run(["check"], env) == 0
    assert "warning: FILELOFT_BNID: " in capsys.readouterr().out


def test_a_data_directory_that_takes_no_files_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain_file = tmp_path / "file"
    plain_file.touch()
    assert run(["check"], {"FILELOFT_DATA_DIR": str(plain_file)}) == 1
    assert "error: FILELOFT_DATA_DIR: cannot write to " in capsys.readouterr().out


def test_a_data_directory_that_is_yet_to_be_made_is_fit_where_it_can_be(tmp_path: Path) -> None:
    env = {"FILELOFT_DATA_DIR": str(tmp_path / "a" / "b"), "FILELOFT_MIN_FREE": "0"}
    assert run(["check"], env) == 0
    assert list(tmp_path.iterdir()) == []


def test_too_little_free_space_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env = {"FILELOFT_DATA_DIR": str(tmp_path), "FILELOFT_MIN_FREE": "1000000T"}
    assert run(["check"], env) == 1
    assert "error: FILELOFT_MIN_FREE: " in capsys.readouterr().out


def test_the_extra_of_a_backend_is_looked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    env = {
        "FILELOFT_DATA_DIR": str(tmp_path),
        "FILELOFT_MIN_FREE": "0",
        "FILELOFT_GCS_BUCKET": "b",
        "FILELOFT_LOCK": "redis",
    }
    assert run(["check"], env) == 0
    out = capsys.readouterr().out
    assert "FILELOFT_BACKEND = gcs  # environment, FILELOFT_GCS_BUCKET\n" in out
    assert "FILELOFT_BACKEND=gcs: its extra is installed\n" in out
    assert "FILELOFT_LOCK=redis: its extra is installed\n" in out
    ours = ("fileloft_fast.stores.remote.gcs", "fileloft_fast.uploads.leases.")
    for module in [name for name in sys.modules if name.startswith(ours)]:
        monkeypatch.delitem(sys.modules, module)
    for library in [name for name in sys.modules if name.startswith(("google.auth", "redis"))]:
        monkeypatch.setitem(sys.modules, library, None)
    assert run(["check"], env) == 1
    out = capsys.readouterr().out
    assert "FILELOFT_BACKEND=gcs needs an extra: pip install 'fileloft-fast[gcs]'\n" in out
    assert "FILELOFT_LOCK=redis needs an extra: pip install 'fileloft-fast[redis]'\n" in out
    assert "its extra is installed" not in out


def test_the_extra_of_a_storage_in_a_bucket_is_looked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    env = {
        "FILELOFT_DATA_DIR": str(tmp_path),
        "FILELOFT_MIN_FREE": "0",
        "FILELOFT_STORAGES": "media=s3://bucket/prefix/",
        "FILELOFT_STORAGE_KEYS": "k" * 32,
    }
    assert run(["check"], env) == 0
    assert "storage media=s3://bucket/prefix/\n" in capsys.readouterr().out
    for module in [
        name for name in sys.modules if name.startswith("fileloft_fast.stores.remote.s3")
    ]:
        monkeypatch.delitem(sys.modules, module)
    for library in [name for name in sys.modules if name.partition(".")[0] == "aiobotocore"]:
        monkeypatch.setitem(sys.modules, library, None)
    assert run(["check"], env) == 1
    wanted = "the storage media needs an extra: pip install 'fileloft-fast[s3]'\n"
    assert wanted in capsys.readouterr().out


def test_a_secret_is_never_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env = {
        "FILELOFT_DATA_DIR": str(tmp_path),
        "FILELOFT_REDIS_URL": "redis://:hush@127.0.0.1/0",
        "AZURE_STORAGE_CONNECTION_STRING": "AccountKey=hush",
    }
    run(["check"], env)
    out = capsys.readouterr().out
    assert "hush" not in out
    assert "FILELOFT_REDIS_URL = (set)  # environment" in out
    run(["check"], {**env, "FILELOFT_REDIS_URL": "hush"})
    assert "hush" not in capsys.readouterr().out


def test_a_key_that_is_not_the_certificates_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    authority = Authority(tmp_path)
    pair, other = authority.issue(), authority.issue()
    fit = pair.settings() | {"FILELOFT_DATA_DIR": str(tmp_path)}
    assert check(fit) == 0
    assert check(fit | {"FILELOFT_TLS_KEY": str(other.key)}) == 1
    assert "error: FILELOFT_TLS_KEY: " in capsys.readouterr().out


def test_the_named_storages_are_printed_and_what_is_wrong_with_their_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "storages.toml"
    file.write_text('[storages.media]\nfolder = "/proc/media"\n')
    env = {
        "FILELOFT_DATA_DIR": str(tmp_path),
        "FILELOFT_STORAGES": "public",
        "FILELOFT_STORAGES_FILE": str(file),
        "FILELOFT_STORAGE_KEYS": "k" * 32,
    }
    assert run(["check"], env) == 1
    out = capsys.readouterr().out
    assert "storage public=\n" in out
    assert "error: FILELOFT_STORAGES: media: cannot write to /proc" in out
    file.write_text("[storages.public]")
    assert run(["check"], env) == 1
    assert "error: FILELOFT_STORAGES_FILE: public is taken\n" in capsys.readouterr().out
