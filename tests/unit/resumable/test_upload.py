"""Cases I15 to I18 and I27 to I34 of the reference, each in every version: one upload."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fileloft_fast.errors import (
    DigestMismatchError,
    ExtensionDisabledError,
    FinalUploadError,
    InvalidHeaderError,
    MethodNotAllowedError,
    RefusedByHookError,
    TooLargeError,
    TooSmallError,
    UploadGoneError,
    UploadLockedError,
    UploadNotFoundError,
    WireError,
)
from fileloft_fast.model import Capability, Concat, Offset, UploadInfo
from fileloft_fast.resumable.plan import claim, exceeded, plan_append
from fileloft_fast.resumable.rules import ResumableRules
from fileloft_fast.resumable.versions import FINAL
from fileloft_fast.tus.effects import Inspect, Terminate
from fileloft_fast.tus.rules import TusRules
from tests.unit.resumable.heads import (
    EVERY,
    ID,
    LATE,
    RULES,
    UPLOAD,
    answers,
    append,
    creation,
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
    from fileloft_fast.model import RequestHead
    from fileloft_fast.resumable.versions import Version
    from fileloft_fast.resumable.wanted import ResumptionPlan

every_version = pytest.mark.parametrize("version", EVERY, ids=name_of)
TYPES = "https://iana.org/assignments/http-problem-types#"


def planned(request: RequestHead, info: UploadInfo, by: ResumableRules = RULES) -> ResumptionPlan:
    """Return what an append may do to *info*."""
    return plan_append(info, wanted(request, by), by)


# -- looking --------------------------------------------------------------------------------------


@every_version
@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_i15_i16_a_look_tells_offset_state_length_and_limits(version: Version, method: str) -> None:
    request = head(version, method, UPLOAD)
    if method == "GET" and version is FINAL:
        assert claim(request, RULES) is None  # a download
        return
    assert wanted(request).effect == Inspect(ID)
    final = answers(version).inspected(request, upload(5, 20))
    said = fields_of(final)
    assert final.status == 204
    assert (said["upload-offset"], said["upload-length"]) == ("5", "20")
    assert says(version, complete=False) in said.items()
    assert said["cache-control"] == "no-store"
    assert said.get("upload-limit") == ("min-size=0" if version.lifetime else None)


@every_version
def test_i15_no_length_is_told_where_none_was(version: Version) -> None:
    said = fields_of(answers(version).inspected(head(version, "HEAD", UPLOAD), upload(5)))
    assert "upload-length" not in said


@every_version
def test_i15_all_bytes_are_not_the_end_before_the_client_says_so(version: Version) -> None:
    look = head(version, "HEAD", UPLOAD)
    waiting = fields_of(answers(version).inspected(look, upload(20, 20)))
    assert says(version, complete=False) in waiting.items()
    done = fields_of(answers(version).inspected(look, upload(20, 20, awaits_end=False)))
    assert says(version, complete=True) in done.items()


@every_version
def test_i17_no_answer_redirects(version: Version) -> None:
    info, request = upload(5, 20), head(version, "HEAD", UPLOAD)
    made = answers(version)
    for final in (made.inspected(request, info), made.terminated(request)):
        assert not 300 <= final.status < 400


@every_version
@pytest.mark.parametrize("method", ["HEAD", "DELETE"])
@pytest.mark.parametrize("name", ["upload-offset", "upload-complete"])
def test_i18_early_drafts_refuse_fields_of_an_append_in_a_look(
    version: Version, method: str, name: str
) -> None:
    request = head(version, method, UPLOAD, {name: "?1" if "complete" in name else "0"})
    if version in LATE:
        assert wanted(request).effect in (Inspect(ID), Terminate(ID))
    else:
        with pytest.raises(InvalidHeaderError):
            wanted(request)


# -- cancelling and the rest ----------------------------------------------------------------------


@every_version
def test_i27_delete_ends_the_upload(version: Version) -> None:
    request = head(version, "DELETE", UPLOAD)
    assert wanted(request).effect == Terminate(ID)
    assert answers(version).terminated(request).status == 204


@every_version
def test_i27_delete_that_is_switched_off_is_405(version: Version) -> None:
    capabilities = frozenset(Capability) - {Capability.TERMINATION}
    by = ResumableRules(tus=TusRules(capabilities=capabilities), mode=RULES.mode)
    with pytest.raises(MethodNotAllowedError) as raised:
        wanted(head(version, "DELETE", UPLOAD), by)
    assert raised.value.allow == "HEAD, GET, PATCH, OPTIONS"


@every_version
def test_a_creation_that_is_switched_off_is_404(version: Version) -> None:
    capabilities = frozenset(Capability) - {Capability.CREATION}
    by = ResumableRules(tus=TusRules(capabilities=capabilities), mode=RULES.mode)
    with pytest.raises(ExtensionDisabledError):
        wanted(creation(version), by)


@every_version
def test_i30_an_upload_that_is_gone_stays_gone(version: Version) -> None:
    look = head(version, "HEAD", UPLOAD)
    assert answers(version).failed(UploadNotFoundError("none"), look).status == 404
    gone = answers(version).failed(UploadGoneError("gone"), look).status
    assert gone == (410 if version in LATE else 404)


@every_version
@pytest.mark.parametrize("method", ["HEAD", "DELETE"])
def test_i30_nothing_is_said_of_the_end_of_what_is_not_there(version: Version, method: str) -> None:
    refused = answers(version).failed(UploadNotFoundError("none"), head(version, method, UPLOAD))
    assert not {"upload-offset", version.field} & set(fields_of(refused))


@every_version
@pytest.mark.parametrize("method", ["POST", "PUT", "TRACE"])
def test_i34_other_methods_on_an_upload_are_405_with_allow(version: Version, method: str) -> None:
    request = head(version, method, UPLOAD)
    if version is FINAL:
        assert claim(request, RULES) is None  # tus says the same
        return
    with pytest.raises(MethodNotAllowedError) as raised:
        wanted(request)
    refused = answers(version).failed(raised.value, request)
    assert refused.status == 405
    assert fields_of(refused)["allow"] == "HEAD, GET, PATCH, DELETE, OPTIONS"


@every_version
@pytest.mark.parametrize("path", ["/files/a/b", "/files/%2e%2e", "/files/.."])
def test_what_is_no_uploads_path_is_404(version: Version, path: str) -> None:
    with pytest.raises(UploadNotFoundError):
        wanted(head(version, "HEAD", path))


@every_version
def test_limits_of_one_append(version: Version) -> None:
    by = rules(max_append_size=10, min_append_size=3)
    with pytest.raises(TooLargeError):
        wanted(append(version, 0, size=11), by)
    with pytest.raises(TooSmallError):
        wanted(append(version, 0, size=2), by)
    assert wanted(append(version, 0, size=2, ends=True), by).ends
    assert planned(append(version, 0, chunked=True), upload(0, 99), by).room == 10


@every_version
@pytest.mark.parametrize("size", [None, 6])
def test_an_upload_without_a_length_ends_at_the_largest_size(
    version: Version, size: int | None
) -> None:
    by = rules(max_size=10)
    request = append(version, 5, size=size or 0, chunked=size is None)
    if size is None:
        assert planned(request, upload(5), by).room == 5
        assert isinstance(exceeded(Offset(5), None, by), TooLargeError)
    else:
        with pytest.raises(TooLargeError):
            planned(request, upload(5), by)


@every_version
def test_a_final_upload_of_tus_takes_no_bytes(version: Version) -> None:
    info = UploadInfo(id=ID, offset=Offset(5), length=5, concat=Concat.FINAL)
    with pytest.raises(FinalUploadError):
        planned(append(version, 5, ends=True), info)


@every_version
def test_an_upload_of_tus_is_appended_to_as_one_of_this_protocol(version: Version) -> None:
    begun = UploadInfo(id=ID, offset=Offset(5), length=20)
    step = planned(append(version, 5, ends=True, size=15), begun)
    assert (step.length, step.awaits_end) == (20, False)


# -- refusals -------------------------------------------------------------------------------------


@every_version
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DigestMismatchError("other"), 400),
        (UploadLockedError("held"), 423),
        (ValueError("a bug"), 500),
        (WireError("a\r\nb"), 400),
    ],
)
def test_a_refusal_is_a_problem_that_tells_no_secrets(
    version: Version, error: Exception, status: int
) -> None:
    refused = answers(version).failed(error, append(version, 0))
    document = problem_of(refused)
    assert refused.status == status
    assert document["type"] == "about:blank"
    assert "\r" not in document["detail"]
    assert "a bug" not in document["detail"]
    assert "tus-resumable" not in fields_of(refused)


@every_version
def test_the_whole_that_is_another_is_refused_by_the_target(version: Version) -> None:
    """ "the representation was fully transmitted, but an error occurred while processing it.
    Resuming the upload would not resolve this error" (Upload Append): ``?1``.
    """
    error = DigestMismatchError("other")
    for request in (creation(version), append(version, 0, ends=True)):
        told = fields_of(answers(version).failed(error, request))
        assert told.get(version.field) == ("?1" if version.targets_tell else None)


@every_version
def test_what_a_hook_says_is_not_rewritten(version: Version) -> None:
    error = RefusedByHookError(
        "no", answer_status=402, answer_body=b"pay", answer_fields=(("Content-Type", "text/x"),)
    )
    refused = answers(version).failed(error, creation(version))
    assert (refused.status, refused.body) == (402, b"pay")
    assert fields_of(refused)["content-type"] == "text/x"


@every_version
@pytest.mark.parametrize("status", [204, 460, 499])
def test_any_status_of_a_hook_is_sent(version: Version, status: int) -> None:
    refused = answers(version).failed(
        RefusedByHookError("no", answer_status=status), creation(version)
    )
    assert refused.status == status
    assert bool(refused.body) == (status != 204)


@every_version
def test_a_hook_that_chooses_no_answer_refuses_with_a_problem(version: Version) -> None:
    refused = answers(version).failed(RefusedByHookError("no"), creation(version))
    assert (refused.status, problem_of(refused)["detail"]) == (403, "no")


def test_what_could_not_be_read_is_answered_as_ever() -> None:
    assert answers(FINAL).failed(WireError("bad"), None).status == 400
