"""What operators are told of the IETF's protocol: metrics, the access log, the status page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.conformance.test_logs import accesses
from tests.conformance.test_operators import DESK, desk_of, scrape
from tests.pages.listening import KEY as STATUS_KEY
from tests.pages.listening import listening
from tests.resumption import Draft, Resumption, read_announcement
from tests.storages.app_server import KEY, AppServer
from tests.wire import CHUNKED, Wire, render_chunks

if TYPE_CHECKING:
    from tests.conftest import Fleet
    from tests.server import Server

KIB = 1024
STORAGES = {"STORAGES": "public=?public=1", "STORAGE_KEYS": KEY}


@pytest.fixture
def server(fleet: Fleet) -> Iterator[Server]:
    settings = {"LOG_FORMAT": "json", "ACCESS_LOG": "1", "STATUS_KEY": STATUS_KEY}
    with fleet.start(**settings, **STORAGES) as server:
        yield server


@pytest.fixture
def counting(fleet: Fleet) -> Iterator[Server]:
    with fleet.start(**DESK) as server:
        yield server


def test_a_scrape_counts_what_has_ended_and_once(counting: Server) -> None:
    up = Resumption(counting, draft=Draft(10))
    address = desk_of(counting)
    up.finish(b"hello")
    full = up.create(5, None, b"hello")
    assert scrape(address)["tusd_uploads_finished"] == 1
    assert up.append(full, 5, b"", ends=True).status == 201
    assert up.append(full, 5, b"", ends=True).status == 201  # given again
    assert up.append(full, 5, b"x", ends=True).status == 400
    chunked = up.path_of(up.start(render_chunks([b"he"]), CHUNKED, ends=False))
    assert up.append(chunked, 2, render_chunks([b"llo"]), CHUNKED, ends=True).status == 201
    void = up.create(5, None, b"hell")
    assert up.append(void, 4, b"over").status == 400
    gone = up.create(5)
    assert up.ask("DELETE", gone, up.draft.fields).status == 204
    told = scrape(address)
    assert told["tusd_uploads_created"] == 5
    assert told["tusd_uploads_finished"] == 3
    assert told["tusd_uploads_terminated"] == 1, "its client deleted it; the other one is void"
    assert told["tusd_errors_total{code=ERR_COMPLETED_UPLOAD,status=400}"] == 1
    assert told["tusd_errors_total{code=ERR_OVERRUN,status=400}"] == 1


def test_a_line_of_the_log_names_the_upload_whatever_made_it(server: Server) -> None:
    up = Resumption(server)
    small = up.path_of(up.start(b"hello", method="PUT"))
    target = AppServer(server).ticket("a/path")["url"].partition(":")[2].lstrip("/")
    by_ticket = "/" + target.partition("/")[2]
    big = bytes(300 * KIB)
    fields = {**up.draft.fields, **up.draft.ends(complete=True)}
    answer = up.ask("PUT", by_ticket, fields, big)
    assert answer.status == 204
    plain = AppServer(server).ticket("other/path")["url"]
    assert AppServer(server).ask("PUT", plain, b"x").status == 204
    with up.connect() as wire:
        wire.send(up.render_creation(big, method="PUT")[:-1])
        cut = read_announcement(wire, up)
        wire.half_close()
        assert wire.read().status == 400
    # A line is written when its answer has left: the next request may be faster.
    named = {line.get("id"): line for line in accesses(server, 6) if line["method"] == "PUT"}
    assert named[small.rsplit("/", 1)[1]]["status"] == 201
    assert named[answer["Location"].rsplit("/", 1)[1]]["status"] == 204
    assert named[None]["status"] == 204, "what its URL ends with is no upload's name"
    assert named[cut.rsplit("/", 1)[1]]["status"] == 400
    assert len(named) == 4


def test_the_status_page_does_not_take_a_piece_for_the_whole(server: Server) -> None:
    up = Resumption(server)
    big = bytes(1000 * KIB)
    with listening(server.address) as listener, Wire(server.address) as wire:
        wire.send(up.render_creation(big, ends=False, method="PUT")[: -300 * KIB])
        upload = read_announcement(wire, up)
        told = listener.snapshot(lambda said: said["uploads"] and said["uploads"][0]["offset"])
        (running,) = told["uploads"]
        assert (running["id"], running["state"]) == (upload.rsplit("/", 1)[1], "receiving")
        assert running["length"] is None
        wire.send(bytes(300 * KIB))
        assert wire.read().status == 201
        listener.snapshot(lambda said: not said["uploads"])
        rest = up.render_append(upload, 1000 * KIB, big, ends=True)
        wire.send(rest[: -300 * KIB])
        told = listener.snapshot(lambda said: said["uploads"] and said["uploads"][0]["length"])
        assert told["uploads"][0]["length"] == 2000 * KIB
        assert told["totals"]["finished"] == 0
        wire.send(rest[-300 * KIB :])
        assert wire.read().status == 201
        listener.snapshot(lambda said: said["totals"]["finished"] == 1)
