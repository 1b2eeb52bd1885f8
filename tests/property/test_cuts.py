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


def rest_of(content: bytes, upload: str, offset: int, *, chunked: bool) -> bytes:
    """Return a PATCH with everything from *offset* on."""
    fields = {"Upload-Offset": str(offset), "Content-Type": OCTETS}
    if chunked:
        return render_request(
            "PATCH", upload, {**fields, **CHUNKED}, render_chunks([content[offset:]])
        )
    return render_request("PATCH", upload, fields, content[offset:])


@over_a_socket
@given(length=lengths, where=places, chunked=st.booleans(), resets=st.booleans())
def test_a_resumed_upload_is_the_upload(
    tus: Endpoint, length: int, where: list[int], *, chunked: bool, resets: bool
) -> None:
    """T068: the connection ends anywhere, again and again; the offset counts up and never back."""
    content = content_of(length)
    upload = tus.create(length)
    known = 0
    for place in sorted(where):
        with tus.connect() as wire:
            wire.send_pieces([rest_of(content, upload, known, chunked=chunked)[:place]])
            if resets:
                wire.reset()
        before, known = known, tus.offset(upload)
        assert before <= known <= length
        assert tus.stored(upload)[:known] == content[:known]

    def completes() -> bool:
        # Bytes of a cut connection may still arrive between HEAD and PATCH: 409, ask again.
        answer = tus.exchange(rest_of(content, upload, tus.offset(upload), chunked=chunked))
        assert answer.status in {204, 409}
        return answer.status == 204

    eventually(completes)
    tus.assert_holds(upload, content)


@over_a_socket
@given(length=lengths, where=places)
def test_a_cut_never_shows_what_was_not_verified(
    tus: Endpoint, length: int, where: list[int]
) -> None:
    """T146: with a checksum a body counts as a whole, or not at all."""
    content = content_of(length)
    upload = tus.create(length)
    request = tus.render_append(
        upload, 0, content, {"Upload-Checksum": checksum("sha256", content)}
    )
    for place in where:
        with tus.connect() as wire:
            wire.send_pieces([request[: min(place, len(request) - 1)]])
        assert tus.offset(upload) == 0
    with tus.connect() as wire:
        wire.send_pieces([request])
        assert wire.read().status == 204
    tus.assert_holds(upload, content)


@over_a_socket
@given(
    sizes=st.lists(st.integers(0, 20_000), min_size=1, max_size=8),
    where=st.lists(st.integers(0, 160_000), max_size=20),
    kinds=st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_a_pipeline_is_answered_in_order_however_it_is_cut(
    tus: Endpoint, sizes: list[int], where: list[int], kinds: list[bool]
) -> None:
    """H38: PATCHes, chunked or not, and a HEAD behind each of them."""
    content = content_of(sum(sizes))
    upload = tus.create(len(content))
    requests: list[bytes] = []
    expected: list[int] = []
    for size, chunked in zip(sizes, kinds, strict=False):
        offset = sum(expected[::2][-1:])
        body = content[offset : offset + size]
        fields = {"Upload-Offset": str(offset), "Content-Type": OCTETS}
        framing = CHUNKED if chunked else {}
        sent = render_chunks([body[: size // 2], body[size // 2 :]]) if chunked else body
        requests.append(render_request("PATCH", upload, {**fields, **framing}, sent))
        requests.append(render_request("HEAD", upload))
        expected += [offset + size] * 2
    with tus.connect() as wire:
        wire.send_pieces(split_at(b"".join(requests), where))
        for request, offset in zip(requests, expected, strict=True):
            answer = wire.read(head=request.startswith(b"HEAD"))
            assert answer["Upload-Offset"] == str(offset)
    tus.assert_holds(upload, content)


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
    tus: Endpoint, sizes: list[int]
) -> None:
    """T076: each one stalls with its bytes sent, the next goes on where HEAD says."""
    content = content_of(sum(sizes) + 1)
    upload = tus.create(len(content))
    wires = []
    offset = 0
    for size in sizes:
        wire = tus.connect()
        wires.append(wire)
        fields = {"Content-Type": OCTETS, "Content-Length": str(len(content) - offset)}
        wire.send(render_request("PATCH", upload, {"Upload-Offset": str(offset), **fields}))
        wire.send(content[offset : offset + size])
        offset += size
        seen = eventually(partial(offset_from, tus, upload, offset))
        assert seen == offset
        assert tus.stored(upload)[:seen] == content[:seen]
    assert tus.append(upload, offset, content[offset:]).status == 204
    for wire in wires:
        wire.socket.close()
    tus.assert_holds(upload, content)
