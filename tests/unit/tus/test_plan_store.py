"""Decisions against what the store knows: append, concatenate, expire, and the table of states."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileloft_fast.errors import (
    ConcatenationError,
    FinalUploadError,
    InvalidHeaderError,
    NotReadyError,
    OffsetConflictError,
    TooLargeError,
    UploadGoneError,
    WireError,
)
from fileloft_fast.model import Capability, Concat, Offset, UploadId, UploadInfo
from fileloft_fast.tus.effects import Append, Concatenate
from fileloft_fast.tus.plan import (
    AppendPlan,
    check_download,
    check_expired,
    expiry,
    plan_append,
    plan_concatenation,
)
from fileloft_fast.tus.rules import CorsRules, TusRules
from fileloft_fast.tus.states import NEXT, REFUSED, Event, State, diagram, state_of, step
from tests.unit.tus.heads import ID, rules, upload

RULES = rules()
HUNDRED = rules(max_size=100)


def append(
    info: UploadInfo,
    offset: int,
    size: int | None,
    declared: int | None = None,
    by: TusRules = RULES,
) -> AppendPlan:
    return plan_append(info, Append(ID, Offset(offset), declared, size), by)


# -- PATCH ----------------------------------------------------------------------------------------


def test_t060_the_room_is_what_the_upload_lacks() -> None:
    assert append(upload(3, 10), 3, 5) == AppendPlan(Offset(3), 10, 7)
    assert append(upload(3, 10), 3, 7).room == 7


@pytest.mark.parametrize("offset", [3, 7])
def test_t063_another_offset_is_409(offset: int) -> None:
    with pytest.raises(OffsetConflictError) as refused:
        append(upload(5, 10), offset, 1)
    assert refused.value.expected == 5


def test_t066_a_body_longer_than_the_rest_is_413() -> None:
    with pytest.raises(TooLargeError):
        append(upload(5, 10), 5, 6)


def test_t067_t073_a_chunked_body_may_bring_the_rest_and_no_more() -> None:
    assert append(upload(5, 10), 5, None).room == 5


def test_t069_an_empty_body_changes_nothing() -> None:
    assert append(upload(5, 10), 5, 0) == AppendPlan(Offset(5), 10, 5)


def test_t070_a_complete_upload_takes_an_empty_body() -> None:
    assert append(upload(10, 10), 10, 0) == AppendPlan(Offset(10), 10, 0)
    assert append(upload(10, 10), 10, None).room == 0


def test_t071_a_complete_upload_takes_no_byte() -> None:
    with pytest.raises(TooLargeError):
        append(upload(10, 10), 10, 1)
    with pytest.raises(OffsetConflictError):
        append(upload(10, 10), 5, 1)


def test_t077_the_same_length_again_is_taken() -> None:
    assert append(upload(5, 10), 5, 5, 10).length == 10
    assert append(upload(10, 10), 10, 0, 10).length == 10


@pytest.mark.parametrize("length", [9, 11, 0])
def test_t077_t113_another_length_is_400(length: int) -> None:
    with pytest.raises(InvalidHeaderError):
        append(upload(5, 10), 5, 1, length)
    with pytest.raises(InvalidHeaderError):
        append(upload(10, 10), 10, 0, length)


@pytest.mark.parametrize("length", [10, 11])
def test_t112_a_deferred_length_is_set(length: int) -> None:
    assert append(upload(5, None), 5, 5, length) == AppendPlan(Offset(5), length, length - 5)


def test_a_deferred_length_is_set_without_creation_defer_length() -> None:
    by = rules(Capability.CREATION_DEFER_LENGTH)
    assert append(upload(5, None), 5, 5, 10, by).length == 10


@pytest.mark.parametrize(("size", "length"), [(0, 4), (None, 4), (5, 9)])
def test_t114_a_length_below_what_is_there_is_400(size: int | None, length: int) -> None:
    with pytest.raises(InvalidHeaderError):
        append(upload(5, None), 5, size, length)


def test_t115_a_length_above_the_max_size_is_413() -> None:
    with pytest.raises(TooLargeError):
        append(upload(5, None), 5, 5, 101, HUNDRED)
    assert append(upload(5, None), 5, 5, 100, HUNDRED).length == 100


def test_t116_the_length_that_is_already_there_completes() -> None:
    assert append(upload(5, None), 5, 0, 5) == AppendPlan(Offset(5), 5, 0)


def test_t117_the_max_size_bounds_a_deferred_upload() -> None:
    assert append(upload(5, None), 5, 95, by=HUNDRED) == AppendPlan(Offset(5), None, 95)
    with pytest.raises(TooLargeError):
        append(upload(5, None), 5, 96, by=HUNDRED)
    assert append(upload(500, None), 500, None, by=HUNDRED).room == 0
    assert append(upload(5, None), 5, 10**15).room is None


@pytest.mark.parametrize(("offset", "size"), [(10, 0), (10, 1), (0, 5), (10, None)])
def test_t180_a_final_upload_takes_no_patch(offset: int, size: int | None) -> None:
    with pytest.raises(FinalUploadError):
        append(upload(10, 10, concat=Concat.FINAL), offset, size)


def test_a_partial_upload_is_appended_to_like_any_other() -> None:
    assert append(upload(5, 10, concat=Concat.PARTIAL), 5, 5).room == 5


LENGTHS = st.none() | st.integers(0, 20)


@given(st.integers(0, 20), LENGTHS, st.integers(0, 20), LENGTHS, LENGTHS, st.integers(0, 20))
def test_no_append_leads_past_the_length_or_moves_a_length_that_is_set(  # noqa: PLR0917
    held: int,
    length: int | None,
    offset: int,
    size: int | None,
    declared: int | None,
    max_size: int,
) -> None:
    info = upload(held if length is None else min(held, length), length)
    try:
        planned = append(info, offset, size, declared, rules(max_size=max_size))
    except WireError:
        return
    assert planned.offset == info.offset == offset
    assert length is None or planned.length == length
    assert declared is None or planned.length == declared
    assert planned.room is None or planned.room >= (size or 0)
    if planned.length is not None:
        assert planned.room == planned.length - offset
    else:
        assert not max_size or planned.room is not None


# -- concatenation --------------------------------------------------------------------------------


def joined(*infos: UploadInfo | None, by: TusRules = RULES) -> int:
    names = tuple(UploadId(f"p{number}") for number in range(len(infos)))
    return plan_concatenation(Concatenate(names, upload().metadata, "final;…"), infos, by)


def partial(size: int, length: int | None = None) -> UploadInfo:
    return upload(size, size if length is None else length, concat=Concat.PARTIAL)


def test_t171_the_length_is_the_sum() -> None:
    assert joined(partial(5), partial(7)) == 12
    assert joined(partial(5), partial(5)) == 10


def test_t186_empty_partials_make_an_empty_upload() -> None:
    assert joined(partial(0)) == 0
    assert joined(partial(0), partial(0)) == 0


@pytest.mark.parametrize(
    "info",
    [
        pytest.param(partial(5, 6), id="T178 unfinished"),
        pytest.param(upload(5, None, concat=Concat.PARTIAL), id="T188 deferred"),
        pytest.param(None, id="T179 unknown"),
        pytest.param(upload(5, 5), id="T179 not partial"),
        pytest.param(upload(5, 5, concat=Concat.FINAL), id="T179 final"),
    ],
)
def test_what_cannot_be_joined_is_400(info: UploadInfo | None) -> None:
    with pytest.raises(ConcatenationError):
        joined(partial(5), info)


def test_t184_a_sum_above_the_max_size_is_413() -> None:
    assert joined(partial(50), partial(50), by=HUNDRED) == 100
    with pytest.raises(TooLargeError):
        joined(partial(50), partial(51), by=HUNDRED)


# -- downloads and expiry -------------------------------------------------------------------------


def test_only_a_finished_upload_is_downloaded() -> None:
    check_download(upload(10, 10))
    check_download(upload(10, 10, concat=Concat.FINAL))
    for info in (upload(9, 10), upload(10, None)):
        with pytest.raises(NotReadyError):
            check_download(info)


@pytest.mark.parametrize("length", [10, None])
def test_t133_an_unfinished_upload_is_gone_when_its_time_is_over(length: int | None) -> None:
    info = upload(5, length, expires_at=100.0)
    check_expired(info, 99.9)
    with pytest.raises(UploadGoneError):
        check_expired(info, 100.0)


def test_t134_a_finished_upload_stays_unless_the_operator_says_so() -> None:
    info = upload(10, 10, expires_at=100.0)
    assert expiry(info) is None
    check_expired(info, 1e9)
    with pytest.raises(UploadGoneError):
        check_expired(info, 1e9, finished_too=True)


def test_t187_a_finished_partial_still_expires() -> None:
    info = upload(10, 10, concat=Concat.PARTIAL, expires_at=100.0)
    assert expiry(info) == 100.0


def test_an_upload_without_a_time_never_expires() -> None:
    check_expired(upload(5, 10), 1e9, finished_too=True)


# -- the table ------------------------------------------------------------------------------------


def test_no_event_is_both_allowed_and_refused() -> None:
    assert not NEXT.keys() & REFUSED.keys()


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)))
def test_every_pair_has_a_row_or_cannot_be(state: State, event: Event) -> None:
    if (state, event) in NEXT:
        assert step(state, event) is NEXT[state, event]
        return
    expected = REFUSED[state, event][0] if (state, event) in REFUSED else RuntimeError
    with pytest.raises(expected):
        step(state, event)


def test_every_state_can_be_reached_and_left() -> None:
    assert set(NEXT.values()) == set(State) - {State.ABSENT}
    assert {state for state, _ in NEXT} == set(State) - {State.GONE}


@pytest.mark.parametrize(
    ("info", "state"),
    [
        (upload(0, None), State.DEFERRED),
        (upload(0, 10), State.OPEN),
        (upload(10, 10), State.COMPLETE),
        (upload(0, 0), State.COMPLETE),
        (upload(10, 10, concat=Concat.PARTIAL), State.COMPLETE),
        (upload(10, 10, concat=Concat.FINAL), State.FINAL),
    ],
)
def test_a_state_follows_from_what_is_stored(info: UploadInfo, state: State) -> None:
    assert state_of(info) is state


def test_the_diagram_has_a_line_for_every_row() -> None:
    lines = diagram().splitlines()
    assert lines[0] == "stateDiagram-v2"
    assert len(lines) == 1 + len(NEXT)
    # mermaid ends a label at a further colon or semicolon
    assert all(line.count(":") == 1 and ";" not in line for line in lines[1:])


# -- rules ----------------------------------------------------------------------------------------


def test_t027_what_needs_a_missing_extension_is_missing_too() -> None:
    assert rules(Capability.CREATION).capabilities == {
        Capability.EXPIRATION,
        Capability.CHECKSUM,
        Capability.CHECKSUM_TRAILER,
        Capability.TERMINATION,
        Capability.DOWNLOAD,
    }
    without = {Capability.CHECKSUM, Capability.CHECKSUM_TRAILER}
    assert rules(algorithms={}).capabilities == set(Capability) - without


@pytest.mark.parametrize("path", ["files/", "/files", ""])
def test_a_base_path_has_a_slash_at_both_ends(path: str) -> None:
    with pytest.raises(ValueError, match="base path"):
        TusRules(base_path=path)


def test_any_origin_never_goes_with_credentials() -> None:
    with pytest.raises(ValueError, match="CORS"):
        CorsRules(credentials=True)
    with pytest.raises(ValueError, match="CORS"):
        CorsRules(credentials=True, allow_origins=("https://a.example", "*"))
