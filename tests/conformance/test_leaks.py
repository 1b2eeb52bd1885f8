"""Connections and requests that end in every wrong way leave nothing open behind them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.deadline import eventually
from tests.endpoint import Endpoint, checksum
from tests.wire import CHUNKED, OCTETS, Wire, render_request

BIG = 20_000_000


def descriptors(endpoint: Endpoint) -> int:
    """Return how many descriptors the server has open, but for pipes, which it keeps for reuse."""
    return sum(not str(path).startswith("pipe:") for path in endpoint.server.open_files())


def half_a_head(wire: Wire, _: Endpoint) -> None:
    wire.send(b"PATCH /files/x HTTP/1.1\r\nHost: h\r\n")


def half_a_body(wire: Wire, shop: Endpoint) -> None:
    upload = shop.create(BIG)
    fields = {"Upload-Offset": "0", "Content-Type": OCTETS, "Content-Length": str(BIG)}
    wire.send(render_request("PATCH", upload, fields, b"x" * 100_000))


def half_a_checked_body(wire: Wire, shop: Endpoint) -> None:
    upload = shop.create(BIG)
    fields = {"Upload-Offset": "0", "Content-Type": OCTETS, "Content-Length": str(BIG)}
    fields["Upload-Checksum"] = checksum("sha1", b"")
    wire.send(render_request("PATCH", upload, fields, b"x" * 100_000))


def half_a_chunked_body(wire: Wire, shop: Endpoint) -> None:
    upload = shop.create(BIG)
    fields = {"Upload-Offset": "0", "Content-Type": OCTETS, **CHUNKED}
    wire.send(render_request("PATCH", upload, fields, b"10000\r\n" + b"x" * 1000))


def half_a_creation(wire: Wire, shop: Endpoint) -> None:
    fields = {"Upload-Length": str(BIG), "Content-Type": OCTETS, "Content-Length": str(BIG)}
    wire.send(render_request("POST", shop.base, fields, b"x" * 100_000))


def a_refused_body(wire: Wire, shop: Endpoint) -> None:
    upload = shop.create(5)
    wire.send(shop.render_append(upload, 3, b"x" * 1_000_000))


def a_download_that_nobody_reads(wire: Wire, shop: Endpoint) -> None:
    upload = shop.finish(b"x" * BIG)
    wire.send(render_request("GET", upload))
    assert wire.wait_readable(5)


def an_answer_that_nobody_reads(wire: Wire, shop: Endpoint) -> None:
    wire.send(render_request("OPTIONS", shop.base) * 100)


@pytest.mark.parametrize("resets", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize(
    "begin",
    [
        half_a_head,
        half_a_body,
        half_a_checked_body,
        half_a_chunked_body,
        half_a_creation,
        a_refused_body,
        a_download_that_nobody_reads,
        an_answer_that_nobody_reads,
    ],
)
def test_a_client_that_goes_away_leaves_no_descriptor_open(
    shop: Endpoint, begin: Callable[[Wire, Endpoint], None], *, resets: bool
) -> None:
    before = descriptors(shop)
    for _ in range(5):
        with shop.connect() as wire:
            begin(wire, shop)
            if resets:
                wire.reset()
    eventually(lambda: descriptors(shop) <= before)


def test_served_requests_leave_no_descriptor_open(shop: Endpoint) -> None:
    before = descriptors(shop)
    for number in range(20):
        upload = shop.finish(b"x" * (number * 20_000 + 1))
        assert shop.append(upload, 0, b"x" * 100_000).status in {409, 413}
        assert len(shop.ask("GET", upload).body) == number * 20_000 + 1
        assert shop.ask("GET", upload, {"Range": "bytes=0-0"}).body == b"x"
        assert shop.ask("GET", upload, {"Range": "bytes=99999999-"}).status == 416
        assert shop.ask("DELETE", upload).status == 204
    eventually(lambda: descriptors(shop) <= before)
