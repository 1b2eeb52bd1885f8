"""However an upload came, what it hashes to is known when it is complete."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.deadline import eventually
from tests.property.test_cuts import content_of, lengths, over_a_socket
from tests.resumption import Resumption, digest_of
from tests.wire import CHUNKED, render_chunks

if TYPE_CHECKING:
    from tests.conftest import Fleet
    from tests.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request for all the rest of an upload, and where its connection ends."""

    place: int
    by_tus: bool
    chunked: bool
    checked: bool
    resets: bool


attempts = st.builds(
    Attempt,
    place=st.integers(0, 300_000),
    by_tus=st.booleans(),
    chunked=st.booleans(),
    checked=st.booleans(),
    resets=st.booleans(),
)


@pytest.fixture(scope="module")
def hashing(fleet: Fleet) -> Endpoint:
    """Return a server that hashes every upload as a whole."""
    return fleet.endpoint(DIGEST="sha256")


def rest_by(endpoint: Endpoint, content: bytes, upload: str, offset: int, way: Attempt) -> bytes:
    """Return a PATCH with everything from *offset* on."""
    rest = content[offset:]
    fields: dict[str, str | None] = {}
    if way.checked:
        fields |= endpoint.checksum(rest)
    if way.chunked:
        fields |= CHUNKED
    body = render_chunks([rest]) if way.chunked else rest
    return endpoint.render_append(upload, offset, body, fields, ends=True)


@over_a_socket
@given(
    length=lengths,
    ways=st.lists(attempts, max_size=5),
    last=attempts,
    begun_by_tus=st.booleans(),
    told=st.booleans(),
)
def test_the_digest_of_a_resumed_upload_is_that_of_its_bytes(
    hashing: Endpoint,
    length: int,
    ways: list[Attempt],
    last: Attempt,
    *,
    begun_by_tus: bool,
    told: bool,
) -> None:
    """The connection ends anywhere; either protocol goes on, with a checksum of its body or not."""
    content = content_of(length)
    draft = Resumption(hashing.server)
    if begun_by_tus:
        upload = hashing.create(length)
    else:
        fields = {"Repr-Digest": digest_of(content, "sha-512")} if told else {}
        upload = draft.create(length, fields)
    for way in ways:
        endpoint = hashing if way.by_tus else draft
        request = rest_by(endpoint, content, upload, endpoint.offset(upload), way)
        with endpoint.connect() as wire:
            wire.send_pieces([request[: way.place]])
            if way.resets:
                wire.reset()

    def completes() -> bool:
        if draft.is_complete(upload):
            return True
        endpoint = hashing if last.by_tus else draft
        offset = endpoint.offset(upload)
        answer = endpoint.exchange(rest_by(endpoint, content, upload, offset, last))
        assert endpoint.took(answer) or answer.status == 409, answer
        return endpoint.took(answer)

    eventually(completes)
    assert draft.is_complete(upload)
    hashing.assert_holds(upload, content)
    names = {"sha256", "sha512"} if told and not begun_by_tus else {"sha256"}
    digests = {name: hashlib.new(name, content).hexdigest() for name in names}
    assert hashing.info(upload)["fast"]["digests"] == digests
