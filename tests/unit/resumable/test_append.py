"""Cases I07 and I19 to I26 of the reference, each in every version: appending."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fileloft_fast.errors import (
    CompletedUploadError,
    ContentTypeError,
    InconsistentLengthError,
    InvalidHeaderError,
    OffsetConflictError,
    OverrunError,
    TooLargeError,
)
from fileloft_fast.model import Offset, UploadInfo
from fileloft_fast.resumable.plan import exceeded, plan_append, plan_end
from fileloft_fast.tus.effects import Append
from fileloft_fast.tus.states import State, state_of
from tests.unit.resumable.heads import (
    EVERY,
    ID,
    LATE,
    RULES,
    URL,
    answers,
    append,
    creation,
    fields_of,
    name_of,
    problem_of,
    rules,
    says,
    upload,
    wanted,
)

if TYPE_CHECKING:
    from fileloft_fast.model import RequestHead
    from fileloft_fast.resumable.rules import ResumableRules
    from fileloft_fast.resumable.versions import Version
    from fileloft_fast.resumable.wanted import ResumptionPlan

every_version = pytest.mark.parametrize("version", EVERY, ids=name_of)
TYPES = "https://iana.org/assignments/http-problem-types#"


def planned(request: RequestHead, info: UploadInfo, by: ResumableRules = RULES) -> ResumptionPlan:
    """Return what an append may do to *info*."""
    return plan_append(info, wanted(request, by), by)


# -- lengths --------------------------------------------------------------------------------------


@every_version
@pytest.mark.parametrize(
    ("fields", "ends"),
    [({"upload-length": "21"}, False), ({"upload-length": "21"}, True), ({}, True)],
)
def test_i07_a_length_other_than_the_recorded_one_is_400(
    version: Version, fields: dict[str, str], *, ends: bool
) -> None:
    request = append(version, 5, fields, ends=ends, size=16 if ends else 3)
    with pytest.raises(InconsistentLengthError) as raised:
        planned(request, upload(5, 20))
    assert not isinstance(raised.value, OverrunError)
    refused = answers(version).failed(raised.value, request)
    assert refused.status == 400
    assert says(version, complete=False) in fields_of(refused).items()
    assert (problem_of(refused)["type"] == f"{TYPES}inconsistent-upload-length") == (
        version in LATE
    )


@every_version
def test_i07_a_length_is_recorded_when_it_is_first_told(version: Version) -> None:
    assert planned(append(version, 5, {"upload-length": "20"}, size=3), upload(5)).length == 20
    assert planned(append(version, 5, ends=True, size=3), upload(5)).length == 8
    assert planned(append(version, 5, ends=True, chunked=True), upload(5)).length is None


@every_version
def test_a_length_below_what_the_upload_holds_is_refused(version: Version) -> None:
    with pytest.raises(InconsistentLengthError):
        planned(append(version, 5, {"upload-length": "4"}, size=0), upload(5))
    with pytest.raises(InconsistentLengthError):  # of which nothing is recorded: it is not void
        planned(append(version, 5, {"upload-length": "20"}, size=16), upload(5))


# -- appending ------------------------------------------------------------------------------------


@every_version
def test_i19_an_append_with_more_to_come(version: Version) -> None:
    request = append(version, 5, size=3)
    assert wanted(request).effect == Append(ID, Offset(5), None, 3)
    assert planned(request, upload(5, 20)).awaits_end is not version.length_ends
    assert planned(request, upload(5, None)).awaits_end
    final = answers(version).appended(request, upload(8, 20))
    assert final.status == (204 if version in LATE else 201)
    assert says(version, complete=False) in fields_of(final).items()
    assert "location" not in fields_of(final)


@every_version
def test_i20_the_last_append_is_answered_as_the_creation_would_have_been(
    version: Version,
) -> None:
    request = append(version, 5, ends=True, size=15)
    step = planned(request, upload(5, 20))
    assert (step.length, step.room, step.awaits_end) == (20, 15, False)
    info = upload(20, 20, awaits_end=False)
    final = answers(version).appended(request, info)
    assert final == answers(version).created(creation(version, size=20), info)
    assert final.status == 201
    assert says(version, complete=True) in fields_of(final).items()
    assert fields_of(final)["location"] == URL


@every_version
@pytest.mark.parametrize("length", [None, 20])
def test_i21_an_empty_append_at_the_end_completes(version: Version, length: int | None) -> None:
    asked = wanted(append(version, 20, ends=True))
    step = plan_append(upload(20, length), asked, RULES)
    assert (step.awaits_end, step.replayed) == (False, False)
    assert plan_end(asked, step.length, Offset(20)) == 20


@every_version
@pytest.mark.parametrize("offset", [0, 4, 6, 999_999_999_999_999])
def test_i22_another_offset_is_409_with_the_right_one(version: Version, offset: int) -> None:
    request = append(version, offset, size=3)
    with pytest.raises(OffsetConflictError) as raised:
        planned(request, upload(5))
    refused = answers(version).failed(raised.value, request)
    said = fields_of(refused)
    assert refused.status == 409
    assert said["upload-offset"] == "5"
    assert says(version, complete=False) in said.items()
    document = problem_of(refused)
    assert (document["expected-offset"], document["provided-offset"]) == (5, offset)
    named = document["type"] == f"{TYPES}mismatching-upload-offset"
    assert named == (version.number not in {3, 4, 5})


@every_version
@pytest.mark.parametrize("kind", [None, "application/octet-stream", "application/partial-upload2"])
def test_i23_from_interop_6_an_append_has_a_type_of_its_own(
    version: Version, kind: str | None
) -> None:
    request = append(version, 0, {"content-type": kind}, size=1)
    if version.number in {3, 4, 5}:
        assert wanted(request).effect == Append(ID, Offset(0), None, 1)
        return
    with pytest.raises(ContentTypeError) as raised:
        wanted(request)
    refused = answers(version).failed(raised.value, request)
    assert refused.status == 415
    assert fields_of(refused)["accept-patch"] == "application/partial-upload"


@every_version
@pytest.mark.parametrize("kind", ["Application/Partial-Upload", "application/partial-upload; a=b"])
def test_i23_the_type_has_no_case_and_may_have_parameters(version: Version, kind: str) -> None:
    assert wanted(append(version, 0, {"content-type": kind})).effect == Append(
        ID, Offset(0), None, 0
    )


@every_version
@pytest.mark.parametrize("value", [None, "", "-1", "a", "1.5", "?1", "1, 1", "1000000000000000"])
def test_i24_an_append_without_an_offset_is_400(version: Version, value: str | None) -> None:
    with pytest.raises(InvalidHeaderError):
        wanted(append(version, 0, {"upload-offset": value}))


@every_version
def test_i24_an_append_that_does_not_say_whether_it_is_the_end_is_400(version: Version) -> None:
    request = append(version, 0, {version.field: None}, size=1)
    if version.number == 3:  # whose last append has no such field
        assert wanted(request).ends
    else:
        with pytest.raises(InvalidHeaderError):
            wanted(request)


@every_version
@pytest.mark.parametrize("value", ["1", "true", "", "?1, ?0"])
def test_i24_an_end_field_that_is_none_is_400(version: Version, value: str) -> None:
    with pytest.raises(InvalidHeaderError):
        wanted(append(version, 0, {version.field: value}))


@every_version
def test_i25_content_past_the_length_is_refused_by_the_head(version: Version) -> None:
    request = append(version, 5, size=16)
    with pytest.raises(OverrunError) as raised:
        planned(request, upload(5, 20))
    assert answers(version).failed(raised.value, request).status == 400


@every_version
@pytest.mark.parametrize("ends", [False, True])
def test_i25_content_of_unknown_size_has_room_up_to_the_length(
    version: Version, *, ends: bool
) -> None:
    step = planned(append(version, 5, ends=ends, chunked=True), upload(5, 20))
    assert step.room == 15
    assert isinstance(exceeded(Offset(5), 20, RULES), OverrunError)
    assert isinstance(exceeded(Offset(5), 20, rules(max_append_size=14)), TooLargeError)


def test_i25_from_the_last_of_interop_7_an_overrun_voids_the_upload() -> None:
    assert [version.number for version in EVERY if version.overrun_voids] == [7, 8, 9, 10, 0]


@every_version
@pytest.mark.parametrize("size", [0, 1])
def test_i26_nothing_is_added_to_a_complete_upload(version: Version, size: int) -> None:
    request = append(version, 20, ends=size > 0, size=size)
    with pytest.raises(CompletedUploadError) as raised:
        planned(request, upload(20, 20, awaits_end=False))
    refused = answers(version).failed(raised.value, request)
    assert refused.status == 400
    assert says(version, complete=False) in fields_of(refused).items()
    named = problem_of(refused)["type"] == f"{TYPES}completed-upload"
    assert named == (version.number in {6, 7, 8})


@every_version
def test_i26_the_end_may_be_asked_for_again_where_the_draft_lets_it(version: Version) -> None:
    request, info = append(version, 20, ends=True), upload(20, 20, awaits_end=False)
    if version.number in {7, 8}:  # 6, too, were it not for ``length_ends``
        with pytest.raises(CompletedUploadError):
            planned(request, info)
        return
    step = planned(request, info)
    assert (step.replayed, step.room) == (True, 0)
    assert answers(version).appended(request, info).status == 201


@every_version
def test_i26_another_offset_of_a_complete_upload_is_a_conflict_or_complete(
    version: Version,
) -> None:
    error = CompletedUploadError if version.number in {7, 8} else OffsetConflictError
    with pytest.raises(error):
        planned(append(version, 3, ends=True), upload(20, 20, awaits_end=False))


@every_version
def test_an_end_before_the_length_is_refused_once_the_content_is_there(version: Version) -> None:
    asked = wanted(append(version, 5, ends=True, chunked=True))
    step = plan_append(upload(5, 20), asked, RULES)
    with pytest.raises(InconsistentLengthError):
        plan_end(asked, step.length, Offset(19))
    assert plan_end(asked, step.length, Offset(20)) == 20


@every_version
def test_a_last_body_of_unknown_size_is_not_the_end_before_it_has_ended(version: Version) -> None:
    """It may bring all bytes of the length and be cut, or go on, after them."""
    assert planned(append(version, 20, ends=True, chunked=True), upload(20, 20)).awaits_end
    assert not planned(append(version, 5, ends=True, size=15), upload(5, 20)).awaits_end


@every_version
def test_an_append_that_is_not_the_end_leaves_the_length_open(version: Version) -> None:
    asked = wanted(append(version, 5, chunked=True))
    step = plan_append(upload(5), asked, RULES)
    assert plan_end(asked, step.length, Offset(30)) is None


def test_an_upload_that_awaits_its_end_is_not_finished_for_tus_either() -> None:
    assert state_of(upload(20, 20)) is State.OPEN
    assert state_of(upload(20, 20, awaits_end=False)) is State.COMPLETE
