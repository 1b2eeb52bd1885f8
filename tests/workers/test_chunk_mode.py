"""Workers with an object store are replicas of each other (FILELOFT_ACK=chunk and shared locks)."""

from __future__ import annotations

import hashlib
import os
import random
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.certificates import Authority
from tests.deadline import eventually
from tests.sender import Kind, Sender
from tests.server import Server, workers_of
from tests.stores.clouds import Cloud, S3Cloud
from tests.stores.redis_server import RedisServer
from tests.workers.upgradable import Upgradable

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.e2e]

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with S3Cloud(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as running:
        yield running


def test_an_upload_goes_on_in_every_worker_through_a_kill_and_an_upgrade(
    cloud: Cloud, redis: RedisServer, tmp_path: Path
) -> None:
    content = random.Random("workers").randbytes(6 * MIB + 123)
    settings = {
        **cloud.settings,
        "FILELOFT_ACK": "chunk",
        "FILELOFT_LOCK": "redis",
        "FILELOFT_REDIS_URL": redis.url,
        "FILELOFT_WORKERS": "3",
        "FILELOFT_SPOOL_MAX": "100M",
        "FILELOFT_SHUTDOWN_TIMEOUT": "3",
    }
    with Upgradable(tmp_path, settings) as server:
        server.wait_for_log("msg=serving workers=3")
        sender = Sender(server.address, content, Kind.CHECKED, chunk=MIB // 4)
        sender.create()
        for turn in range(12):
            sender.close()  # the next connection comes to any of the workers
            assert sender.look() == turn * MIB // 4
            sender.send()
        for pid in workers_of(server.pid)[:2]:
            os.kill(pid, signal.SIGKILL)
        sender.close()
        assert sender.look() == 3 * MIB
        assert server.upgrade() == 0
        sender.close()
        assert sender.look() == 3 * MIB
        sender.finish()
        assert cloud.sha256(sender.path) == hashlib.sha256(content).hexdigest()
        eventually(lambda: len(workers_of(server.pid)) == 3)


def test_a_worker_that_hangs_delays_an_upgrade_and_does_not_end_it(
    cloud: Cloud, redis: RedisServer, tmp_path: Path
) -> None:
    """Its cache is free once it is killed: the new process has told the old one to go by then."""
    settings = {
        **cloud.settings,
        "FILELOFT_ACK": "chunk",
        "FILELOFT_LOCK": "redis",
        "FILELOFT_REDIS_URL": redis.url,
        "FILELOFT_WORKERS": "2",
        "FILELOFT_SHUTDOWN_TIMEOUT": "0",
    }
    with Upgradable(tmp_path, settings) as server:
        server.wait_for_log("msg=serving workers=2")
        os.kill(workers_of(server.pid)[0], signal.SIGSTOP)
        seen = len(server.log)
        server.upgrade()
        server.wait_for_log("msg=serving workers=2", after=seen)
        assert len(workers_of(server.pid)) == 2


def test_a_successor_that_cannot_serve_sends_nobody_away(cloud: Cloud, tmp_path: Path) -> None:
    """It has to wait for the spool, and looks at what it needs before it says that it does."""
    pair = Authority.made(tmp_path / "authority").issue()
    settings = {**cloud.settings, **pair.settings()}
    with Upgradable(tmp_path / "data", settings) as server:
        pair.certificate.write_text("half")
        os.kill(server.pid, signal.SIGUSR2)
        server.wait_for_log('msg="upgrade failed: going on"')
        assert server.running
        assert any("FILELOFT_TLS_CERT: " in line for line in server.log)


def test_replicas_need_locks_that_they_share(cloud: Cloud, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"FILELOFT_(WORKERS|ACK|LOCK): "):
        Server(tmp_path, {**cloud.settings, "FILELOFT_WORKERS": "2", "FILELOFT_ACK": "chunk"})


def test_a_process_that_has_its_spool_alone_is_followed_by_one_that_waits_for_it(
    cloud: Cloud, tmp_path: Path
) -> None:
    """What connects between the two waits, and nobody is refused."""
    content = random.Random("spool").randbytes(MIB)
    settings = {**cloud.settings, "FILELOFT_SHUTDOWN_TIMEOUT": "3"}
    with Upgradable(tmp_path, settings) as server:
        sender = Sender(server.address, content, Kind.CHECKED, chunk=MIB // 4)
        sender.create()
        sender.send()
        os.kill(server.pid, signal.SIGUSR2)
        sender.send()
        sender.close()
        assert sender.look() == MIB // 2
        server.follow()
        sender.finish(interruptions=1)
        assert cloud.sha256(sender.path) == hashlib.sha256(content).hexdigest()
