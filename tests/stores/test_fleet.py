"""Two replicas, one bucket, locks in Redis: uploads go from one to the other and arrive."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.server import Server
from tests.stores.clouds import S3Cloud
from tests.stores.fleet import travel
from tests.stores.redis_server import RedisServer

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_uploads_travel_between_replicas(tmp_path: Path) -> None:
    with ExitStack() as stack:
        (tmp_path / "redis").mkdir()
        redis = stack.enter_context(RedisServer(tmp_path / "redis"))
        cloud = stack.enter_context(S3Cloud(tmp_path / "weed"))
        settings = {
            **cloud.settings,
            "FILELOFT_ACK": "chunk",
            "FILELOFT_LOCK": "redis",
            "FILELOFT_REDIS_URL": redis.url,
            "FILELOFT_PART_SIZE": "5M",
        }
        replicas = [
            stack.enter_context(Server(tmp_path / f"spool-{name}", settings)) for name in "ab"
        ]
        seen = travel(replicas, cloud, "travel", uploads=24, at_once=6)
    assert not seen.faults, "\n".join(seen.faults)
    assert seen.uploads == 24
    assert seen.moves, "nobody moved to the other replica"
