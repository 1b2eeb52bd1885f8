"""Servers that offer less, say less, or fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fileloft_fast.bench import WORKS, BenchError, Result, Source, discover, measure
from fileloft_fast.bench.target import parse_offers
from tests.bench.fake import Fake, Manners, fake_server
from tests.bench.measuring import SIZES, SOURCE_BYTES, measured

if TYPE_CHECKING:
    from tests.endpoint import Endpoint


def tried(fake: Fake, work: str, fields: dict[str, str] | None = None) -> Result:
    with Source(SOURCE_BYTES) as source:
        return measure(WORKS[work], discover(fake.url, fields), SIZES, source=source)


def test_what_our_server_does_not_offer_is_no_failure(plain: Endpoint) -> None:
    for work, lacking in (
        ("chunks", "checksum is not offered"),
        ("download", "GET of an upload is answered 405"),
    ):
        result = measured(plain, work)
        assert result.not_offered == lacking
        assert (result.failures, result.seconds) == ({}, 0)


def test_small_uploads_take_two_requests_where_one_is_not_enough(plain: Endpoint) -> None:
    result = measured(plain, "small")
    assert result.failures == {}, result.first_failure
    assert result.done.endswith("POST and PATCH")
    assert {name: part.count for name, part in result.parts.items()} == {"POST": 200, "PATCH": 200}
    assert result.uploads_left == 201


def test_without_creation_nothing_is_measured(bare: Endpoint) -> None:
    for work in WORKS:
        result = measured(bare, work)
        assert result.not_offered is not None
        assert result.failures == {}


def test_uploads_are_left_where_termination_is_not_offered(plain: Endpoint) -> None:
    assert measured(plain, "large", deletes=True).uploads_left == 1


@pytest.mark.parametrize("options", [404, 405, 200])
def test_a_server_that_answers_options_poorly_is_tried(options: int) -> None:
    with fake_server(Manners(options=options)) as fake:
        for work in ("large", "streams", "small", "slow"):
            result = tried(fake, work)
            assert result.failures == {}, result.first_failure
            assert result.not_offered is None
        assert tried(fake, "small").done.endswith("POST and PATCH")
        assert tried(fake, "download").not_offered == "GET of an upload is answered 405"
        assert tried(fake, "chunks").not_offered == "a wrong sha1 is taken, so it is not verified"


def test_an_extension_that_is_advertised_and_missing_is_noted() -> None:
    told = "creation,creation-with-upload"
    with fake_server(Manners(options=204, extensions=told)) as fake:
        result = tried(fake, "small")
        assert result.done.endswith("POST and PATCH")
        assert any("creation-with-upload is advertised" in note for note in result.notes)


def test_a_server_that_need_not_say_its_offset_is_believed_after_a_head() -> None:
    with fake_server(Manners(tells_offset=False, head=204)) as fake:
        for work in ("large", "small", "streams"):
            assert tried(fake, work).failures == {}


def test_one_request_is_enough_also_where_nothing_is_advertised() -> None:
    with fake_server(Manners(takes_bytes_with_creation=True)) as fake:
        result = tried(fake, "small")
        assert (result.failures, result.parts) == ({}, {})
        assert len(fake.uploads) == 201


def test_failures_are_counted_by_what_they_are() -> None:
    with fake_server(Manners(fails_every=10)) as fake:
        result = tried(fake, "small")
        assert result.failures == {"step 1: 503": 20}
        assert result.first_failure.startswith("HTTP/1.1 503")
        assert result.bytes == 180 * 100


def test_bytes_that_a_server_loses_are_found() -> None:
    with fake_server(Manners(loses_bytes=1)) as fake:
        large = tried(fake, "large")
        assert large.failures == {"check: offset": 1}
        assert large.bytes == 0
        assert tried(fake, "small").failures == {"check: offset": 1, "upload that was tried": 1}


def test_a_server_that_refuses_to_create_fails_every_work() -> None:
    with fake_server(Manners(create=500)) as fake:
        for work in WORKS:
            assert tried(fake, work).failures == {"POST: 500": 1}


def test_fields_are_sent_with_every_request() -> None:
    with fake_server() as fake:
        assert tried(fake, "small", {"Authorization": "Bearer x"}).failures == {}
        assert fake.authorizations == {"Bearer x"}


def test_nobody_there_is_said_in_a_line() -> None:
    with fake_server() as fake:
        pass
    with pytest.raises(BenchError, match=r"^http://.*/up: no answer: .*refused") as told:
        discover(fake.url)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("fields", "extensions", "checksums", "most"),
    [
        ({}, None, (), None),
        ({"tus-extension": ""}, (), (), None),
        ({"tus-version": "1.0.0"}, (), (), None),
        ({"tus-extension": " Creation, checksum ,"}, ("creation", "checksum"), (), None),
        ({"tus-checksum-algorithm": "md5,SHA1"}, None, ("md5", "sha1"), None),
        ({"tus-max-size": "1000"}, None, (), 1000),
        ({"tus-max-size": "0"}, None, (), None),
        ({"tus-max-size": "many"}, None, (), None),
    ],
)
def test_what_options_say_is_read(
    fields: dict[str, str],
    extensions: tuple[str, ...] | None,
    checksums: tuple[str, ...],
    most: int | None,
) -> None:
    offers = parse_offers(200, fields)
    assert (offers.extensions, offers.checksums, offers.max_size) == (extensions, checksums, most)


def test_what_an_error_says_of_extensions_does_not_count() -> None:
    assert parse_offers(404, {"tus-extension": "creation"}).extensions is None
