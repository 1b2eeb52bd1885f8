"""What the head of a creation says beside its length: limits, digests, metadata; every version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from fileloft_fast.errors import (
    TooLargeError,
    TooSmallError,
)
from fileloft_fast.model import Checksum, Offset
from fileloft_fast.resumable.plan import exceeded, plan_create
from fileloft_fast.tus.effects import Create
from tests.unit.resumable.heads import (
    EVERY,
    UPLOAD,
    answers,
    creation,
    fields_of,
    head,
    name_of,
    rules,
    upload,
    wanted,
)

if TYPE_CHECKING:
    from fileloft_fast.resumable.versions import Version

every_version = pytest.mark.parametrize("version", EVERY, ids=name_of)


# -- limits ---------------------------------------------------------------------------------------


@every_version
def test_content_beyond_the_largest_append_is_413_and_of_that_size_taken(
    version: Version,
) -> None:
    by = rules(max_append_size=10)
    with pytest.raises(TooLargeError):
        wanted(creation(version, size=11), by)
    assert plan_create(wanted(creation(version, size=10), by), by).room == 10


@every_version
def test_a_body_of_unknown_size_has_room_for_the_largest_append(version: Version) -> None:
    by = rules(max_append_size=10)
    asked = wanted(creation(version, {"upload-length": "99"}, chunked=True), by)
    assert plan_create(asked, by).room == 10
    assert isinstance(exceeded(Offset(0), 99, by), TooLargeError)


@every_version
def test_content_below_the_smallest_append_is_refused_unless_it_ends_the_upload(
    version: Version,
) -> None:
    by = rules(min_append_size=5)
    with pytest.raises(TooSmallError):
        wanted(creation(version, ends=False, size=4), by)
    assert wanted(creation(version, size=4), by).ends


@every_version
def test_small_uploads_are_taken_without_resumption(version: Version) -> None:
    by = rules(min_size=100)
    assert not wanted(creation(version, size=99), by).announces
    assert not wanted(creation(version, chunked=True), by).announces
    assert wanted(creation(version, size=100), by).announces
    with pytest.raises(TooSmallError):
        wanted(creation(version, {"upload-length": "99"}, ends=False), by)


@every_version
def test_the_limits_are_told_with_the_time_that_is_left(version: Version) -> None:
    by = rules(max_size=1000, min_size=1, max_append_size=50, min_append_size=2)
    info = upload(0, 9, expires_at=1_000_060.5)
    said = fields_of(answers(version, by).inspected(head(version, "HEAD", UPLOAD), info))
    sizes = "max-size=1000, min-size=1, max-append-size=50, min-append-size=2"
    lifetime = {6: "expires"}.get(version.number, "max-age")
    expected = None if version.number in {3, 4, 5} else f"{sizes}, {lifetime}=60"
    assert said.get("upload-limit") == expected


# -- digests and metadata -------------------------------------------------------------------------

ABC = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="  # of b"abc"


@every_version
def test_digests_of_the_content_and_of_the_whole_are_told_apart(version: Version) -> None:
    fields = {
        "content-digest": f"sha-256=:{ABC}:, md5=:AAAA:",
        "repr-digest": f"sha-256=:{ABC}:",
        "want-repr-digest": "sha-512=3, sha-256=10",
    }
    asked = wanted(creation(version, fields, ends=False, size=3))
    assert isinstance(asked.effect, Create)
    assert asked.effect.checksum is not None
    assert asked.effect.checksum.algorithm == "sha256"
    assert asked.representation == (Checksum("sha256", asked.effect.checksum.digest),)
    assert asked.wishes == ("sha256", "sha512")


@every_version
def test_the_digest_of_the_whole_is_told(version: Version) -> None:
    digest = Checksum("sha256", bytes(32))
    info = replace(upload(3, 3, awaits_end=False), digests=(digest,))
    final = answers(version).created(creation(version, size=3), info)
    looked = answers(version).inspected(head(version, "HEAD", UPLOAD), info)
    for answer in (final, looked):
        assert fields_of(answer)["repr-digest"] == f"sha-256=:{'A' * 43}=:"


@every_version
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {}),
        ({"content-type": "image/png"}, {"filetype": b"image/png"}),
        ({"content-type": "application/partial-upload"}, {}),
        ({"content-encoding": "gzip"}, {"contentencoding": b"gzip"}),
        ({"content-disposition": 'inline; filename="a b.jpg"'}, {"filename": b"a b.jpg"}),
        (
            {"content-disposition": "inline; filename=\"x\"; filename*=UTF-8''a%C3%A4.jpg"},
            {"filename": "aä.jpg".encode()},
        ),
        ({"content-disposition": 'attachment; filename="a\\"b"'}, {"filename": b'a"b'}),
        ({"content-disposition": "inline; filename*=latin1''a; filename=b"}, {"filename": b"b"}),
        ({"content-disposition": "inline; filename="}, {}),
        ({"upload-metadata": "k dg==", "content-type": "image/png"}, {"k": b"v"}),
    ],
)
def test_what_the_head_says_of_the_file_is_kept(
    version: Version, fields: dict[str, str], expected: dict[str, bytes]
) -> None:
    effect = wanted(creation(version, fields, size=1)).effect
    assert isinstance(effect, Create)
    assert dict(effect.metadata.pairs) == expected
