"""Whether a server is ready whose object store has gone, by what its answers promise."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.deadline import eventually
from tests.endpoint import Endpoint
from tests.server import Server
from tests.stores.clouds import CLOUDS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e


def reasons(server: Server) -> list[str]:
    answer = Endpoint(server).ask("GET", "/readyz", {})
    assert answer.status == (503 if json.loads(answer.body)["reasons"] else 200)
    found: list[str] = json.loads(answer.body)["reasons"]
    return found


def test_it_is_not_ready_where_answers_wait_for_a_store_that_is_away(tmp_path: Path) -> None:
    with (
        CLOUDS["gcs"](tmp_path / "cloud") as cloud,
        Server(tmp_path / "a", {**cloud.settings, "FILELOFT_ACK": "finish"}) as finish,
        Server(tmp_path / "b", {**cloud.settings, "FILELOFT_ACK": "chunk"}) as chunk,
        Server(tmp_path / "c", {**cloud.settings, "FILELOFT_ACK": "spool"}) as spool,
    ):
        assert reasons(finish) == reasons(chunk) == reasons(spool) == []
        cloud.kill()
        eventually(lambda: reasons(finish) == ["store_unreachable"])
        eventually(lambda: reasons(chunk) == ["store_unreachable"])
        assert reasons(spool) == []
        cloud.restart()
        eventually(lambda: reasons(finish) == [])
