"""The status page over the wire: who may see it, what it tells, and when it ends."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

import pytest

from fileloft_fast.app.status import MOST_UPLOADS
from fileloft_fast.pages.events import MOST_LISTENERS
from tests.deadline import eventually
from tests.endpoint import Endpoint, metadata
from tests.pages.listening import EVENTS, KEY, asked, listening, request
from tests.pages.test_serving import POLICY, look
from tests.storages.app_server import KEY as APP_KEY
from tests.storages.app_server import AppServer
from tests.tokens import JWT_SECRET, shared
from tests.wire import Wire, render_request
from tests.workers.upgradable import Upgradable

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Fleet

KIB: Final = 1024
FILES: Final = (
    "/ui/status",
    *(
        f"/ui/status/{name}"
        for name in ("base.css", "status.css", "status.js", "events.js", "plot.js")
    ),
    *(f"/ui/status/{name}" for name in ("words.js", "icon.svg")),
)


@pytest.fixture
def watched(fleet: Fleet) -> Iterator[Endpoint]:
    """Return a server of the test's own: tries are counted."""
    with fleet.start(STATUS_KEY=KEY, ENABLE_DOWNLOAD="1") as server:
        yield Endpoint(server)


@pytest.fixture(scope="module")
def status(fleet: Fleet) -> Endpoint:
    """Return a server that tests share which count nothing."""
    return fleet.endpoint(STATUS_KEY=KEY)


@contextmanager
def uploading(tus: Endpoint, upload: str, length: int, sent: bytes) -> Iterator[None]:
    """Hold a PATCH of *length* bytes open, of which only *sent* has been sent."""
    head = tus.render_append(upload, 0, b"", {"Content-Length": str(length)})
    with tus.connect() as wire:
        wire.send(head + sent)
        yield


def test_the_files_are_guarded_and_tell_nothing(status: Endpoint) -> None:
    for path in FILES:
        answer = look(status, path)
        assert answer.status == 200, path
        assert answer["Content-Security-Policy"] == POLICY
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer.body == look(status, path).body
        assert KEY.encode() not in answer.body
    assert look(status, "/ui/").status == 404  # the page for people is another setting


@pytest.mark.parametrize("path", [*FILES, EVENTS])
def test_without_a_key_there_is_no_status(tus: Endpoint, path: str) -> None:
    answer = look(tus, path, Authorization=f"Bearer {KEY}")
    assert answer.status == 404


def test_a_listener_is_told_of_uploads_that_run(watched: Endpoint) -> None:
    upload = watched.create(1000 * KIB, {"Upload-Metadata": metadata(filename="private.txt")})
    name = upload.rsplit("/", 1)[1]
    with listening(watched.server.address) as listener:
        with uploading(watched, upload, 1000 * KIB, bytes(700 * KIB)):
            told = listener.snapshot(lambda said: said["uploads"] and said["held"])
            (running,) = told["uploads"]
            assert running["id"] == name
            assert running["state"] == "receiving"
            assert running["client"].startswith("127.0.0.1:")
            assert running["length"] == 1000 * KIB
            listener.snapshot(lambda said: said["uploads"][0]["offset"] == 700 * KIB)
            told = listener.snapshot(lambda said: said["uploads"][0]["rate"] == 0)
            assert told["more"] == 0
            assert told["reasons"] == []
            assert told["workers"] == 1
            assert told["flushing"] is None
            assert told["disk_free"] > 0
            assert told["rates"] is not None
            assert told["totals"]["created"] == 1
            assert told["totals"]["received"] == 700 * KIB
            assert "private" not in str(told)
        told = listener.snapshot(lambda said: not said["uploads"])
    with listening(watched.server.address):
        pass


def test_only_the_slowest_are_told_of(watched: Endpoint) -> None:
    with ExitStack() as stack:
        paths = [watched.create(10) for _ in range(MOST_UPLOADS + 2)]
        for number, upload in enumerate(paths):
            stack.enter_context(uploading(watched, upload, 10, b"12" if number % 2 else b""))
        listener = stack.enter_context(listening(watched.server.address))
        told = listener.snapshot(lambda said: said["more"] == 2)
        assert len(told["uploads"]) == MOST_UPLOADS
        rates = [each["rate"] for each in told["uploads"]]
        assert rates == sorted(rates)


def test_what_comes_to_a_named_storage_is_told_of_while_it_comes(fleet: Fleet) -> None:
    storages = {"STORAGES": "public=?public=1", "STORAGE_KEYS": APP_KEY}
    with fleet.start(STATUS_KEY=KEY, METRICS_BIND="127.0.0.1:0", **storages) as server:
        description = AppServer(server, APP_KEY).ticket("a/path")
        target = description["url"].partition("//")[2].partition("/")[2]
        with listening(server.address) as listener, Wire(server.address) as wire:
            length = {"Content-Length": str(1000 * KIB), "Tus-Resumable": None}
            wire.send(render_request("PUT", f"/{target}", length) + bytes(700 * KIB))
            told = listener.snapshot(
                lambda said: said["uploads"] and said["uploads"][0]["offset"] == 700 * KIB
            )
            assert told["uploads"][0]["length"] == 1000 * KIB
            assert "path" not in told["uploads"][0]["id"]
            assert description["url"].rpartition("=")[2] not in str(told)
            told = listener.snapshot(lambda said: said["totals"]["received"] >= 700 * KIB)
            assert told["held"] == 1


def test_rates_are_of_the_last_second(watched: Endpoint) -> None:
    with listening(watched.server.address) as listener:
        assert listener.snapshot()["rates"] is None  # nothing was counted before
        whole = watched.create(3)
        assert watched.append(whole, 1, b"").status == 409
        assert watched.append(whole, 0, b"abc").status == 204
        assert watched.ask("GET", whole, {}).body == b"abc"
        seen = {"received": 0.0, "sent": 0.0, "requests": 0.0, "errors": 0.0}

        def counted(said: dict[str, dict[str, float]]) -> bool:
            for key in seen:
                seen[key] += said["rates"][key]
            return min(seen.values()) > 0

        listener.snapshot(counted)
        told = listener.snapshot(lambda said: said["rates"]["requests"] == 0)
        assert told["rates"]["errors"] == told["rates"]["received"] == 0
        assert told["totals"]["refused"] == 1
        assert told["totals"]["requests"] == 4
        assert told["totals"]["finished"] == 1


def test_a_wrong_key_is_refused_and_soon_every_key(watched: Endpoint) -> None:
    address = watched.server.address
    answer = asked(address, None)
    assert answer.status == 401
    assert answer["Www-Authenticate"].startswith("Bearer")
    by_query = render_request("GET", f"{EVENTS}?token={KEY}&key={KEY}", {}, b"")
    assert watched.exchange(by_query).status == 401
    statuses = [asked(address, KEY[:-1]).status for _ in range(12)]
    assert statuses[:10] == [401] * 10
    assert 429 in statuses[10:]
    answer = asked(address, KEY)
    assert answer.status == 429
    assert int(answer["Retry-After"]) >= 1
    assert any("status refused" in line for line in watched.server.log)
    assert not any(KEY[:-1] in line for line in watched.server.log)


def test_only_so_many_may_listen(status: Endpoint) -> None:
    address = status.server.address
    with ExitStack() as listeners:
        for _ in range(MOST_LISTENERS):
            listeners.enter_context(listening(address))
        answer = asked(address, KEY)
        assert answer.status == 503
        assert "Retry-After" in answer

    def listens_again() -> bool:  # once the server has noticed that they left
        with Wire(address, 10.0) as wire:
            wire.send(request())
            return wire._read_head().status == 200

    eventually(listens_again, every_s=0.1)


def test_head_tells_whether_the_key_is_right(status: Endpoint) -> None:
    for key, expected in ((KEY, 200), (KEY * 2, 401)):
        answer = status.exchange(request(key, "HEAD"))
        assert (answer.status, answer.body) == (expected, b"")


def test_an_old_client_is_told_until_the_connection_ends(status: Endpoint) -> None:
    with status.connect() as wire:
        wire.send(request().replace(b" HTTP/1.1", b" HTTP/1.0"))
        answer = wire._read_head()
        assert answer.status == 200
        assert "Transfer-Encoding" not in answer
        while b"event: snapshot\ndata: {" not in wire.leftover:
            assert wire._receive()


def test_a_listener_keeps_no_server_from_stopping(watched: Endpoint) -> None:
    with listening(watched.server.address) as listener:
        listener.snapshot()
        begun = time.monotonic()
        watched.server.terminate()
        listener.read_to_end()
        assert watched.server.wait() == 0
        assert time.monotonic() - begun < 10.0  # a drain may take 30 s
    assert not any("drain timed out" in line for line in watched.server.log)


def test_an_upgrade_ends_what_listens_and_the_next_one_tells_on(tmp_path: Path) -> None:
    with Upgradable(tmp_path, {"FILELOFT_STATUS_KEY": KEY}) as server:
        with listening(server.address) as listener:
            process = listener.snapshot()["process"]
            assert server.upgrade() == 0
            listener.read_to_end()
        with listening(server.address) as listener:
            assert listener.snapshot()["process"] == server.pid != process


def test_workers_tell_of_all_of_them_and_of_their_own_uploads(fleet: Fleet) -> None:
    with fleet.start(STATUS_KEY=KEY, WORKERS="2") as server:
        server.wait_for_log("msg=serving workers=2", 20.0)
        tus = Endpoint(server)
        upload = tus.create(100)
        with uploading(tus, upload, 100, b"abc"), ExitStack() as stack:
            stack.enter_context(listening(server.address))
            told = {}
            for _ in range(MOST_LISTENERS - 1):  # until one of them answers that has it
                listener = stack.enter_context(listening(server.address))
                said = listener.snapshot(lambda said: said["workers"] == 2 and said["held"] == 1)
                told[said["process"]] = [each["id"] for each in said["uploads"]]
                if len(told) == 2:
                    break
            if len(told) == 2:  # the kernel chooses who answers
                assert sorted(told.values()) == [[], [upload.rsplit("/", 1)[1]]]


def test_an_administrators_token_opens_it_and_no_other_token(fleet: Fleet) -> None:
    admin = {"ops": ["admin"]}
    with fleet.start(STATUS_KEY=KEY, AUTH="jwt", JWT_SECRET=JWT_SECRET, JWT_LEEWAY="0") as server:
        with listening(server.address, shared("root", fileloft=admin)) as listener:
            assert listener.snapshot()["uploads"] == []
        with listening(
            server.address, shared("root", fileloft=admin, exp=int(time.time()) + 2)
        ) as (listener):
            listener.read_to_end()  # with the token
        with listening(server.address):
            pass
        assert asked(server.address, shared("alice")).status == 403
        assert asked(server.address, shared("root", fileloft=admin, exp=1)).status == 401


def test_operators_have_it_on_their_address_too_until_the_very_end(fleet: Fleet) -> None:
    with fleet.start(STATUS_KEY=KEY, METRICS_BIND="127.0.0.1:0", ENABLE_DOWNLOAD="1") as server:
        tus = Endpoint(server)
        matched = server.wait_for_log(r'"listening for operators" address=(\S+):(\d+)')
        desk = matched[1], int(matched[2])
        whole = tus.create(64 * 1024 * KIB)
        for at in range(4):
            assert tus.append(whole, at * 16 * 1024 * KIB, bytes(16 * 1024 * KIB)).status == 204
        with listening(desk) as listener, tus.connect() as wire:
            wire.send(render_request("GET", whole, {}))  # and reads nothing: a drain waits
            listener.snapshot(lambda said: said["totals"]["sent"] > 0)
            server.terminate()
            listener.snapshot(lambda said: said["reasons"] == ["draining"])
            wire.reset()
            listener.read_to_end()
        assert server.wait() == 0


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"BASE_PATH": "/ui/files"}, "FILELOFT_BASE_PATH: must not be below /ui/"),
        ({"STATUS_KEY": "short"}, "FILELOFT_STATUS_KEY: "),
        ({"STATUS_KEY": "with spaces, and of more than 32 bytes each"}, "FILELOFT_STATUS_KEY: "),
        (
            {"AUTH": "jwt", "JWT_SECRET": KEY},
            "FILELOFT_STATUS_KEY: must be no other secret as well",
        ),
    ],
)
def test_settings_that_do_not_go_together(settings: dict[str, str], problem: str) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "fileloft_fast", "check"],
        env={f"FILELOFT_{key}": value for key, value in ({"STATUS_KEY": KEY} | settings).items()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 1
    assert problem in told.stdout
    assert KEY not in told.stdout
