"""Answers that tell what a complete upload hashes to (RFC 9530)."""

from __future__ import annotations

import hashlib
from typing import Final

import pytest
from msgspec.structs import replace

from fileloft_fast.model import Checksum, Response
from fileloft_fast.tus.digests import render_digests
from fileloft_fast.tus.download import select
from fileloft_fast.tus.responses import Answers
from tests.unit.tus.heads import UPLOAD, head, rules, upload

ANSWERS: Final = Answers(rules())
HASHED: Final = replace(
    upload(5, 5),
    digests=(
        Checksum("sha256", hashlib.sha256(b"hello").digest()),
        Checksum("sha512", hashlib.sha512(b"hello").digest()),
    ),
)
TOLD: Final = (
    "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:, "
    "sha-512=:m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw==:"
)


def told(response: Response) -> str | None:
    return dict(response.headers).get("Repr-Digest")


def test_digests_are_a_dictionary_of_byte_sequences() -> None:
    assert render_digests(HASHED.digests) == TOLD
    assert render_digests(HASHED.digests[:1]) == TOLD.split(", ", maxsplit=1)[0]


def test_head_tells_the_digest_of_the_whole() -> None:
    assert told(ANSWERS.inspected(head("HEAD", UPLOAD), HASHED)) == TOLD
    assert told(ANSWERS.inspected(head("HEAD", UPLOAD), upload(5, 5))) is None


@pytest.mark.parametrize(("fields", "status"), [({}, 200), ({"range": "bytes=1-2"}, 206)])
def test_a_download_tells_the_digest_of_the_whole_and_not_of_the_range(
    fields: dict[str, str], status: int
) -> None:
    asked = head("GET", UPLOAD, fields)
    response = ANSWERS.downloaded(asked, select(asked, HASHED))
    assert (response.status, told(response)) == (status, TOLD)
    assert told(ANSWERS.downloaded(asked, select(asked, upload(5, 5)))) is None
