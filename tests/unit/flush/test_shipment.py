"""What a shipment does next, decided from what it is: no store, no disk."""

from __future__ import annotations

import random
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fileloft_fast.flush.shipment import (
    WAIT,
    Begin,
    Complete,
    Inquire,
    PutPart,
    PutWhole,
    Settle,
    Shipment,
    Step,
)
from fileloft_fast.model import Offset, UploadId, UploadInfo
from fileloft_fast.stores.remote.objects import Limits, ObjectHead, Receipt
from tests.stores.memory import crc32c_of

ID: Final = UploadId("a" * 32)
PART: Final = 100
PARALLEL: Final = Limits(smallest_part=1, largest_part=1000, most_parts=100, largest_object=10**6)
SEQUENTIAL: Final = Limits(
    smallest_part=1,
    largest_part=1000,
    most_parts=100,
    largest_object=10**6,
    sequential=True,
    last_completes=True,
)
BOTH: Final = pytest.mark.parametrize("limits", [PARALLEL, SEQUENTIAL], ids=["parallel", "one"])


def info_of(offset: int, length: int | None) -> UploadInfo:
    return UploadInfo(id=ID, offset=Offset(offset), length=length)


def shipment_of(
    offset: int, length: int | None, limits: Limits = PARALLEL, *, ships: bool = True
) -> Shipment:
    shipment = Shipment(info_of(0, length), "key", limits, lambda _: PART, ships=ships)
    shipment.arrive(info_of(offset, length))
    return shipment


def begun(offset: int, length: int | None, limits: Limits = PARALLEL, parts: int = 0) -> Shipment:
    """Return a shipment with a session that holds *parts* whole parts."""
    shipment = shipment_of(offset, length, limits)
    shipment.restore(PART, "session")
    for number in range(1, parts + 1):
        shipment.accept(Receipt(number, PART, "tag", 0))
    return shipment


def taken(shipment: Shipment) -> list[Step]:
    """Take steps until there is none, and return them."""
    steps = []
    while (step := shipment.next_step()) != WAIT:
        shipment.take(step)
        steps.append(step)
    return steps


@BOTH
@pytest.mark.parametrize("size", [0, 1, PART - 1, PART])
def test_what_fits_one_part_is_put_whole_when_it_is_complete(limits: Limits, size: int) -> None:
    assert shipment_of(size, size, limits).next_step() == PutWhole(size)


@BOTH
@pytest.mark.parametrize(
    ("offset", "length"), [(0, None), (PART, None), (PART - 1, PART), (PART - 1, 10 * PART)]
)
def test_no_session_is_opened_for_what_may_fit_one_part(
    limits: Limits, offset: int, length: int | None
) -> None:
    assert shipment_of(offset, length, limits).next_step() == WAIT


@BOTH
@pytest.mark.parametrize(
    ("offset", "length"), [(PART, PART + 1), (2 * PART, None), (PART + 1, None), (300, 300)]
)
def test_a_session_is_opened_for_the_first_whole_part_of_several(
    limits: Limits, offset: int, length: int | None
) -> None:
    assert shipment_of(offset, length, limits).next_step() == Begin()


def test_whole_parts_leave_side_by_side_and_the_rest_waits() -> None:
    assert taken(begun(250, 1000)) == [PutPart(1, 0, 100), PutPart(2, 100, 100)]


def test_a_sequential_session_takes_one_part_at_a_time() -> None:
    shipment = begun(250, 1000, SEQUENTIAL)
    assert taken(shipment) == [PutPart(1, 0, 100)]
    shipment.give_back(PutPart(1, 0, 100))
    shipment.accept(Receipt(1, 100, "", 0))
    assert taken(shipment) == [PutPart(2, 100, 100)]


def test_the_last_part_is_shorter_and_completing_waits_for_all() -> None:
    shipment = begun(250, 250, parts=2)
    assert taken(shipment) == [PutPart(3, 200, 50)]
    shipment.give_back(PutPart(3, 200, 50))
    shipment.accept(Receipt(3, 50, "tag", 0))
    assert taken(shipment) == [Complete(250, 0)]


@pytest.mark.parametrize(("length", "last"), [(250, 50), (300, 100), (201, 1)])
def test_where_the_store_wants_it_so_the_last_bytes_complete(length: int, last: int) -> None:
    shipment = begun(length, length, SEQUENTIAL, parts=2)
    assert taken(shipment) == [Complete(200, last)]


def test_a_whole_part_that_may_be_the_last_is_held_back_where_the_last_completes() -> None:
    assert taken(begun(200, None, SEQUENTIAL, parts=1)) == []
    assert taken(begun(201, None, SEQUENTIAL, parts=1)) == [PutPart(2, 100, 100)]
    assert taken(begun(200, None, parts=1)) == [PutPart(2, 100, 100)]


def test_a_whole_part_is_held_back_where_its_client_may_say_that_it_was_the_last() -> None:
    awaiting = replace(info_of(2 * PART, 2 * PART), awaits_end=True)
    shipment = begun(PART, 2 * PART, SEQUENTIAL, parts=1)
    shipment.arrive(awaiting)
    assert (shipment.sendable_end, shipment.next_step()) == (PART, WAIT)
    shipment.arrive(replace(awaiting, awaits_end=False))
    assert shipment.next_step() == Complete(PART, PART)


def test_nothing_is_left_to_complete_with_where_all_was_shipped_before_the_length_was_known() -> (
    None
):
    for limits in (PARALLEL, SEQUENTIAL):
        shipment = begun(200, None, limits, parts=2)
        shipment.arrive(info_of(200, 200))
        assert taken(shipment) == [Complete(200, 0)]


def test_a_session_that_was_taken_over_within_a_part_goes_on_there() -> None:
    shipment = shipment_of(450, 450, SEQUENTIAL)
    shipment.restore(PART, "session", Receipt(0, 130, "", 7))
    assert shipment.shipped_end == 130
    assert shipment.backlog == 320
    assert taken(shipment) == [PutPart(2, 130, 70)]
    shipment.give_back(PutPart(2, 130, 70))
    shipment.accept(Receipt(2, 70, "", 0))
    assert shipment.shipped_end == 200
    assert taken(shipment) == [PutPart(3, 200, 100)]
    assert [receipt.size for receipt in shipment.parts()] == [130, 70]


def test_the_size_of_parts_follows_a_declared_length_until_it_is_fixed() -> None:
    shipment = Shipment(info_of(0, None), "key", PARALLEL, lambda length: PART if length else 50)
    assert shipment.part_bytes == 50
    shipment.arrive(info_of(10, 1000))
    assert shipment.part_bytes == PART
    fixed = Shipment(info_of(0, None), "key", PARALLEL, lambda length: PART if length else 50)
    fixed.begun = True
    fixed.arrive(info_of(10, 1000))
    assert fixed.part_bytes == 50


def test_an_exclusive_step_suffers_no_other() -> None:
    shipment = begun(300, 1000)
    shipment.take(Begin())
    assert shipment.next_step() == WAIT
    shipment.give_back(Begin())
    assert shipment.next_step() != WAIT


@pytest.mark.parametrize("name", ["resting", "settled", "lost", "halted"])
def test_nothing_leaves_while_it_rests_or_is_halted_or_over(name: str) -> None:
    shipment = begun(300, 1000)
    setattr(shipment, name, True)
    assert shipment.next_step() == WAIT


def test_what_does_not_ship_stays() -> None:
    for offset in (0, 300):
        shipment = shipment_of(offset, 300, ships=False)
        assert shipment.next_step() == WAIT
        assert shipment.backlog == 0
        assert shipment.idle


def test_a_lost_session_is_inquired_after_when_nothing_is_in_flight() -> None:
    shipment = begun(300, 1000)
    shipment.take(PutPart(1, 0, 100))
    shipment.session_lost = True
    assert shipment.next_step() == WAIT
    shipment.give_back(PutPart(1, 0, 100))
    assert shipment.next_step() == Inquire()
    shipment.open("")
    assert shipment.next_step() == Begin()


def test_what_is_stored_settles_whatever_else_was_going_on() -> None:
    shipment = begun(300, 300, parts=3)
    shipment.session_lost = True
    shipment.stored = ObjectHead(key="key", size=300, tag="t")
    assert shipment.next_step() == Settle()
    assert (shipment.backlog, shipment.shipped_end) == (0, 300)


def test_shipped_is_what_left_without_a_gap() -> None:
    shipment = begun(500, 1000, parts=1)
    shipment.accept(Receipt(3, 100, "tag", 0))
    assert (shipment.shipped_end, shipment.backlog) == (100, 400)
    shipment.accept(Receipt(2, 100, "tag", 0))
    assert (shipment.shipped_end, shipment.backlog) == (300, 200)
    shipment.accept(Receipt(2, 100, "another", 0))
    assert (shipment.shipped_end, shipment.backlog) == (300, 200)


def test_parts_behind_a_cut_are_sent_again() -> None:
    shipment = begun(500, 1000, parts=5)
    shipment.forget_from(250)
    shipment.arrive(info_of(250, 1000))
    assert shipment.shipped_end == 200
    shipment.arrive(info_of(300, 1000))
    assert taken(shipment) == [PutPart(3, 200, 100)]


@pytest.mark.parametrize(
    ("offset", "length", "backlog"),
    [(99, 1000, 0), (199, 1000, 100), (1000, 1000, 1000), (100, None, 0), (201, None, 200)],
)
def test_the_backlog_is_what_might_have_left(offset: int, length: int | None, backlog: int) -> None:
    assert shipment_of(offset, length).backlog == backlog


class Bay:
    """A store of one object, which takes steps in any order."""

    def __init__(self, shipment: Shipment, content: bytes) -> None:
        self.shipment = shipment
        self.content = content
        self.flying: list[Step] = []
        self.left: dict[int, bytes] = {}
        self.whole = b""

    def land(self, step: Step) -> None:
        """Let *step* succeed."""
        self.flying.remove(step)
        self.shipment.give_back(step)
        match step:
            case Begin():
                self.shipment.open("session")
                self.shipment.begun = True
            case PutPart():
                self._take(step)
            case Complete():
                self._complete(step)
            case PutWhole(length):
                self._store(self.content[:length])
            case _:
                pytest.fail(f"nobody asked for {step}")

    def _take(self, step: PutPart) -> None:
        assert step.number not in self.left
        end = step.start + step.length
        assert step.length == PART or end == len(self.content)
        part = self.left[step.number] = self.content[step.start : end]
        self.shipment.accept(Receipt(step.number, len(part), "tag", crc32c_of(part)))

    def _complete(self, step: Complete) -> None:
        assert not self.flying
        last = self.content[step.start : step.start + step.length]
        whole = b"".join(self.left[number] for number in sorted(self.left)) + last
        receipt = Receipt(0, len(last), "", crc32c_of(last))
        assert self.shipment.crc32c_with(receipt) == crc32c_of(whole)
        self._store(whole)

    def _store(self, whole: bytes) -> None:
        self.whole = whole
        self.shipment.stored = ObjectHead(key="key", size=len(whole), tag="tag")


@given(
    st.integers(0, 777),
    st.lists(st.integers(0, 777)),
    st.booleans(),
    st.sampled_from((PARALLEL, SEQUENTIAL)),
    st.randoms(use_true_random=False),
)
def test_every_byte_leaves_once_in_whatever_order_bytes_come_and_parts_end(
    size: int,
    stops: list[int],
    deferred: bool,  # noqa: FBT001 - drawn
    limits: Limits,
    dice: random.Random,
) -> None:
    content = random.Random(size).randbytes(size)
    length = None if deferred else size
    shipment = Shipment(info_of(0, length), "key", limits, lambda _: PART)
    arrivals = [info_of(stop, length) for stop in sorted(stops) if stop <= size]
    arrivals.append(info_of(size, size))
    bay = Bay(shipment, content)
    while shipment.stored is None:
        step = shipment.next_step()
        if step != WAIT and dice.random() < 0.5:
            shipment.take(step)
            bay.flying.append(step)
        elif bay.flying and dice.random() < 0.5:
            bay.land(dice.choice(bay.flying))
        elif arrivals and dice.random() < 0.5:
            shipment.arrive(arrivals.pop(0))
        else:
            assert arrivals or bay.flying or step != WAIT
    assert bay.whole == content
