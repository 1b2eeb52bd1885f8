"""Events are told at least once, whoever is killed meanwhile, and always by the same key."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from tests.endpoint import Endpoint
from tests.hooks.listener import HookServer, Raw
from tests.server import Server
from tests.wire import Answer, BrokenAnswerError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROUNDS = 4


@pytest.fixture
def listener() -> Iterator[HookServer]:
    with HookServer() as server:
        yield server


def settings(listener: HookServer, **more: str) -> dict[str, str]:
    chosen = {
        "HOOKS_HTTP": listener.url,
        "HOOKS_EVENTS": "post-create,post-finish,post-terminate,stored",
        "HOOKS_BACKOFF": "0.05",
        "HOOKS_TIMEOUT": "2",
        **more,
    }
    return {f"FILELOFT_{name}": value for name, value in chosen.items()}


class Crowd:
    """Clients that create and finish uploads until they are stopped, or the server is gone."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.acknowledged: set[str] = set()
        self._endpoint = endpoint
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(6)]
        for thread in self._threads:
            thread.start()

    def wait_for(self, count: int) -> None:
        """Wait until *count* uploads were acknowledged as finished."""
        end = time.monotonic() + 60
        while len(self.acknowledged) < count:
            assert time.monotonic() < end
            time.sleep(0.002)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        while not self._stop.is_set():
            try:
                if number % 2:
                    upload = self._endpoint.finish(b"in one")
                else:
                    upload = self._endpoint.create(6)
                    if self._endpoint.append(upload, 0, b"in two").status != 204:
                        continue
            except (OSError, BrokenAnswerError, AssertionError):
                continue  # the server was killed under it
            self.acknowledged.add(upload.rsplit("/", 1)[1])


def keys_by_upload(listener: HookServer, kind: str) -> dict[str, set[str]]:
    keys: dict[str, set[str]] = defaultdict(set)
    for heard in tuple(listener.heard):
        if heard.type == kind:
            keys[heard.upload["ID"]].add(heard.key)
    return keys


def finished(endpoint: Endpoint) -> set[str]:
    """Return the uploads of which the disk has every byte."""
    found = set()
    for name in endpoint.uploads():
        info = json.loads((endpoint.server.data / f"{name}.info").read_bytes() or b"{}")
        size = (endpoint.server.data / name).stat().st_size
        if info and info["size"] == size:
            found.add(name)
    return found


@pytest.mark.parametrize("workers", ["1", "2"])
def test_no_event_is_lost_or_made_twice_whoever_is_killed(
    tmp_path: Path, listener: HookServer, workers: str
) -> None:
    acknowledged: set[str] = set()
    for number in range(ROUNDS):
        server = Server(tmp_path, settings(listener, WORKERS=workers))
        crowd = Crowd(Endpoint(server))
        crowd.wait_for(20)
        if number % 2:
            listener.stop()
            crowd.wait_for(60)
        server.kill()
        crowd.stop()
        acknowledged |= crowd.acknowledged
        listener.start()
    with Server(tmp_path, settings(listener)) as server:
        endpoint = Endpoint(server)
        expected = finished(endpoint)
        assert acknowledged <= expected
        end = time.monotonic() + 30
        while not expected <= set(keys_by_upload(listener, "stored")):
            assert time.monotonic() < end, len(expected - set(keys_by_upload(listener, "stored")))
            time.sleep(0.05)
        for kind in ("post-create", "post-finish", "stored"):
            keys = keys_by_upload(listener, kind)
            assert expected <= set(keys)
            assert all(len(each) == 1 for each in keys.values()), kind
        assert set(keys_by_upload(listener, "post-finish")) == expected
        last = endpoint.finish(
            b"the last"
        )  # in this process's own file; those of the others are over
        while len(list((tmp_path / "outbox").glob("*.events"))) > 1:
            assert time.monotonic() < end
            time.sleep(0.05)
        listener.wait_for("stored", of=last)
    left = list((tmp_path / "outbox").glob("*.events"))
    assert left == []  # all was told, and the files are gone


def test_what_could_not_be_told_waits_for_the_next_process(
    tmp_path: Path, listener: HookServer
) -> None:
    listener.stop()
    with Server(tmp_path, settings(listener)) as server:
        endpoint = Endpoint(server)
        uploads = [endpoint.finish(b"x") for _ in range(5)]
        assert endpoint.ask("DELETE", uploads[0]).status == 204
        server.wait_for_log("hook not told yet")
    listener.start()
    with Server(tmp_path, settings(listener)):
        listener.wait_for("post-terminate", of=uploads[0])
        listener.wait_for("post-finish", 5)
    assert listener.types(uploads[0]) == ["post-create", "post-finish", "stored", "post-terminate"]


def test_a_try_that_fails_is_made_again_with_the_same_key(
    tmp_path: Path, listener: HookServer
) -> None:
    fails = iter([Raw(500), Raw(404), Raw(status=200, body=b"")])
    listener.answers["post-finish"] = lambda _: next(fails, Raw())
    with Server(tmp_path, settings(listener)) as server:
        upload = Endpoint(server).finish(b"x")
        tries = listener.wait_for("post-finish", 3, of=upload)
    assert len({heard.key for heard in tries}) == 1
    assert len({heard.body for heard in tries}) == 1


def test_an_answer_that_cannot_be_read_is_an_answer_to_what_is_only_told(
    tmp_path: Path, listener: HookServer
) -> None:
    listener.answers["post-finish"] = Raw(body=b"OK", headers={"Content-Type": "text/plain"})
    with Server(tmp_path, settings(listener)) as server:
        upload = Endpoint(server).finish(b"x")
        listener.wait_for("stored", of=upload)  # which comes after it
        assert len(listener.wait_for("post-finish", of=upload)) == 1


def test_what_nobody_wants_becomes_a_dead_letter(tmp_path: Path, listener: HookServer) -> None:
    listener.answers["post-finish"] = Raw(500)
    chosen = settings(listener, HOOKS_MAX_AGE="0.2", HOOKS_EVENTS="post-finish,post-terminate")
    with Server(tmp_path, chosen) as server:
        endpoint = Endpoint(server)
        upload = endpoint.finish(b"x")
        server.wait_for_log("dead letter")
        (letter,) = (tmp_path / "outbox/dead-letters").iterdir()
        told = json.loads(letter.read_text())
        assert told["event"] == "post-finish"
        assert told["request"]["Event"]["Upload"]["ID"] == upload.rsplit("/", 1)[1]
        assert told["idempotency_key"] == listener.wait_for("post-finish", of=upload)[0].key
        assert endpoint.ask("DELETE", upload).status == 204
        listener.wait_for("post-terminate", of=upload)  # goes on with what comes after


def test_a_stop_does_not_wait_for_a_hook_that_hangs(tmp_path: Path, listener: HookServer) -> None:
    gate = threading.Event()
    listener.answers["pre-create"] = Raw(wait=gate)
    listener.answers["post-create"] = Raw(wait=gate)
    chosen = settings(
        listener,
        HOOKS_EVENTS="pre-create,post-create",
        HOOKS_TIMEOUT="60",
        SHUTDOWN_TIMEOUT="0.3",
    )
    with Server(tmp_path, chosen) as server:
        endpoint = Endpoint(server)
        answers: list[Answer] = []
        waiting = threading.Thread(
            target=lambda: answers.append(endpoint.post({"Upload-Length": "5"}))
        )
        waiting.start()
        assert listener.asked.wait(10)
        started = time.monotonic()
        server.terminate()
        assert server.wait() == 0
        assert time.monotonic() - started < 30
        waiting.join()
        assert [answer.status for answer in answers] == [503]
        assert endpoint.uploads() == set()
    gate.set()
