"""tus 1.0, HEAD (T050 to T058)."""

from __future__ import annotations

import statistics
import time
from functools import partial

import pytest

from tests.deadline import eventually
from tests.endpoint import Endpoint, metadata
from tests.wire import OCTETS, render_request


def holds(endpoint: Endpoint, upload: str, offset: int) -> bool:
    return endpoint.offset(upload) == offset


UNKNOWN = "/files/0123456789abcdef0123456789abcdef"


def test_head_of_a_new_upload(tus: Endpoint) -> None:
    """T050: tusgo takes 200 only."""
    answer = tus.head(tus.create(100))
    assert answer.status == 200
    assert answer["Upload-Offset"] == "0"
    assert answer["Upload-Length"] == "100"
    assert answer["Cache-Control"] == "no-store"
    assert answer["Tus-Resumable"] == "1.0.0"
    assert "Upload-Defer-Length" not in answer


def test_head_part_way(tus: Endpoint) -> None:
    """T051."""
    upload = tus.create_holding(b"1234567", 10)
    answer = tus.head(upload)
    assert (answer["Upload-Offset"], answer["Upload-Length"]) == ("7", "10")
    tus.assert_holds(upload, b"1234567")


def test_head_of_a_complete_upload(tus: Endpoint) -> None:
    """T052."""
    answer = tus.head(tus.finish(b"hello"))
    assert answer["Upload-Offset"] == answer["Upload-Length"] == "5"


def test_head_while_the_length_is_deferred_and_after(tus: Endpoint) -> None:
    """T053."""
    upload = tus.create(None)
    answer = tus.head(upload)
    assert answer["Upload-Defer-Length"] == "1"
    assert "Upload-Length" not in answer
    assert tus.append(upload, 0, b"abc", {"Upload-Length": "9"}).status == 204
    answer = tus.head(upload)
    assert answer["Upload-Length"] == "9"
    assert "Upload-Defer-Length" not in answer
    tus.assert_holds(upload, b"abc")


@pytest.mark.parametrize("target", [UNKNOWN, "/files/x", "/files/" + "a" * 128, "/elsewhere"])
def test_head_of_an_unknown_upload_is_404_without_an_offset(tus: Endpoint, target: str) -> None:
    """T054."""
    answer = tus.head(target)
    assert answer.status == 404
    assert "Upload-Offset" not in answer


@pytest.mark.parametrize(
    "sent",
    [
        "filename d29ybGQ=,is_confidential",
        "is_confidential,filename d29ybGQ=",
        "z YQ==,a Yg==,m",
        metadata(filename="ünïcode ☃.txt", filetype="text/plain; charset=utf-8"),
    ],
)
def test_head_echoes_the_metadata_byte_for_byte(tus: Endpoint, sent: str) -> None:
    """T055."""
    upload = tus.create(3, {"Upload-Metadata": sent})
    assert tus.head(upload)["Upload-Metadata"] == sent
    assert tus.append(upload, 0, b"abc").status == 204
    assert tus.head(upload)["Upload-Metadata"] == sent


def test_head_without_metadata_has_none(tus: Endpoint) -> None:
    """T056."""
    assert "Upload-Metadata" not in tus.head(tus.create(3))


@pytest.mark.parametrize("target_exists", [True, False])
def test_head_has_no_body_and_the_next_request_is_answered(
    tus: Endpoint, *, target_exists: bool
) -> None:
    """T057: also where the answer is an error."""
    upload = tus.create_holding(b"abc", 5)
    target = upload if target_exists else UNKNOWN
    with tus.connect() as wire:
        wire.send(render_request("HEAD", target) + render_request("HEAD", upload))
        first = wire.read(head=True)
        assert first.status == (200 if target_exists else 404)
        if "Content-Length" in first and target_exists:
            assert first["Content-Length"] == "0"
        assert wire.read(head=True)["Upload-Offset"] == "3"
        wire.half_close()
        wire.assert_silent_end()


def test_head_of_an_upload_whose_holder_stalls_answers_at_once(tus: Endpoint) -> None:
    """T058: within 100 ms, and the offset counts every byte that was sent."""
    upload = tus.create(1_000_000)
    fields = {"Upload-Offset": "0", "Content-Type": OCTETS, "Content-Length": "1000000"}
    with tus.connect() as holder, tus.connect() as other:
        holder.send(render_request("PATCH", upload, fields))
        sent, times = 0, []
        for size in [1, 10, 1000, 4097, 70_000] * 4:
            holder.send(b"h" * size)
            sent += size
            eventually(partial(holds, tus, upload, sent))
            started = time.monotonic()
            answer = other.ask(render_request("HEAD", upload))
            times.append(time.monotonic() - started)
            assert (answer.status, answer["Upload-Offset"]) == (200, str(sent))
    assert statistics.median(times) < 0.1, times
    eventually(lambda: tus.stored(upload) == b"h" * sent)
