"""How large parts are."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileloft_fast.errors import TooLargeError
from fileloft_fast.flush.parts import plan_part_bytes
from fileloft_fast.stores.remote.objects import Limits

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB
TIB: Final = 1024 * GIB

S3: Final = Limits(
    smallest_part=5 * MIB, largest_part=5 * GIB, most_parts=10_000, largest_object=5 * TIB
)
GCS: Final = Limits(
    smallest_part=256 * KIB,
    largest_part=5 * TIB,
    most_parts=2**31,
    largest_object=5 * TIB,
    granule=256 * KIB,
    sequential=True,
    last_completes=True,
)
AZURE: Final = Limits(
    smallest_part=1, largest_part=4000 * MIB, most_parts=50_000, largest_object=50_000 * 4000 * MIB
)


@pytest.mark.parametrize(
    ("limits", "wanted", "length", "max_size", "expected"),
    [
        (S3, 16 * MIB, 100 * MIB, 0, 16 * MIB),
        (S3, 16 * MIB, 0, 0, 16 * MIB),
        (S3, 1 * MIB, 100 * MIB, 0, 5 * MIB),
        (S3, 16 * MIB, 160_000 * MIB, 0, 16 * MIB),
        (S3, 16 * MIB, 160_000 * MIB + 1, 0, 17 * MIB),
        (S3, 16 * MIB, 5 * TIB, 0, 525 * MIB),
        (S3, 16 * MIB, None, 0, 525 * MIB),
        (S3, 16 * MIB, None, 100 * GIB, 16 * MIB),
        (S3, 16 * MIB, None, 1 * TIB, 105 * MIB),
        (S3, 16 * MIB, None, 9 * TIB, 525 * MIB),
        (S3, 16 * MIB, 1 * MIB, 9 * TIB, 16 * MIB),
        (S3, 9 * GIB, 100 * MIB, 0, 5 * GIB),
        (GCS, 16 * MIB, None, 0, 16 * MIB),
        (GCS, 1_000_000, 10, 0, 1 * MIB),
        (GCS, 1, 10, 0, 256 * KIB),
        (AZURE, 1_000_000, 10, 0, 1_000_000),
        (AZURE, 16 * MIB, 5 * TIB, 0, 105 * MIB),
        (AZURE, 16 * MIB, None, 0, 4000 * MIB),
    ],
)
def test_parts_are_as_wanted_unless_the_store_needs_them_larger(
    limits: Limits, wanted: int, length: int | None, max_size: int, expected: int
) -> None:
    assert plan_part_bytes(limits, wanted, length, max_size) == expected


def test_a_known_length_that_no_parts_hold_is_refused() -> None:
    assert plan_part_bytes(S3, 16 * MIB, 5 * TIB, 0) == 525 * MIB
    with pytest.raises(TooLargeError, match=str(5 * TIB)):
        plan_part_bytes(S3, 16 * MIB, 5 * TIB + 1, 0)


def test_what_the_parts_hold_together_is_a_limit_too() -> None:
    few = Limits(smallest_part=1, largest_part=10, most_parts=3, largest_object=1000, granule=4)
    assert plan_part_bytes(few, 1, 24, 0) == 8  # ten bytes hold two granules
    assert plan_part_bytes(few, 1, None, 0) == 8
    with pytest.raises(TooLargeError, match="24"):
        plan_part_bytes(few, 1, 25, 0)


def test_parts_of_no_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match="size of a part"):
        plan_part_bytes(S3, 0, 10, 0)


@st.composite
def all_limits(draw: st.DrawFn) -> Limits:
    granule = draw(st.sampled_from([1, 3, 512, 256 * KIB]))
    smallest = draw(st.integers(1, 10 * MIB))
    least = -(-smallest // granule) * granule
    return Limits(
        smallest_part=smallest,
        largest_part=draw(st.integers(least, 5 * GIB)),
        most_parts=draw(st.integers(1, 2**31)),
        largest_object=draw(st.integers(1, 5 * TIB)),
        granule=granule,
    )


@given(
    all_limits() | st.sampled_from([S3, GCS, AZURE]),
    st.integers(1, 64 * MIB),
    st.none() | st.integers(0, 5 * TIB),
    st.just(0) | st.integers(1, 10 * TIB),
)
def test_every_upload_fits_into_parts_that_the_store_takes(
    limits: Limits, wanted: int, length: int | None, max_size: int
) -> None:
    largest = limits.largest_part // limits.granule * limits.granule
    most = min(limits.largest_object, largest * limits.most_parts)
    if length is not None and length > most:
        with pytest.raises(TooLargeError):
            plan_part_bytes(limits, wanted, length, max_size)
        return
    size = plan_part_bytes(limits, wanted, length, max_size)
    assert limits.smallest_part <= size <= limits.largest_part
    assert size % limits.granule == 0
    assert size >= min(wanted, largest)
    bound = min(max_size or most, most) if length is None else length
    assert size * limits.most_parts >= bound
