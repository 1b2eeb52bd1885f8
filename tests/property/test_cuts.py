"""Whatever the network does to the bytes, the upload ends as if nothing had happened."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.deadline import eventually
from tests.endpoint import Endpoint, checksum
from tests.wire import CHUNKED, OCTETS, render_chunks, render_request

over_a_socket = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
lengths = st.integers(1, 300_000)
places = st.lists(st.integers(0, 300_000), max_size=6)


def content_of(length: int) -> bytes:
    """Return *length* bytes in which every place can be told from every other."""
    blocks = (hashlib.sha512(str(number).encode()).digest() for number in range(length // 64 + 1))
    return b"".join(blocks)[:length]


def split_at(data: bytes, where: list[int]) -> Iterator[bytes]:
    """Yield *data* cut at every place of *where* that it has."""
    edges = [0, *sorted(place for place in where if place < len(data)), len(data)]
    for start, end in pairwise(edges):
        yield data[start:end]


def offset_from(endpoint: Endpoint, upload: str, least: int) -> int:
    """Return the offset once it is *least* or more, else 0."""
    offset = endpoint.offset(upload)
    return offset if offset >= least else 0


def rest_of(
    endpoint: Endpoint, content: bytes, upload: str, offset: int, *, chunked: bool
) -> bytes:
    """Return a PATCH with everything from *offset* on."""
    body = render_chunks([content[offset:]]) if chunked else content[offset:]
    framing = CHUNKED if chunked else {}
    return endpoint.render_append(upload, offset, body, framing, ends=True)


@over_a_socket
@given(length=lengths, where=places, chunked=st.booleans(), resets=st.booleans())
def test_a_resumed_upload_is_the_upload(
    either: Endpoint, length: int, where: list[int], *, chunked: bool, resets: bool
) -> None:
    """T068 and I11: the connection ends anywhere, again and again; the offset counts up and never
    back, and the upload is not complete before its end has come.
    """
    content = content_of(length)
    upload = either.create(length)
    known = 0
    for place in sorted(where):
        request = rest_of(either, content, upload, known, chunked=chunked)
        with either.connect() as wire:
            wire.send_pieces([request[:place]])
            if resets:
                wire.reset()
        before, known = known, either.offset(upload)
        assert before <= known <= length
        assert either.stored(upload)[:known] == content[:known]
        assert place >= len(request) or known == length or not either.is_complete(upload)

    def completes() -> bool:
        # Bytes of a cut connection may still arrive between HEAD and PATCH: 409, ask again.
        if either.is_complete(upload):
            return True
        offset = either.offset(upload)
        answer = either.exchange(rest_of(either, content, upload, offset, chunked=chunked))
        assert either.took(answer) or answer.status == 409
        return either.took(answer)

    eventually(completes)
    assert either.is_complete(upload)
    either.assert_holds(upload, content)


@over_a_socket
@given(length=lengths, where=places)
def test_a_cut_never_shows_what_was_not_verified(
    either: Endpoint, length: int, where: list[int]
) -> None:
    """T146: with a checksum a body counts as a whole, or not at all."""
    content = content_of(length)
    upload = either.create(length)
    request = either.render_append(upload, 0, content, either.checksum(content), ends=True)
    for place in where:
        with either.connect() as wire:
            wire.send_pieces([request[: min(place, len(request) - 1)]])
        assert either.offset(upload) == 0
    with either.connect() as wire:
        wire.send_pieces([request])
        assert either.took(wire.read())
    either.assert_holds(upload, content)


@over_a_socket
@given(
    sizes=st.lists(st.integers(0, 20_000), min_size=1, max_size=8),
    where=st.lists(st.integers(0, 160_000), max_size=20),
    kinds=st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_a_pipeline_is_answered_in_order_however_it_is_cut(
    either: Endpoint, sizes: list[int], where: list[int], kinds: list[bool]
) -> None:
    """H38: PATCHes, chunked or not, and a HEAD behind each of them."""
    content = content_of(sum(sizes))
    upload = either.create(len(content))
    requests: list[bytes] = []
    expected: list[int] = []
    for size, chunked in zip(sizes, kinds, strict=False):
        offset = sum(expected[::2][-1:])
        body = content[offset : offset + size]
        framing = CHUNKED if chunked else {}
        sent = render_chunks([body[: size // 2], body[size // 2 :]]) if chunked else body
        requests.append(either.render_append(upload, offset, sent, framing))
        requests.append(either.render("HEAD", upload))
        expected += [offset + size] * 2
    with either.connect() as wire:
        wire.send_pieces(split_at(b"".join(requests), where))
        for request, offset in zip(requests, expected, strict=True):
            answer = wire.read(head=request.startswith(b"HEAD"))
            assert answer["Upload-Offset"] == str(offset)
    either.assert_holds(upload, content)


@over_a_socket
@given(where=st.lists(st.integers(0, 5000), max_size=30), pieces=st.lists(st.integers(1, 600)))
def test_chunks_and_packets_do_not_change_what_is_stored(
    tus: Endpoint, where: list[int], pieces: list[int]
) -> None:
    """T073: neither where chunks end nor where packets do, nor a checksum in a trailer."""
    content = content_of(max(sum(pieces), 1))
    edges = [sum(pieces[:number]) for number in range(len(pieces) + 1)]
    chunks = list(split_at(content, edges))
    trailer = f"Upload-Checksum: {checksum('sha1', content)}\r\n".encode()
    upload = tus.create(len(content))
    fields = {"Upload-Offset": "0", "Content-Type": OCTETS, "Trailer": "Upload-Checksum", **CHUNKED}
    request = render_request("PATCH", upload, fields, render_chunks(chunks, trailer))
    with tus.connect() as wire:
        wire.send_pieces(split_at(request, where))
        assert wire.read()["Upload-Offset"] == str(len(content))
    tus.assert_holds(upload, content)


@over_a_socket
@given(sizes=st.lists(st.integers(1, 30_000), min_size=2, max_size=6))
def test_the_offset_never_goes_back_while_clients_push_each_other_out(
    either: Endpoint, sizes: list[int]
) -> None:
    """T076 and I29: each one stalls with its bytes sent, the next goes on where HEAD says."""
    content = content_of(sum(sizes) + 1)
    upload = either.create(len(content))
    wires = []
    offset = 0
    for size in sizes:
        wire = either.connect()
        wires.append(wire)
        framing = {"Content-Length": str(len(content) - offset)}
        wire.send(either.render_append(upload, offset, b"", framing, ends=True))
        wire.send(content[offset : offset + size])
        offset += size
        seen = eventually(partial(offset_from, either, upload, offset))
        assert seen == offset
        assert either.stored(upload)[:seen] == content[:seen]
        assert not either.is_complete(upload)
    assert either.took(either.append(upload, offset, content[offset:], ends=True))
    for wire in wires:
        wire.socket.close()
    assert either.is_complete(upload)
    either.assert_holds(upload, content)
