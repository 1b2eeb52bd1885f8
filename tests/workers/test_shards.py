"""Workers that have a spool each: whoever is asked, the one that has the upload answers."""

from __future__ import annotations

import hashlib
import os
import random
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from fileloft_fast.model import UploadId, shard_of
from tests.adversity.crash import Load, Round, kill_all
from tests.deadline import eventually
from tests.endpoint import Endpoint
from tests.resumption import Resumption
from tests.sender import Kind, Sender
from tests.server import Server, workers_of
from tests.stores.clouds import Cloud, S3Cloud, key_of
from tests.stores.crash import judge, sweep
from tests.wire import CHUNKED, OCTETS, Answer, Wire, render_request
from tests.workers.upgradable import Upgradable

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.e2e]

MIB = 1024 * 1024
BYTES = random.Random("shards").randbytes(16 * MIB)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with S3Cloud(tmp_path_factory.mktemp("s3")) as running:
        yield running


def settings_of(cloud: Cloud, mode: str, workers: int = 3, **more: str) -> dict[str, str]:
    return {
        **cloud.settings,
        "FILELOFT_ACK": mode,
        "FILELOFT_WORKERS": str(workers),
        "FILELOFT_PART_SIZE": "5M",
        "FILELOFT_SHUTDOWN_TIMEOUT": "3",
        "FILELOFT_ENABLE_METRICS": "1",
        **more,
    }


@pytest.fixture(scope="module", params=["finish", "spool"])
def mode(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def server(cloud: Cloud, mode: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("data"), settings_of(cloud, mode)) as running:
        running.wait_for_log("msg=serving")
        yield running


def ask_head(wire: Wire, upload: str) -> Answer:
    wire.send(render_request("HEAD", upload))
    return wire.read(head=True)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def others(endpoint: Endpoint, length: int, shards: int = 3) -> list[str]:
    """Return an upload of every worker."""
    found: dict[int, str] = {}
    while len(found) < shards:
        path = endpoint.create(length)
        found.setdefault(shard_of(UploadId(key_of(path)), shards), path)
    return list(found.values())


def moved(endpoint: Endpoint) -> float:
    text = endpoint.ask("GET", "/metrics").body.decode()
    matched = re.search(r"^fileloft_connections_handed_over_total (\S+)$", text, re.MULTILINE)
    assert matched is not None
    return float(matched[1])


@pytest.mark.parametrize("kind", Kind)
def test_a_client_that_comes_back_to_any_worker_goes_on(
    server: Server, cloud: Cloud, kind: Kind
) -> None:
    content = BYTES[: 6 * MIB + 123]
    sender = Sender(server.address, content, kind, chunk=MIB)
    sender.create()
    half = 2 * MIB
    for _ in range(6):
        sender.close()
        assert sender.look() == sender.acknowledged
        with Wire(server.address) as wire:  # a body that breaks off
            if kind is Kind.PLAIN and sender.acknowledged < half:
                fields = {"Upload-Offset": str(sender.acknowledged), "Content-Type": OCTETS}
                size = {"Content-Length": str(len(content) - sender.acknowledged)}
                wire.send(render_request("PATCH", sender.path, {**fields, **size}))
                wire.send(content[sender.acknowledged : sender.acknowledged + 300_000])
                sender.reached = len(content)
    sender.finish()
    eventually(lambda: cloud.sha256(sender.path) == digest(content))


def test_a_connection_that_is_kept_open_follows_its_requests(server: Server, cloud: Cloud) -> None:
    endpoint = Endpoint(server)
    size = 3 * MIB
    uploads = others(endpoint, size)
    before = moved(endpoint)
    with endpoint.connect() as wire:
        for at in range(0, size, MIB // 2):
            for upload in uploads:
                answer = ask_head(wire, upload)
                assert (answer.status, answer["Upload-Offset"]) == (200, str(at))
                fields = {"Upload-Offset": str(at), "Content-Type": OCTETS}
                body = BYTES[at : at + MIB // 2]
                if at % MIB:
                    fields = {**fields, **CHUNKED}
                    wire.send(render_request("PATCH", upload, fields))
                    wire.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
                    assert wire.read().status == 204
                else:
                    assert wire.ask(render_request("PATCH", upload, fields, body)).status == 204
        assert wire.ask(render_request("OPTIONS", "/files/")).status == 204
    assert moved(endpoint) - before >= 2 * (size // (MIB // 2))
    for upload in uploads:
        eventually(lambda upload=upload: cloud.sha256(upload) == digest(BYTES[:size]))  # type: ignore[misc]


def test_requests_in_a_row_are_answered_in_order(server: Server) -> None:
    endpoint = Endpoint(server)
    uploads = others(endpoint, 100)
    dice = random.Random(1)
    asked = [dice.choice(uploads) for _ in range(60)]
    at = dict.fromkeys(uploads, 0)
    requests = []
    for upload in asked:
        fields = {"Upload-Offset": str(at[upload]), "Content-Type": OCTETS}
        requests.append(render_request("PATCH", upload, fields, b"x"))
        at[upload] += 1
    seen = dict.fromkeys(uploads, 0)
    with endpoint.connect() as wire:
        wire.send(b"".join(requests))
        for upload in asked:
            answer = wire.read()
            seen[upload] += 1
            assert (answer.status, answer["Upload-Offset"]) == (204, str(seen[upload]))


def test_interim_answers_stay_with_their_requests_whichever_worker_serves_them(
    server: Server,
) -> None:
    ios = Resumption(server)
    uploads = others(ios, 3)
    before = moved(Endpoint(server))
    requests, expected = [], []
    for at in range(3):
        for upload in uploads:
            requests += [ios.render_creation(b"hello"), ios.render_append(upload, at, b"x")]
            expected += [(201, (104,)), (204, ())]
    with ios.connect() as wire:
        wire.send(b"".join(requests))
        answers = [wire.read() for _ in requests]
    assert [(answer.status, answer.interim) for answer in answers] == expected
    assert moved(Endpoint(server)) - before >= len(uploads)


def test_a_client_that_closes_its_side_after_the_last_request_gets_every_answer(
    server: Server,
) -> None:
    endpoint = Endpoint(server)
    uploads = others(endpoint, 100)
    with endpoint.connect() as wire:
        wire.send(b"".join(render_request("HEAD", each) for each in uploads))
        wire.socket.shutdown(socket.SHUT_WR)
        for _ in uploads:
            assert wire.read(head=True).status == 200


def test_a_head_in_pieces_and_an_expectation_come_through(server: Server) -> None:
    endpoint = Endpoint(server)
    for upload in others(endpoint, 50_000):
        fields = {
            "Upload-Offset": "0",
            "Content-Type": OCTETS,
            "Content-Length": "50000",
            "Expect": "100-continue",
        }
        request = render_request("PATCH", upload, fields)
        with endpoint.connect() as wire:
            for at in range(0, len(request), 40):
                wire.send(request[at : at + 40])
            wire.send(BYTES[:50_000])
            answer = wire.read()
            assert answer.status == 204
        assert endpoint.offset(upload) == 50_000


def test_an_upload_is_deleted_by_whoever_has_it(server: Server) -> None:
    endpoint = Endpoint(server)
    uploads = others(endpoint, 20)
    with endpoint.connect() as wire:
        for upload in uploads:
            assert wire.ask(render_request("DELETE", upload)).status == 204
        for upload in uploads:
            assert ask_head(wire, upload).status == 404


def test_partial_uploads_of_all_workers_become_one(cloud: Cloud, tmp_path: Path) -> None:
    settings = settings_of(cloud, "finish", FILELOFT_ENABLE_CONCATENATION="1")
    with Server(tmp_path / "data", settings) as server:
        server.wait_for_log("msg=serving")
        endpoint = Endpoint(server)
        for size in (1000, 5 * MIB + 1):
            partials = []
            for at in range(8):
                content = BYTES[at * 1000 : at * 1000 + size]
                partials.append((endpoint.finish(content, {"Upload-Concat": "partial"}), content))
                # At once: the worker that has it may still be writing its record.
                final = f"final;{' '.join(path for path, _ in partials[-2:])}"
                answer = endpoint.post({"Upload-Concat": final})
                assert answer.status == 201, answer
                whole = b"".join(content for _, content in partials[-2:])
                made = endpoint.path_of(answer)
                eventually(lambda m=made, w=whole: cloud.sha256(m) == digest(w))  # type: ignore[misc]


def test_a_worker_that_is_killed_comes_back_to_its_uploads(
    cloud: Cloud, mode: str, tmp_path: Path
) -> None:
    """Under load; then all are killed, and nothing that was acknowledged is lost."""
    before = cloud.sessions()
    data = tmp_path / "data"
    settings = settings_of(cloud, mode, FILELOFT_FLUSH_TIMEOUT="20", FILELOFT_ORPHAN_AGE="0")
    server = Server(data, settings)
    server.wait_for_log("msg=serving")
    load = Load(server.address, BYTES + BYTES, mode, 7)
    try:
        load.wait_for(12 * MIB)
        os.kill(workers_of(server.pid)[1], signal.SIGKILL)
        load.wait_for(30 * MIB)
    finally:
        kill_all(server)
        load.join()
    seen = Round(sent_bytes=load.sent_bytes)
    seen.faults += [client.fault for client in load.clients if client.fault]
    with Server(data, settings) as again:
        again.wait_for_log("msg=serving")
        for client in load.clients:
            for sender in client.senders:
                judge(sender, again, cloud, seen)
    others_open = [f"open after a sweep: {session}" for session in before]
    seen.faults += [each for each in sweep(data, settings, cloud) if each not in others_open]
    assert not seen.faults, "\n".join(seen.faults)
    assert seen.uploads


def test_uploads_move_where_the_number_of_workers_changes(
    cloud: Cloud, mode: str, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    content = BYTES[: 12 * MIB]
    senders: list[Sender] = []
    names: set[str] = set()
    for step, workers in enumerate((1, 3, 2, 1)):
        settings = settings_of(cloud, mode, workers, FILELOFT_ORPHAN_AGE="2")
        settings["FILELOFT_REMOTE_SWEEP_INTERVAL"] = "1"
        server = Server(data, settings)
        try:
            if workers > 1:
                server.wait_for_log("msg=serving")
            for sender in senders:
                sender.address = server.address
                assert sender.look() == step * 2 * MIB - senders.index(sender) // 4 * 2 * MIB
            if step < 2:
                for _ in range(4):
                    made = Sender(server.address, content, Kind.CHECKED, chunk=2 * MIB)
                    made.create()
                    senders.append(made)
            for sender in senders:
                sender.send()
                sender.close()
        finally:
            kill_all(server) if step % 2 else server.stop()
        folders = sorted(each.name for each in data.glob("worker-*"))
        assert folders == ([f"worker-{n}" for n in range(workers)] if workers > 1 else [])
        names.add((data / "spool.id").read_text())
    assert len(names) == 1
    with Server(data, settings_of(cloud, mode, 3)) as server:
        server.wait_for_log("msg=serving")
        for sender in senders:
            sender.address = server.address
            sender.finish(3)
            eventually(lambda s=sender: cloud.sha256(s.path) == digest(content))  # type: ignore[misc]


def test_no_worker_aborts_what_another_one_ships(cloud: Cloud, mode: str, tmp_path: Path) -> None:
    """With sweeps all the time, for which everything is old that is not just being made."""
    settings = settings_of(cloud, mode, FILELOFT_ORPHAN_AGE="2")
    settings["FILELOFT_REMOTE_SWEEP_INTERVAL"] = "1"
    content = BYTES[: 12 * MIB]
    with Server(tmp_path / "data", settings) as server:
        server.wait_for_log("msg=serving")
        senders = [Sender(server.address, content, Kind.CHECKED, chunk=3 * MIB) for _ in range(6)]
        for sender in senders:
            sender.create()
            sender.send()
            sender.send()
            sender.close()
        sessions = [key_of(sender.path) for sender in senders]
        eventually(lambda: set(cloud.sessions()) >= set(sessions))
        swept = len(server.log)
        with suppress(AssertionError):
            server.wait_for_log("orphan aborted", within_s=5.0, after=swept)
        # What tests before this one left in the bucket may go: it belongs to nobody.
        aborted = [line for line in server.log if "orphan aborted" in line]
        assert not [line for line in aborted for key in sessions if key in line]
        assert set(cloud.sessions()) >= set(sessions)
        for sender in senders:
            sender.finish(0)
            eventually(lambda s=sender: cloud.sha256(s.path) == digest(content))  # type: ignore[misc]


def test_an_upgrade_waits_for_the_spools(cloud: Cloud, mode: str, tmp_path: Path) -> None:
    content = BYTES[: 2 * MIB]
    with Upgradable(tmp_path / "data", settings_of(cloud, mode)) as server:
        server.wait_for_log("msg=serving workers=3")
        sender = Sender(server.address, content, Kind.CHECKED, chunk=MIB // 4)
        sender.create()
        for _ in range(2):
            sender.send()
            sender.close()
            assert server.upgrade() == 0
            assert sender.look() == sender.acknowledged
        sender.finish(interruptions=1)
        eventually(lambda: cloud.sha256(sender.path) == digest(content))
        eventually(lambda: len(workers_of(server.pid)) == 3)


@pytest.mark.parametrize(
    "setting",
    [
        {"FILELOFT_ENABLE_CLEANUP_CONCAT_PARTIALS": "1", "FILELOFT_ENABLE_CONCATENATION": "1"},
        {"FILELOFT_ENABLE_CONCATENATION": "1", "FILELOFT_ACK": "spool"},
        {"FILELOFT_HOOKS_HTTP": "http://127.0.0.1:9/"},
        {"FILELOFT_QUOTA_BYTES": "1G", "FILELOFT_AUTH": "grant", "FILELOFT_GRANT_SECRET": "s" * 40},
    ],
    ids=lambda setting: next(iter(setting)),
)
def test_what_does_not_work_with_several_spools_is_refused(
    setting: dict[str, str], cloud: Cloud, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match=r"FILELOFT_\w+(, FILELOFT_\w+)?: (no|not) "):
        Server(tmp_path, {**settings_of(cloud, "finish"), **setting})


def test_a_server_alone_and_one_of_several_workers_keep_each_other_out(
    cloud: Cloud, tmp_path: Path
) -> None:
    short = {"FILELOFT_SHUTDOWN_TIMEOUT": "0.1"}
    for first, second in ((1, 3), (3, 1)):
        with (
            Server(tmp_path, {**settings_of(cloud, "finish", first), **short}),
            pytest.raises(AssertionError, match="another server works in this directory"),
        ):
            Server(tmp_path, {**settings_of(cloud, "finish", second), **short})
