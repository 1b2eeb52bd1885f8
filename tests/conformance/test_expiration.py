"""tus 1.0, expiration (T130 to T135)."""

from __future__ import annotations

import re
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import pytest

from tests.deadline import eventually
from tests.wire import OCTETS, render_request

if TYPE_CHECKING:
    from tests.conftest import Fleet
    from tests.endpoint import Endpoint

IMF_FIXDATE = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) "
    r"\d{4} \d\d:\d\d:\d\d GMT"
)


def seconds_left(value: str) -> float:
    assert IMF_FIXDATE.fullmatch(value), value
    return parsedate_to_datetime(value).timestamp() - time.time()


@pytest.fixture(scope="module")
def fleeting(fleet: Fleet) -> Endpoint:
    """Return a server whose uploads live for a second and are remembered for some more."""
    return fleet.endpoint(ENABLE_EXPIRATION="1", EXPIRATION_TTL="1", SWEEP_INTERVAL="0.2")


@pytest.fixture(scope="module")
def lazy(fleet: Fleet) -> Endpoint:
    """Return a server that notices the expiry long before its sweeper comes."""
    return fleet.endpoint(ENABLE_EXPIRATION="1", EXPIRATION_TTL="1", SWEEP_INTERVAL="3600")


def test_creation_tells_when_the_upload_expires(tus: Endpoint) -> None:
    """T130 and T132."""
    for headers in ({"Upload-Length": "5"}, {"Upload-Defer-Length": "1"}):
        assert 3590 < seconds_left(tus.post(headers)["Upload-Expires"]) <= 3601
    answer = tus.post({"Upload-Length": "9", "Content-Type": OCTETS}, b"hello")
    assert 3590 < seconds_left(answer["Upload-Expires"]) <= 3601


def test_every_patch_and_head_of_an_unfinished_upload_tells_it(tus: Endpoint) -> None:
    """T131 and T132."""
    upload = tus.create(5)
    for offset in range(4):
        answer = tus.append(upload, offset, b"x")
        assert 3590 < seconds_left(answer["Upload-Expires"]) <= 3601
    assert 3590 < seconds_left(tus.head(upload)["Upload-Expires"]) <= 3601


def test_a_complete_upload_does_not_expire(tus: Endpoint) -> None:
    """T134."""
    upload = tus.create_holding(b"1234", 5)
    assert "Upload-Expires" not in tus.append(upload, 4, b"5")
    assert "Upload-Expires" not in tus.head(upload)
    answer = tus.post({"Upload-Length": "5", "Content-Type": OCTETS}, b"hello")
    assert "Upload-Expires" not in answer


def test_no_expiry_means_no_header(plain: Endpoint) -> None:
    """T130: only where the extension is on."""
    answer = plain.post({"Upload-Length": "5"})
    assert "Upload-Expires" not in answer
    assert "expiration" not in plain.ask("OPTIONS", plain.base)["Tus-Extension"].split(",")


def test_an_expired_upload_is_410_while_it_is_remembered(lazy: Endpoint) -> None:
    """T133."""
    upload = lazy.create_holding(b"abc", 5)
    answer = eventually(lambda: (a := lazy.head(upload)).status != 200 and a)
    assert answer is not False
    assert answer.status == 410
    assert "Upload-Offset" not in answer
    appended = lazy.append(upload, 3, b"de")
    assert appended.status == 410
    assert "Upload-Offset" not in appended


def test_an_expired_upload_is_deleted_and_then_404(fleeting: Endpoint) -> None:
    """T133: fileloft never deletes anything."""
    upload = fleeting.create_holding(b"abc", 5)
    eventually(lambda: not fleeting.data_file(upload).exists())
    eventually(lambda: not fleeting.info_file(upload).exists())
    eventually(lambda: fleeting.head(upload).status == 404)
    assert fleeting.append(upload, 3, b"de").status == 404
    fleeting.assert_gone(upload)


def test_a_complete_upload_is_never_swept(fleeting: Endpoint) -> None:
    """T134."""
    kept = fleeting.finish(b"hello")
    swept = fleeting.create(5)
    eventually(lambda: not fleeting.info_file(swept).exists())
    fleeting.assert_holds(kept, b"hello")


def test_a_complete_upload_is_swept_where_the_operator_asks_for_it(fleet: Fleet) -> None:
    """T134: FILELOFT_EXPIRE_FINISHED."""
    strict = fleet.endpoint(
        ENABLE_EXPIRATION="1", EXPIRATION_TTL="1", EXPIRE_FINISHED="1", SWEEP_INTERVAL="0.2"
    )
    answer = strict.post({"Upload-Length": "5", "Content-Type": OCTETS}, b"hello")
    assert seconds_left(answer["Upload-Expires"]) <= 2
    upload = strict.path_of(answer)
    eventually(lambda: not strict.data_file(upload).exists())
    eventually(lambda: not strict.info_file(upload).exists())
    strict.assert_gone(upload)


def test_activity_puts_the_expiry_off(fleet: Fleet) -> None:
    """T131: it slides, so an upload that goes on never expires."""
    sliding = fleet.endpoint(ENABLE_EXPIRATION="1", EXPIRATION_TTL="2", SWEEP_INTERVAL="0.2")
    upload = sliding.create(1000)
    began = time.monotonic()
    sent = 0

    def goes_on() -> bool:
        nonlocal sent
        assert sliding.append(upload, sent, b"x").status == 204
        sent += 1
        return time.monotonic() - began > 3.0 or sent == 999

    eventually(goes_on)
    sliding.assert_holds(upload, b"x" * sent)


def test_an_upload_is_not_deleted_under_a_live_writer(fleeting: Endpoint) -> None:
    """T135."""
    upload = fleeting.create(1000)
    fields = {"Upload-Offset": "0", "Content-Type": OCTETS, "Content-Length": "1000"}
    began = time.monotonic()
    sent = 0
    with fleeting.connect() as wire:
        wire.send(render_request("PATCH", upload, fields))

        def trickles() -> bool:
            nonlocal sent
            wire.send(b"x")
            sent += 1
            return time.monotonic() - began > 2.5 or sent == 999

        eventually(trickles)
        assert fleeting.data_file(upload).exists()
        wire.send(b"x" * (1000 - sent))
        answer = wire.read()
        assert (answer.status, answer["Upload-Offset"]) == (204, "1000")
    fleeting.assert_holds(upload, b"x" * 1000)
