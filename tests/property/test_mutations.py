"""Requests with a few wrong bytes: the answer does not depend on packets, and nobody is harmed."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.conformance.attack import cut_into_pieces
from tests.resumption import Resumption
from tests.wire import CHUNKED, render_chunks

if TYPE_CHECKING:
    from tests.endpoint import Endpoint

STATUS: Final = re.compile(rb"HTTP/1\.1 ([1-5]\d\d) [A-Z]")
UPLOAD: Final = "/files/@"
SAFE: Final = {
    200,
    201,
    204,
    400,
    404,
    405,
    408,
    409,
    410,
    412,
    413,
    414,
    415,
    417,
    431,
    460,
    501,
    505,
}

Edit = tuple[int, bytes, int]
"""Where, what to put there, how many bytes to take away."""

edits = st.lists(
    st.tuples(
        st.integers(0, 900),
        st.one_of(
            st.binary(max_size=3),
            st.sampled_from(
                [b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b"\t", b":", b"\0", b"0", b"f"]
            ),
            st.sampled_from(
                [b",", b";", b"Transfer-Encoding: chunked\r\n", b"Content-Length: 3\r\n"]
            ),
        ),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=3,
)


def requests(endpoint: Endpoint) -> bytes:
    """Return a pipeline with every kind of framing in it."""
    ((name, value),) = endpoint.checksum(b"hello").items()
    trailer = f"{name}: {value}\r\n".encode()
    chunks = render_chunks([b"he", b"llo"], trailer)
    coded = {"Content-Encoding": "identity"}
    return b"".join(
        [
            endpoint.render_append(UPLOAD, 0, chunks, {"Trailer": name, **CHUNKED}),
            endpoint.render("HEAD", UPLOAD),
            endpoint.render_append(UPLOAD, 5, b" world", coded),
            endpoint.render_append(UPLOAD, 0, b"conflict"),
            endpoint.render("OPTIONS", "*"),
        ]
    )


def edited(data: bytes, changes: list[Edit]) -> bytes:
    for at, new, gone in changes:
        place = at % len(data)
        data = data[:place] + new + data[place + gone :]
    return data


def statuses(endpoint: Endpoint, data: bytes, cut: str) -> tuple[list[int], bytes]:
    """Send *data* at a fresh upload and close our side; return every status, and the bytes."""
    upload = endpoint.create(20)
    request = data.replace(UPLOAD.encode(), upload.encode())
    with endpoint.connect() as wire:
        wire.send_pieces(cut_into_pieces(request, cut))
        wire.half_close()
        answers = wire.read_to_end()
    # By the IETF's protocol an upload is removed that a body has run past the end of.
    content = endpoint.stored(upload) if endpoint.data_file(upload).exists() else b""
    assert len(content) <= 20
    return [int(status) for status in STATUS.findall(answers)], content


def assert_same(one: list[int], other: list[int]) -> None:
    """Assert that the same requests were answered, however they came.

    A refusal closes the connection where the rest of the body has not come yet, so one way may have
    fewer answers.
    """
    fewer, more = sorted((one, other), key=len)
    assert more[: len(fewer)] == fewer
    assert fewer == more or fewer[-1] >= 400
    assert set(more) <= SAFE


def steady(max_examples: int) -> settings:
    """Return settings of so many examples, the same in every run."""
    return settings(
        max_examples=max_examples,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


@steady(250)
@given(changes=edits)
@example(changes=[])
@example(changes=[(0, b"\r\n\r\n\r\n", 0)])
def test_the_answer_to_a_broken_pipeline_does_not_depend_on_packets(
    either: Endpoint, changes: list[Edit]
) -> None:
    """H38: the same statuses in the same order, whole and byte by byte."""
    data = edited(requests(either), changes)
    whole = statuses(either, data, "whole")
    split = statuses(either, data, "bytes")
    assert_same(whole[0], split[0])
    # Of a body whose framing breaks, more or less may have been stored.
    assert whole[1].startswith(split[1]) or split[1].startswith(whole[1])
    if not changes:
        looked = either.head(either.create(20)).status
        assert whole == split == ([204, looked, 204, 409, 204], b"hello world")


def creations(up: Resumption) -> bytes:
    """Return a pipeline of uploads of every framing, each of which a 104 names."""
    coded = {"Expect": "100-continue", **up.checksum(b"hello")}
    return b"".join(
        [
            up.render_creation(b"hello"),
            up.render_creation(render_chunks([b"he", b"llo"]), CHUNKED, ends=False),
            up.render_creation(headers={"Upload-Length": "20"}, ends=False),
            up.render_creation(b"hello", coded, method="PUT"),
            up.render("OPTIONS", "*"),
        ]
    )


def answered(up: Resumption, data: bytes, cut: str) -> list[int]:
    """Send *data* and close our side; return every final status."""
    with up.connect() as wire:
        wire.send_pieces(cut_into_pieces(data, cut))
        wire.half_close()
        found = [int(status) for status in STATUS.findall(wire.read_to_end())]
    ends = [place for place, status in enumerate(found) if status >= 200]
    before = [found[start + 1 : end] for start, end in pairwise([-1, *ends])]
    # Each interim answer has its final one, and none comes twice.
    assert all(interim in ([], [104], [100], [104, 100]) for interim in before)
    assert len(found) == ends[-1] + 1 if found else not ends
    return [found[end] for end in ends]


@steady(120)
@given(changes=edits)
@example(changes=[])
def test_interim_answers_keep_their_place_whatever_a_client_sends(
    tus: Endpoint, changes: list[Edit]
) -> None:
    """H38 of the IETF's protocol: a 104 is of the request that it comes before, or is left out."""
    up = Resumption(tus.server)
    data = edited(creations(up), changes)
    whole, split = answered(up, data, "whole"), answered(up, data, "bytes")
    assert_same(whole, split)
    if not changes:
        assert whole == split == [201, 201, 201, 201, 204]
