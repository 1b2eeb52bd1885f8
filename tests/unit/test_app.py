"""What a process takes of its machine, and of its libraries."""

from __future__ import annotations

import itertools
import resource
import subprocess
import sys
import tomllib

import pytest

from fileloft_fast.app.process import _connections
from fileloft_fast.config import read_settings
from tests.unit.guards.house import ROOT

S3 = {"FILELOFT_S3_BUCKET": "b", "FILELOFT_FLUSH_CONCURRENCY": "6"}


@pytest.mark.parametrize(
    ("hard", "allowed", "more"),
    [(364, 100, {}), (1 << 20, 1000, {}), (10, 1, {}), (364 + 6 * 16, 100, S3)],
)
def test_descriptors_bound_the_connections(
    hard: int,
    allowed: int,
    more: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    taken: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: taken.append(limits))
    settings = read_settings({"FILELOFT_MAX_CONNECTIONS": "1000", **more})
    assert _connections(settings) == allowed
    assert taken == [(hard, hard)]
    warned = [record.levelname for record in caplog.records]
    assert warned == (["WARNING"] if allowed < 1000 else [])


def test_a_server_on_a_local_disk_loads_nothing_of_the_object_stores() -> None:
    libraries = {"aiobotocore", "aiohttp", "azure", "botocore", "google", "jwt", "redis"}
    script = (
        "import sys, fileloft_fast.cli; print(*{name.partition('.')[0] for name in sys.modules})"
    )
    command = [sys.executable, "-c", script]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "fileloft_fast" in loaded
    assert libraries.isdisjoint(loaded)


def test_the_test_group_has_what_the_extras_have() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    assert set(extras) == {"s3", "gcs", "azure", "redis", "hooks", "jwt", "bench", "client"}
    wanted = set(itertools.chain(*extras.values()))
    assert sorted(wanted) == sorted(project["dependency-groups"]["extras"])
    assert {"include-group": "extras"} in project["dependency-groups"]["test"]
