"""URLSession, as url_session.py has it, in every version that a system has spoken so far."""

from __future__ import annotations

import random
import socket
import threading
from collections import Counter
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import pytest

from tests.clients.conftest import MIB, url
from tests.clients.url_session import VERSIONS, Failed, UploadTask
from tests.proxy import Break, Course, End, Fate, Proxy
from tests.resumption import Draft, Resumption
from tests.server import Server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Fleet
    from tests.endpoint import Endpoint

CONTENT: Final = random.Random("url session").randbytes(6 * MIB + 4321)
CUTS: Final = (
    Break(at=MIB, end=End.RESET),
    Break(at=3 * MIB, end=End.CLOSE),
    Break(at=5 * MIB, end=End.RESET),
)
every_version = pytest.mark.parametrize("version", VERSIONS)


def assert_arrived(endpoint: Endpoint, task: UploadTask, version: int) -> None:
    """Assert that the task has ended well, and that the upload is what it has sent."""
    assert task.answer is not None
    up = Resumption(endpoint.server, draft=Draft(version))
    assert 200 <= task.answer.status < 300
    assert up.draft.says(task.answer) is True
    up.assert_complete(up.path_of(task.answer), CONTENT)


@every_version
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_task_is_done_in_one_request(endpoint: Endpoint, version: int, method: str) -> None:
    with Proxy(endpoint.server.address) as proxy:
        task = UploadTask(url(proxy), CONTENT, version, method=method)
        task.run()
        assert task.methods == [method]
        assert task.resume_data is not None
        assert urlsplit(task.resume_data).netloc == urlsplit(url(proxy)).netloc
    assert_arrived(endpoint, task, version)


@every_version
@pytest.mark.parametrize("expects", [False, True])
def test_a_task_that_is_cut_off_goes_on(endpoint: Endpoint, version: int, *, expects: bool) -> None:
    """What has arrived before a cut is not sent again, and the answer is the target's."""
    with Proxy(endpoint.server.address, breaks=CUTS) as proxy:
        task = UploadTask(url(proxy), CONTENT, version, expects=expects)
        task.run()
        assert not proxy.breaks
    assert Counter(task.methods) == {"POST": 1, "HEAD": 3, "PATCH": 3}
    assert_arrived(endpoint, task, version)


@every_version
def test_an_answer_that_was_lost_is_asked_for_again(endpoint: Endpoint, version: int) -> None:
    """All is there, and the client does not know: the upload is found complete, and stays so."""
    with Proxy(endpoint.server.address) as proxy:
        task = UploadTask(url(proxy), CONTENT, version)
        task.start()
        answer = task.resume()
    assert answer is not None
    up = Resumption(endpoint.server, draft=Draft(version))
    # From -04 to -11 a server must refuse to say it again; HEAD has said that it is complete.
    assert answer.status == (201 if up.draft.replays else 400)
    assert task.resume_data is not None
    up.assert_complete(urlsplit(task.resume_data).path, CONTENT)


@pytest.mark.parametrize("other", [b"", b"Upload-Draft-Interop-Version: 7\r\n"])
def test_a_104_of_another_version_is_ignored(other: bytes) -> None:
    """ "MUST ignore a 104 [...] with missing or mismatching interop version"."""
    head = b"HTTP/1.1 104 Upload Resumption Supported\r\nLocation: http://x.example/files/1\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1)
                connection.sendall(head + other + b"\r\n")

        server = threading.Thread(target=answer)
        server.start()
        host, port = listener.getsockname()
        task = UploadTask(f"http://{host}:{port}/files/", b"x" * MIB, 8, far=False, retries=0)
        with pytest.raises(Failed):
            task.run()
        server.join()
    assert task.resume_data is None


@pytest.mark.parametrize("version", [3, 8])
def test_a_task_survives_a_restart_of_the_server(version: int, tmp_path: Path) -> None:
    """Example C of the draft: 5xx after a 104 is no end."""
    data = tmp_path / "data"
    with Proxy(("127.0.0.1", 1), Fate(up=Course(after=2 * MIB, end=End.RESET))) as proxy:
        with Server(data) as server:
            proxy.target = server.address
            task = UploadTask(url(proxy), CONTENT, version, retries=0)
            with pytest.raises(Failed):
                task.run()
        with pytest.raises(Failed):
            task.run()  # nobody there: it can still go on
        assert task.resume_data is not None
        with Server(data) as heir:
            proxy.target = heir.address
            task.run()
            assert_arrived(Resumption(heir), task, version)
    assert task.methods == ["POST", "HEAD", "HEAD", "PATCH"]


@every_version
def test_without_a_104_a_task_begins_anew(fleet: Fleet, version: int) -> None:
    """No resume data, as behind a proxy that lets no interim answer through."""
    server = fleet.endpoint(RESUMABLE_INTERIM="off").server
    with Proxy(server.address, breaks=CUTS[:2]) as proxy:
        task = UploadTask(url(proxy), CONTENT, version, far=False)
        task.run()
        assert not proxy.breaks
    assert (task.methods, task.resume_data) == (["POST"] * 3, None)
    assert_arrived(Resumption(server), task, version)


@every_version
def test_an_upload_that_is_gone_is_begun_anew(endpoint: Endpoint, version: int) -> None:
    """404 and 410: "the client SHOULD NOT attempt to retry or resume the upload"."""
    with Proxy(endpoint.server.address, breaks=CUTS[:1]) as proxy:
        task = UploadTask(url(proxy), CONTENT, version, retries=0)
        with pytest.raises(Failed):
            task.run()
        assert task.resume_data is not None
        first = urlsplit(task.resume_data).path
        assert Resumption(endpoint.server, draft=Draft(version)).ask("DELETE", first).status == 204
        again = UploadTask(url(proxy), CONTENT, version)
        again.resume_data = task.resume_data
        again.run()
    assert again.methods == ["HEAD", "POST"]
    assert_arrived(endpoint, again, version)
