"""A disk, or a machine, that has no more to give: a clear answer, nothing lost, and it goes on."""

from __future__ import annotations

import itertools
import json
import resource
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conformance.test_leaks import descriptors
from tests.deadline import eventually
from tests.endpoint import Endpoint, checksum
from tests.wire import CHUNKED, OCTETS, render_chunks, render_request

if TYPE_CHECKING:
    from tests.conftest import Fleet

LENGTH = 3_000_000
LIMIT = 1_000_000
CONTENT = bytes(range(250)) * (LENGTH // 250)


@pytest.fixture(scope="module")
def narrow(fleet: Fleet) -> Endpoint:
    """Return a server of this module's own, whose limits the tests change."""
    return fleet.endpoint(HEAD_TIMEOUT="16", ENABLE_CONCATENATION="1")


@contextmanager
def limited(endpoint: Endpoint, what: int, limit: int) -> Iterator[None]:
    """Lower one of the server's resource limits for a while."""
    before = resource.prlimit(endpoint.server.pid, what)
    resource.prlimit(endpoint.server.pid, what, (limit, before[1]))
    try:
        yield
    finally:
        resource.prlimit(endpoint.server.pid, what, before)


@pytest.mark.parametrize("chunked", [False, True], ids=["plain", "chunked"])
def test_a_disk_that_fills_up_keeps_what_was_written(narrow: Endpoint, *, chunked: bool) -> None:
    upload = narrow.create(LENGTH)
    fields = {"Upload-Offset": "0", "Content-Type": OCTETS, **(CHUNKED if chunked else {})}
    pieces = [CONTENT[at : at + 50_000] for at in range(0, LENGTH, 50_000)]
    body = render_chunks(pieces) if chunked else CONTENT
    with limited(narrow, resource.RLIMIT_FSIZE, LIMIT), narrow.connect() as wire:
        wire.send_pieces([render_request("PATCH", upload, fields, body)])
        answer = wire.read()
        assert answer.status == 507
        assert answer.closes
        offset = narrow.offset(upload)
        assert LIMIT - 50_000 <= offset <= LIMIT
        assert narrow.stored(upload)[:offset] == CONTENT[:offset]
    assert narrow.append(upload, offset, CONTENT[offset:]).status == 204
    narrow.assert_holds(upload, CONTENT)


@pytest.mark.parametrize("chunked", [False, True], ids=["plain", "chunked"])
def test_a_disk_that_fills_up_keeps_nothing_unverified(narrow: Endpoint, *, chunked: bool) -> None:
    upload = narrow.create(LENGTH)
    fields = {"Upload-Offset": "0", "Content-Type": OCTETS, **(CHUNKED if chunked else {})}
    fields["Upload-Checksum"] = checksum("sha256", CONTENT)
    body = render_chunks([CONTENT]) if chunked else CONTENT
    with limited(narrow, resource.RLIMIT_FSIZE, LIMIT), narrow.connect() as wire:
        wire.send_pieces([render_request("PATCH", upload, fields, body)])
        assert wire.read().status == 507
        assert narrow.offset(upload) == 0
    assert narrow.exchange(render_request("PATCH", upload, fields, body)).status == 204
    narrow.assert_holds(upload, CONTENT)


@pytest.mark.parametrize("size", [5000, LENGTH])
def test_a_creation_that_does_not_fit_leaves_nothing_behind(narrow: Endpoint, size: int) -> None:
    before = narrow.files()
    fields = {"Upload-Length": str(size), "Content-Type": OCTETS}
    with limited(narrow, resource.RLIMIT_FSIZE, 2000), narrow.connect() as wire:
        wire.send_pieces([render_request("POST", narrow.base, fields, CONTENT[:size])])
        assert wire.read().status == 507
    assert narrow.files() == before


def test_a_concatenation_that_does_not_fit_leaves_nothing_behind(narrow: Endpoint) -> None:
    partial = narrow.finish(CONTENT[:600_000], {"Upload-Concat": "partial"})
    before = narrow.files()
    with limited(narrow, resource.RLIMIT_FSIZE, LIMIT):
        assert narrow.post({"Upload-Concat": f"final;{partial} {partial}"}).status == 507
        assert narrow.files() == before
    narrow.assert_holds(partial, CONTENT[:600_000])


def test_a_process_without_descriptors_answers_and_goes_on(narrow: Endpoint) -> None:
    upload = narrow.create_holding(b"abc", 10_000_000)
    with ExitStack() as stack:
        wires = [stack.enter_context(narrow.connect()) for _ in range(10)]
        for wire in wires:
            assert wire.ask(render_request("HEAD", upload)).status == 200
        in_use = len(narrow.server.open_files())
        with limited(narrow, resource.RLIMIT_NOFILE, in_use):
            for wire in wires[:5]:
                wire.send_pieces([narrow.render_append(upload, 3, CONTENT)])
                assert wire.read().status in {204, 409, 423, 503}
            for wire in wires[5:]:
                assert wire.ask(render_request("OPTIONS", narrow.base)).status in {200, 204}
            late = stack.enter_context(narrow.connect())
            late.send_pieces([render_request("OPTIONS", narrow.base)])
        # libuv closes a connection that it has no descriptor for, so that the queue moves on
        assert late.wait_readable(5)
    offset = narrow.offset(upload)
    assert narrow.append(upload, offset, b"more").status == 204
    assert narrow.stored(upload) == (b"abc" + CONTENT)[:offset] + b"more"
    assert narrow.server.running


BROKEN = {
    "empty": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "no id": b"{}",
    "NUL": b"\0" * 500,
    "half": b'{"id":"x","size":5,"off',
    "size": b'{"id":"x","size":"five"}',
    "negative": b'{"id":"x","size":-5,"fast":{"version":1}}',
    "mark": b'{"id":"x","size":5,"fast":{"version":1,"unverified_from":   zzzzzzzzzzzzzzzzz}}\n',
    "metadata": b'{"id":"x","size":5,"fast":{"version":1,"metadata":"!!! !!!"}}',
    "UTF-8": b'{"id":"\xff\xfe"}',
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_an_info_file_that_is_broken_harms_only_its_upload(narrow: Endpoint, broken: bytes) -> None:
    upload, other = narrow.create_holding(b"abc", 5), narrow.create(5)
    whole = narrow.info_file(upload).read_bytes()
    narrow.info_file(upload).write_bytes(broken)
    for answer in (narrow.head(upload), narrow.append(upload, 3, b"de")):
        assert answer.status == (500 if broken else 404)
        assert "Upload-Offset" not in answer
    assert narrow.stored(upload) == b"abc"
    assert narrow.append(other, 0, b"other").status == 204
    narrow.info_file(upload).write_bytes(whole)
    assert narrow.append(upload, 3, b"de").status == 204
    narrow.assert_holds(upload, b"abcde")


def test_the_sweeper_passes_over_what_it_cannot_read(fleet: Fleet) -> None:
    sweeping = fleet.endpoint(ENABLE_EXPIRATION="1", EXPIRATION_TTL="1", SWEEP_INTERVAL="0.1")
    data = sweeping.server.data
    for number, contents in enumerate(BROKEN.values()):
        (data / f"broken{number}").write_bytes(b"abc")
        (data / f"broken{number}.info").write_bytes(contents)
    (data / "folder.info").mkdir()
    (data / "README.txt").write_bytes(b"the operator's own")
    for _ in range(2):
        upload = sweeping.create(5)
        eventually(lambda name=upload: not sweeping.info_file(name).exists())  # type: ignore[misc]
    assert (data / "README.txt").read_bytes() == b"the operator's own"
    assert (data / "folder.info").is_dir()


def test_an_upload_that_fileloft_finished_is_served(fleet: Fleet) -> None:
    shop = fleet.endpoint(ENABLE_DOWNLOAD="1", ENABLE_CONCATENATION="1")
    name = "0b7c3c8a-6f1e-4f57-9c0e-0d5e6ad7a1b2"
    info = {
        "id": name,
        "size": 5,
        "offset": 5,
        "metadata": {"filename": "a.txt", "filetype": "text/plain", "flag": None},
        "size_is_deferred": False,
        "expires_at": None,
        "is_partial": False,
        "is_final": False,
        "partial_uploads": [],
        "storage": {},
    }
    shop.data_file(name_path(name)).write_bytes(b"hello")
    shop.info_file(name_path(name)).write_text(json.dumps(info), encoding="utf-8")
    answer = shop.head(name_path(name))
    assert (answer["Upload-Offset"], answer["Upload-Length"]) == ("5", "5")
    assert answer["Upload-Metadata"] == "filename YS50eHQ=,filetype dGV4dC9wbGFpbg==,flag"
    got = shop.ask("GET", name_path(name))
    assert (got.body, got["Content-Type"]) == (b"hello", "text/plain")
    assert shop.ask("DELETE", name_path(name)).status == 204
    shop.assert_gone(name_path(name))


@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
def test_an_upload_that_fileloft_began_goes_on_checked(narrow: Endpoint, *, right: bool) -> None:
    """Its record has no place for the mark of unverified bytes, so it is written anew."""
    upload = name_path(f"begun-{right}")
    info = {"id": upload[7:], "size": LENGTH + 4, "offset": 4, "metadata": {}, "storage": {}}
    narrow.data_file(upload).write_bytes(b"kept")
    narrow.info_file(upload).write_text(json.dumps(info), encoding="utf-8")
    fields = {"Upload-Checksum": checksum("sha1", CONTENT if right else CONTENT[1:])}
    answer = narrow.append(upload, 4, CONTENT, fields)
    assert answer.status == (204 if right else 460)
    narrow.assert_holds(upload, b"kept" + (CONTENT if right else b""))


def test_a_download_without_a_descriptor_ends_the_connection_and_leaks_nothing(
    fleet: Fleet,
) -> None:
    """The file could be opened, and then there was none left to lend the socket to the engine."""
    server = fleet.start(ENABLE_DOWNLOAD="1")
    shop = Endpoint(server)
    upload = shop.finish(CONTENT)
    with shop.connect() as wire:
        assert wire.ask(render_request("GET", upload)).body == CONTENT
        before = descriptors(shop)
        used = {int(entry.name) for entry in Path(f"/proc/{server.pid}/fd").iterdir()}
        unused = (number for number in itertools.count() if number not in used)
        last = [next(unused), next(unused)][1]
        with limited(shop, resource.RLIMIT_NOFILE, last):
            wire.send(render_request("GET", upload))
            wire.assert_silent_end()
            eventually(lambda: descriptors(shop) == before - 1)
    with shop.connect() as wire:
        assert wire.ask(render_request("GET", upload)).body == CONTENT
        eventually(lambda: descriptors(shop) == before)
    assert server.stop() == 0


def name_path(name: str) -> str:
    """Return the path of the upload *name*."""
    return f"/files/{name}"
