"""The IETF's protocol, against a server that is not ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fileloft_fast.bench import WORKS, Result, Source, discover, measure
from fileloft_fast.bench.dialects import IETF
from fileloft_fast.bench.target import parse_limits
from tests.bench.fake import Fake, Manners, fake_server
from tests.bench.measuring import SIZES, SOURCE_BYTES, measured

if TYPE_CHECKING:
    from tests.endpoint import Endpoint


def tried(fake: Fake, work: str, *, deletes: bool = False) -> Result:
    target = discover(fake.url, dialect=IETF)
    with Source(SOURCE_BYTES) as source:
        return measure(WORKS[work], target, SIZES, source=source, deletes=deletes)


@pytest.mark.parametrize("work", ["large", "streams", "small", "slow"])
def test_a_work_reads_past_interim_answers(work: str) -> None:
    with fake_server(Manners(takes_bytes_with_creation=True)) as fake:
        result = tried(fake, work)
        assert (result.failures, result.not_offered) == ({}, None), result.first_failure
        assert result.protocol == "ietf"
        assert next(fake.interims) == 2 * next(fake.posts)


@pytest.mark.parametrize("work", ["large", "streams", "chunks", "small", "resume", "slow"])
def test_our_server_does_a_work_by_it_and_its_uploads_are_cancelled(
    tus: Endpoint, work: str
) -> None:
    result = measured(tus, work, dialect=IETF, deletes=True)
    assert (result.failures, result.not_offered) == ({}, None), result.first_failure
    small = SIZES.small_count if work == "small" else 0  # whose paths are not kept
    assert result.uploads_left == small


def test_small_uploads_are_one_request_that_ends_them() -> None:
    with fake_server(Manners(takes_bytes_with_creation=True)) as fake:
        assert tried(fake, "small").done.endswith("one request each")
        assert set(fake.uploads.values()) == {SIZES.small_bytes}
        assert len(fake.uploads) == SIZES.small_count + 1


def test_a_server_that_keeps_no_body_of_a_creation_is_sent_two_requests() -> None:
    with fake_server() as fake:
        result = tried(fake, "small")
        assert (result.failures, set(result.parts)) == ({}, {"POST", "PATCH"})


def test_what_the_protocol_or_the_server_has_not_is_not_offered() -> None:
    with fake_server() as fake:
        assert tried(fake, "download").not_offered == "GET is no download by this protocol"
        assert tried(fake, "chunks").not_offered == "a wrong sha256 is taken, so it is not verified"


def test_limits_are_kept_to_and_uploads_cancelled() -> None:
    with fake_server(Manners(options=204, limits="max-size=1000", head=204)) as fake:
        result = tried(fake, "large", deletes=True)
        assert (result.failures, result.uploads_left, fake.uploads) == ({}, 0, {})
        size = SIZES.size_bytes
        assert result.notes == (f"uploads of 1000 bytes, the server's max-size, instead of {size}",)


@pytest.mark.parametrize(
    ("limits", "offers", "most"),
    [
        (None, False, None),
        ("min-size=0", True, None),
        ("max-size=20", True, 20),
        ("max-append-size=1, max-size=300,max-age=9", True, 300),
        ("max-append-size=1", True, None),
        ("max-size=1.5", True, None),
    ],
)
def test_what_limits_say_is_read(limits: str | None, offers: bool, most: int | None) -> None:  # noqa: FBT001 - a row
    found = parse_limits(204, {} if limits is None else {"upload-limit": limits})
    assert (found.extensions is not None, found.max_size) == (offers, most)
    assert parse_limits(404, {"upload-limit": "max-size=1"}).max_size is None
