"""What a whole upload hashes to (RFC 9530): where it is told, and when it is computed at all.

Quoted is draft-ietf-httpbis-resumable-upload, as of 2026-07-01, section "Integrity Digests".
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Final

import pytest

from tests.resumption import Draft, Resumption, digest_of

if TYPE_CHECKING:
    from tests.conftest import Fleet
    from tests.endpoint import Endpoint

SMALL: Final = b"hello world"
LARGE: Final = os.urandom(3_000_000)

every_size = pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])


@pytest.fixture
def up(fleet: Fleet) -> Resumption:
    return Resumption(fleet.endpoint(RESUMABLE="on", ENABLE_DOWNLOAD="1").server, draft=Draft(8))


@pytest.fixture
def hashing(fleet: Fleet) -> Endpoint:
    return fleet.endpoint(DIGEST="sha256", ENABLE_DOWNLOAD="1")


def kept(endpoint: Endpoint, upload: str) -> str:
    """Return what ``.info`` has of this server alone, as text."""
    return json.dumps(endpoint.info(upload)["fast"])


def test_bytes_that_are_all_there_are_not_shown_before_they_were_compared(up: Resumption) -> None:
    upload = up.create(11, {"Repr-Digest": digest_of(SMALL)}, SMALL)
    up.assert_awaits_end(upload, SMALL)
    download = {"Upload-Draft-Interop-Version": None}
    assert up.ask("GET", upload, download).status != 200
    answer = up.append(upload, 11, b"", ends=True)
    assert (answer.status, answer["Repr-Digest"]) == (201, digest_of(SMALL))
    assert up.ask("GET", upload, download).body == SMALL


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ("sha-256=1", "sha-256"),
        ("sha-512=3, sha-256=10", "sha-256"),
        ("sha-512=10, sha-256=3", "sha-512"),
        ("md5=10, sha-512=1", "sha-512"),
        ("sha-256=0", None),
        ("md5=10", None),
        ("sha-256", None),
    ],
)
@every_size
def test_the_digest_that_is_wanted_most_is_told_at_the_end(
    up: Resumption, wish: str, told: str | None, content: bytes
) -> None:
    """ "Want-Repr-Digest [...] the server SHOULD include Repr-Digest in the response"."""
    upload = up.create(None, {"Want-Repr-Digest": wish}, content[:5])
    assert "Repr-Digest" not in up.append(upload, 5, content[5:9])
    answer = up.append(upload, 9, content[9:], ends=True)
    assert answer.get("Repr-Digest") == (None if told is None else digest_of(content, told))


@every_size
def test_every_upload_is_hashed_where_the_operator_wants_it(
    hashing: Endpoint, content: bytes
) -> None:
    upload = hashing.create(len(content))
    for start, end in ((0, 5), (5, 9), (9, len(content))):
        assert hashing.append(upload, start, content[start:end]).status == 204
    digest = hashlib.sha256(content).hexdigest()
    assert digest in kept(hashing, upload)
    got = hashing.ask("GET", upload, {"Tus-Resumable": None})
    assert (got.body, got["Repr-Digest"]) == (content, digest_of(content))


@every_size
def test_a_checked_body_is_hashed_twice_and_counts_once(hashing: Endpoint, content: bytes) -> None:
    upload = hashing.create(len(content))
    refused = hashing.append(upload, 0, content[:9], hashing.checksum(b"other"))
    assert refused.status == 460
    for start, end in ((0, 9), (9, len(content))):
        body = content[start:end]
        assert hashing.append(upload, start, body, hashing.checksum(body)).status == 204
    assert hashlib.sha256(content).hexdigest() in kept(hashing, upload)


@every_size
def test_an_upload_of_one_request_is_hashed(hashing: Endpoint, content: bytes) -> None:
    upload = hashing.create(len(content), None, content)
    assert hashlib.sha256(content).hexdigest() in kept(hashing, upload)


def test_nothing_is_hashed_unless_somebody_wants_it(up: Resumption) -> None:
    upload = up.finish(SMALL)
    assert "digest" not in kept(up, upload)
    assert "Repr-Digest" not in up.head(upload)
