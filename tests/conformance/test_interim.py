"""Interim answers on the wire: when they leave, who is sent none, and what they are not counted as.

What they say is tested for every draft in ``test_resumable_interim``.
"""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Final

import pytest

from tests.conformance.test_logs import accesses
from tests.deadline import eventually
from tests.endpoint import Endpoint
from tests.resumption import Resumption, read_announcement
from tests.wire import CHUNKED, render_chunks

if TYPE_CHECKING:
    from tests.conftest import Fleet

BODY: Final = b"hello world"
MIB: Final = 1024 * 1024
PROXIED: Final = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"}


@pytest.fixture
def ios(tus: Endpoint) -> Resumption:
    """Return a server as it is without a setting, as systems of today speak to it."""
    return Resumption(tus.server)


@pytest.mark.parametrize("content", [b"", BODY, bytes(9000)])
def test_a_small_upload_has_its_interim_and_its_final_answer_at_once(
    ios: Resumption, content: bytes
) -> None:
    """One write for both: what has arrived already does not wait for two packets."""
    with ios.connect() as wire:
        wire.send(ios.render_creation(content))
        data = wire.socket.recv(65536)
        wire.leftover += data
        assert wire.read().interim == (104,)
        assert not wire.leftover
    assert data.startswith(b"HTTP/1.1 104 Upload Resumption Supported\r\n")
    assert b"\r\n\r\nHTTP/1.1 201 Created\r\n" in data


@pytest.mark.parametrize("chunked", [False, True])
def test_an_upload_is_named_before_the_rest_of_its_body_comes(
    ios: Resumption, *, chunked: bool
) -> None:
    framing = CHUNKED if chunked else {"Content-Length": str(len(BODY))}
    body = render_chunks([BODY]) if chunked else BODY
    with ios.connect() as wire:
        wire.send(ios.render_creation(headers=framing) + body[:3])
        upload = read_announcement(wire, ios)
        wire.send(body[3:])
        answer = wire.read()
    assert (answer.status, answer.interim) == (201, ())
    ios.assert_complete(upload, BODY)


@pytest.mark.parametrize("end", ["cut", "reset"])
def test_who_ends_after_the_104_goes_on_at_what_came(ios: Resumption, end: str) -> None:
    size = 9 * MIB
    with ios.connect() as wire:
        wire.send(ios.render_creation(headers={"Content-Length": str(2 * size)}))
        upload = read_announcement(wire, ios)
        wire.send(bytes(size))
        told = int(wire.read_interim(104)["Upload-Offset"])
        if end == "reset":
            wire.reset()
        else:
            wire.half_close()
            wire.read_to_end()
    offset = ios.offset(upload)
    assert told <= offset <= size
    if end == "cut":
        assert offset == size
    assert ios.append(upload, offset, bytes(2 * size - offset), ends=True).status == 201
    ios.assert_complete(upload, bytes(2 * size))


@pytest.mark.parametrize("body", [BODY, bytes(300_000)])
def test_tus_has_no_interim_answers(tus: Endpoint, body: bytes) -> None:
    upload = tus.create(len(body))
    answer = tus.append(upload, 0, body)
    assert (answer.status, answer.interim) == (204, ())


@pytest.mark.parametrize("mode", ["auto", "on", "off"])
def test_a_proxy_is_sent_none_unless_it_is_known_to_pass_them_on(fleet: Fleet, mode: str) -> None:
    """nginx takes a 104 for the final answer."""
    settings = {} if mode == "auto" else {"RESUMABLE_INTERIM": mode}
    ios = Resumption(fleet.endpoint(**settings).server)
    straight, proxied = ios.start(BODY), ios.start(BODY, PROXIED)
    for answer in (straight, proxied):
        assert (answer.status, ios.draft.says(answer)) == (201, True)
        ios.assert_complete(ios.path_of(answer), BODY)
    told = (straight.interim, proxied.interim)
    assert told == {"auto": ((104,), ()), "on": ((104,), (104,)), "off": ((), ())}[mode]


def test_only_the_final_answer_is_logged_and_counted(fleet: Fleet) -> None:
    with fleet.start(LOG_FORMAT="json", ACCESS_LOG="1", ENABLE_METRICS="1") as server:
        ios = Resumption(server)
        upload = ios.create(None)
        with ios.connect() as wire:
            fields = {"Expect": "100-continue", "Content-Length": "0"}
            assert wire.ask(ios.render_creation(headers=fields)).interim == (104,)
        assert ios.append(upload, 0, BODY, ends=True).status == 201
        assert [line["status"] for line in accesses(server, 3)] == [201, 201, 201]
        metrics = Endpoint(server).ask("GET", "/metrics", {}).body.decode()
        assert 'tusd_requests_total{method="POST"} 2' in metrics
        assert 'tusd_requests_total{method="PATCH"} 1' in metrics
        assert len(accesses(server, 3)) == 3


def test_who_does_not_read_is_not_asked_for_more(fleet: Fleet) -> None:
    """What waits for a client does not grow: no request is taken before the last one's answers."""
    many = 3000  # whose answers no socket's buffers hold: each names the upload twice
    with fleet.start(BASE_URL=f"http://up.example/{'a' * 4000}") as server:
        ios = Resumption(server)
        request = ios.render_creation(b"", {"Upload-Length": "1"}, ends=False)
        with ios.connect() as wire:
            sender = threading.Thread(target=wire.send_pieces, args=([request] * many,))
            sender.start()
            counts = [0]

            def stands_still() -> bool:
                counts.append(len(ios.uploads()))
                return counts[-1] == counts[-2] > 0

            eventually(stands_still, every_s=0.3)
            assert counts[-1] < many
            for _ in range(100):
                answer = wire.read()
                assert (answer.status, answer.interim) == (201, (104,))
            wire.socket.shutdown(socket.SHUT_RDWR)
            sender.join()
