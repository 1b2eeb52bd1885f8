"""Cases I01 to I14, I28, I32 and I35 of the reference, each in every version: making an upload."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from fileloft_fast.errors import (
    ChecksumMismatchError,
    ForbiddenError,
    InconsistentLengthError,
    StorageFullError,
    TooLargeError,
    UnauthorizedError,
    UploadNotFoundError,
)
from fileloft_fast.model import InterimMode, ResumableMode, UploadId
from fileloft_fast.resumable.plan import claim, claim_creation, plan_create, plan_creation
from fileloft_fast.resumable.versions import FINAL
from fileloft_fast.tus.effects import Create, Options
from tests.unit.resumable.heads import (
    COLLECTION,
    EVERY,
    LATE,
    NOW,
    RULES,
    UPLOAD,
    URL,
    answers,
    append,
    creation,
    ends_field,
    fields_of,
    head,
    name_of,
    problem_of,
    rules,
    says,
    upload,
    wanted,
)

if TYPE_CHECKING:
    from fileloft_fast.resumable.versions import Version

every_version = pytest.mark.parametrize("version", EVERY, ids=name_of)
INCONSISTENT = "https://iana.org/assignments/http-problem-types#inconsistent-upload-length"


@every_version
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_i01_any_method_with_content_makes_an_upload_and_announces_it(
    version: Version, method: str
) -> None:
    asked = wanted(creation(version, size=10, method=method))
    assert asked.effect == Create(length=10, has_body=True, size=10)
    assert asked.ends
    assert asked.announces


@every_version
def test_i01_the_interim_answer_names_upload_limits_and_version(version: Version) -> None:
    by = rules(max_size=100)
    interim = answers(version, by).announced(creation(version, size=10), upload(0, 10))
    assert interim is not None
    assert interim.status == 104
    expected = {"location": URL}
    if version.number:
        expected["upload-draft-interop-version"] = str(version.number)
    if version.lifetime is not None:
        expected["upload-limit"] = "max-size=100"
    assert fields_of(interim) == expected


@every_version
def test_what_was_announced_is_told_again_of_nothing_but_the_same(version: Version) -> None:
    """Another request, and the same upload later on, have a Location and limits of their own."""
    by, request, info = rules(max_size=100), creation(version, size=10), upload(10, 10)
    later = replace(info, expires_at=NOW + 7)
    other = replace(info, id=UploadId("other"))
    speaking = answers(version, by)
    for one in (info, later, other):
        speaking.announced(request, info)
        assert speaking.created(request, one) == answers(version, by).created(request, one)
    elsewhere = replace(request, authority="elsewhere.example")
    speaking.announced(request, info)
    assert speaking.created(elsewhere, info) == answers(version, by).created(elsewhere, info)


@every_version
def test_i01_the_final_answer_is_the_targets(version: Version) -> None:
    final = answers(version).created(creation(version, size=10), upload(10, 10, awaits_end=False))
    assert final.status == 201
    assert says(version, complete=True) in [(n.lower(), v) for n, v in final.headers]


@pytest.mark.parametrize("number", [None, "2", "11", "8.0", '"8"', "x", "", "?1", "-8", "8, 8"])
@pytest.mark.parametrize("mode", [ResumableMode.DRAFTS, ResumableMode.ON])
def test_i02_without_a_version_that_is_spoken_it_is_no_resumable_upload(
    number: str | None, mode: ResumableMode
) -> None:
    request = creation(EVERY[-2], {"upload-draft-interop-version": number}, size=10)
    assert claim(request, rules(mode=mode)) is (
        FINAL if number is None and mode is ResumableMode.ON else None
    )


@every_version
def test_i02_switched_off_nothing_is_claimed(version: Version) -> None:
    by = rules(mode=ResumableMode.OFF)
    for request in (creation(version), append(version, 0), head(version, "HEAD", UPLOAD)):
        assert claim(request, by) is None


@every_version
def test_i02_drafts_alone_leave_the_final_form_to_others(version: Version) -> None:
    claimed = claim(creation(version, size=1), rules(mode=ResumableMode.DRAFTS))
    assert claimed is (None if version is FINAL else version)


@every_version
@pytest.mark.parametrize("value", [None, "1", "true", "?2", "", "?1, ?1", '"?1"', "a"])
def test_a_creation_whose_end_field_is_none_is_an_ordinary_upload(
    version: Version, value: str | None
) -> None:
    assert claim(creation(version, {version.field: value}, size=1), RULES) is None


@every_version
def test_parameters_of_the_end_field_are_let_pass(version: Version) -> None:
    value = "?0" if version.inverse else "?1"
    assert wanted(creation(version, {version.field: f"{value};a=1;b"}, size=1)).ends


@every_version
@pytest.mark.parametrize("size", [0, 7])
def test_i03_more_to_come_is_201_with_location_limit_and_incomplete(
    version: Version, size: int
) -> None:
    request = creation(version, ends=False, size=size)
    asked = wanted(request)
    assert not asked.ends
    assert plan_create(asked, RULES).awaits_end
    final = answers(version).created(request, upload(size))
    fields = fields_of(final)
    assert final.status == 201
    assert fields["location"] == URL
    assert says(version, complete=False) in fields.items()
    assert fields.get("upload-limit") == ("min-size=0" if version.lifetime else None)


@every_version
def test_i04_answers_tell_the_offset_for_clients_that_need_it(version: Version) -> None:
    request = creation(version, ends=False, size=7)
    assert fields_of(answers(version).created(request, upload(7)))["upload-offset"] == "7"
    assert fields_of(answers(version).appended(request, upload(9)))["upload-offset"] == "9"


@every_version
def test_i05_every_answer_to_one_creation_names_the_same_location(version: Version) -> None:
    request = creation(version, ends=False, size=7)
    interim = answers(version).announced(request, upload(0))
    assert interim is not None
    final = answers(version).created(request, upload(7))
    assert fields_of(interim)["location"] == fields_of(final)["location"]


@every_version
def test_i06_two_lengths_that_do_not_agree_are_400_and_a_problem(version: Version) -> None:
    request = creation(version, {"upload-length": "20"}, size=10)
    with pytest.raises(InconsistentLengthError) as raised:
        wanted(request)
    final = answers(version).failed(raised.value, request)
    assert final.status == 400
    assert says(version, complete=False) in fields_of(final).items()
    named = problem_of(final)["type"] == INCONSISTENT
    assert named == (version in LATE)


@every_version
def test_i06_content_longer_than_the_length_that_is_told_is_refused(version: Version) -> None:
    with pytest.raises(InconsistentLengthError):
        wanted(creation(version, {"upload-length": "5"}, ends=False, size=10))


@every_version
@pytest.mark.parametrize("length", ["10", "10;a", "0010"])
def test_i06_two_lengths_that_agree_are_one(version: Version, length: str) -> None:
    effect = wanted(creation(version, {"upload-length": length}, size=10)).effect
    assert effect == Create(length=10, has_body=True, size=10)


@every_version
@pytest.mark.parametrize("length", ["-1", "1.0", "a", "", "?1", "1000000000000000", "1, 2"])
def test_a_length_of_another_type_is_as_if_it_were_not_there(version: Version, length: str) -> None:
    effect = wanted(creation(version, {"upload-length": length}, ends=False, size=3)).effect
    assert isinstance(effect, Create)
    assert effect.length is None


@every_version
@pytest.mark.parametrize("fields", [{"upload-length": "101"}, {}])
def test_i08_more_than_the_largest_size_is_413_with_the_limits(
    version: Version, fields: dict[str, str]
) -> None:
    by = rules(max_size=100)
    request = creation(version, fields, size=101)
    with pytest.raises(TooLargeError) as raised:
        wanted(request, by)
    final = answers(version, by).failed(raised.value, request)
    assert final.status == 413
    said = fields_of(final)
    assert said.get("upload-limit") == ("max-size=100" if version.lifetime else None)
    assert says(version, complete=False) in said.items()  # a smaller try may go better


@every_version
def test_i08_an_upload_of_the_largest_size_is_taken(version: Version) -> None:
    assert wanted(creation(version, size=100), rules(max_size=100)).effect == Create(
        length=100, has_body=True, size=100
    )


@every_version
def test_i09_no_content_that_is_the_end_is_an_empty_upload(version: Version) -> None:
    asked = wanted(creation(version))
    assert asked.effect == Create(length=0)
    assert not plan_create(asked, RULES).awaits_end
    assert upload(0, 0, awaits_end=False).complete


@every_version
@pytest.mark.parametrize("length", [None, "0", "12"])
def test_i10_no_content_that_is_not_the_end_makes_an_open_upload(
    version: Version, length: str | None
) -> None:
    by = rules(min_append_size=5)
    asked = wanted(creation(version, {"upload-length": length}, ends=False), by)
    assert asked.effect == Create(length=None if length is None else int(length))
    assert plan_create(asked, by).awaits_end is not (version.length_ends and length is not None)


@every_version
def test_i11_a_creation_that_was_cut_is_not_complete(version: Version) -> None:
    asked = wanted(creation(version, size=10))
    planned = plan_create(asked, RULES)
    kept = upload(4, planned.length, awaits_end=planned.awaits_end)
    assert not kept.complete
    fields = fields_of(answers(version).inspected(head(version, "HEAD", UPLOAD), kept))
    assert says(version, complete=False) in fields.items()


@every_version
def test_i12_progress_tells_the_offset_and_never_a_location(version: Version) -> None:
    interim = answers(version).progressed(creation(version, size=9), upload(5).offset)
    if version.number in {3, 4}:
        assert interim is None
        return
    assert interim is not None
    assert interim.status == 104
    said = fields_of(interim)
    assert said.pop("upload-draft-interop-version", "0") == str(version.number)
    assert said == {"upload-offset": "5"}


@every_version
def test_i13_who_waits_for_100_gets_104_as_everybody_does(version: Version) -> None:
    request = creation(version, {"expect": "100-continue"}, size=5)
    assert wanted(request).announces  # and http1 sends 100 when the body is first read


@every_version
def test_i14_nothing_interim_for_http_1_0(version: Version) -> None:
    request = creation(version, size=5, http10=True)
    for interim in InterimMode:
        by = rules(interim=interim)
        assert not wanted(request, by).announces
        assert answers(version, by).progressed(request, upload(3).offset) is None


PROXIED = [
    {"x-forwarded-for": "192.0.2.1"},
    {"x-forwarded-proto": "https"},
    {"x-forwarded-host": "up.example"},
    {"forwarded": "for=192.0.2.1"},
    {"via": "1.1 proxy"},
]


@every_version
@pytest.mark.parametrize("told", PROXIED, ids=lambda told: next(iter(told)))
def test_a_proxy_may_break_by_interim_answers_and_is_sent_them_only_where_it_does_not(
    version: Version, told: dict[str, str | None]
) -> None:
    request = creation(version, told, size=5)
    by_interim = {each: rules(interim=each) for each in InterimMode}
    assert {each for each, by in by_interim.items() if wanted(request, by).announces} == {
        InterimMode.ON
    }
    for each, by in by_interim.items():
        own = answers(version, by)
        told_progress = own.progressed(request, upload(3).offset) is not None
        assert told_progress == (each is InterimMode.ON and version.tells_progress)


@every_version
def test_nobody_is_sent_interim_answers_where_they_are_off(version: Version) -> None:
    request = creation(version, size=5)
    announcing = {each for each in InterimMode if wanted(request, rules(interim=each)).announces}
    assert announcing == {InterimMode.AUTO, InterimMode.ON}


@every_version
@pytest.mark.parametrize("path", [COLLECTION, "/files", "*"])
def test_i28_options_tells_the_limits(version: Version, path: str) -> None:
    request = head(version, "OPTIONS", path)
    if version is FINAL:
        assert claim(request, RULES) is None  # tus answers, with the limits of this room
    else:
        assert wanted(request).effect == Options()
    final = answers(version).options(request)
    assert final.status == 204
    assert fields_of(final).get("upload-limit") == ("min-size=0" if version.lifetime else None)


@every_version
def test_i28_options_with_the_end_field_asks_for_no_limits(version: Version) -> None:
    request = head(version, "OPTIONS", COLLECTION, ends_field(version, ends=True))
    assert claim(request, RULES) is None


@every_version
@pytest.mark.parametrize("error", [UnauthorizedError("no token"), ForbiddenError("not you")])
def test_i32_a_target_that_refuses_says_that_it_is_the_target(
    version: Version, error: Exception
) -> None:
    refused = fields_of(answers(version).failed(error, creation(version, size=5)))
    if version in LATE:
        assert says(version, complete=True) in refused.items()
    else:
        assert version.field not in refused  # ?1 would mean that the upload is done
    later = fields_of(answers(version).failed(error, append(version, 0)))
    assert says(version, complete=False) in later.items()


@every_version
@pytest.mark.parametrize("error", [StorageFullError("full"), ChecksumMismatchError("other")])
def test_i32_what_may_go_better_another_time_is_not_the_targets(
    version: Version, error: Exception
) -> None:
    refused = answers(version).failed(error, creation(version, size=5))
    assert says(version, complete=False) in fields_of(refused).items()
    assert refused.status in {400, 507}


@every_version
def test_i35_a_version_that_is_spoken_wins_over_tus(version: Version) -> None:
    claimed = claim(creation(version, {"tus-resumable": "1.0.0"}, size=5), RULES)
    assert claimed is (None if version is FINAL else version)


@every_version
def test_i35_a_patch_of_tus_is_its_own_whatever_a_system_adds(version: Version) -> None:
    both = {"tus-resumable": "1.0.0", "content-type": "application/offset+octet-stream"}
    assert claim(append(version, 5, both, size=3), RULES) is None


@every_version
@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_target_of_another_room_is_uploaded_to_by_its_own_methods(
    version: Version, method: str
) -> None:
    target = head(version, method, "/photos/a/b", ends_field(version, ends=True), size=5)
    assert claim_creation(target, RULES) is version
    assert plan_creation(target, version, RULES).effect == Create(length=5, has_body=True, size=5)
    assert claim_creation(target, rules(mode=ResumableMode.OFF)) is None
    drafts = claim_creation(target, rules(mode=ResumableMode.DRAFTS))
    assert drafts is (None if version is FINAL else version)
    assert claim_creation(head(version, method, "/photos/a/b", size=5), RULES) is None


def test_options_outside_the_base_path_is_404() -> None:
    with pytest.raises(UploadNotFoundError):
        wanted(head(EVERY[0], "OPTIONS", "/elsewhere"))


def test_a_request_of_tus_is_never_claimed() -> None:
    for method, path in (("POST", COLLECTION), ("HEAD", UPLOAD), ("PATCH", UPLOAD)):
        request = head(FINAL, method, path, {"tus-resumable": "1.0.0", "upload-offset": "0"})
        assert claim(request, RULES) is None


@every_version
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "TRACE"])
def test_methods_without_content_make_nothing(version: Version, method: str) -> None:
    assert claim(creation(version, method=method), RULES) is None
