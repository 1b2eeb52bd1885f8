"""What a process takes of its machine."""

from __future__ import annotations

import resource

import pytest

from fileloft_fast.app import _connections
from fileloft_fast.config import read_settings


@pytest.mark.parametrize(("hard", "allowed"), [(364, 100), (1 << 20, 1000), (10, 1)])
def test_descriptors_bound_the_connections(
    hard: int, allowed: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    taken: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: taken.append(limits))
    settings = read_settings({"FILELOFT_MAX_CONNECTIONS": "1000"})
    assert _connections(settings) == allowed
    assert taken == [(hard, hard)]
    warned = [record.levelname for record in caplog.records]
    assert warned == (["WARNING"] if allowed < 1000 else [])
