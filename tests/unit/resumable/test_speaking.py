"""Who asks by tus is answered by tus, who asks by a version of this protocol by that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fileloft_fast.errors import ContentTypeError, OffsetConflictError, UploadNotFoundError
from fileloft_fast.model import Offset, ResumableMode
from fileloft_fast.resumable.speaking import SpeakingAnswers
from fileloft_fast.resumable.versions import FINAL, VERSIONS
from fileloft_fast.tus.responses import Answers
from tests.unit.resumable.heads import (
    COLLECTION,
    NOW,
    UPLOAD,
    answers,
    append,
    creation,
    fields_of,
    head,
    name_of,
    rules,
    upload,
)
from tests.unit.tus import heads as tus

if TYPE_CHECKING:
    from fileloft_fast.resumable.versions import Version

BY = rules(mode=ResumableMode.DRAFTS, max_size=100)
SPEAKING = SpeakingAnswers(BY, lambda: NOW)
TUS = Answers(BY.tus)
INFO = upload(5, 20)
MISSING = UploadNotFoundError("none")
PREFLIGHT = {
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-max-age",
}


@pytest.mark.parametrize("each", VERSIONS.values(), ids=name_of)
def test_each_version_is_answered_in_its_own_words(each: Version) -> None:
    own = answers(each, BY)
    making, adding = creation(each, size=20), append(each, 5)
    looking, deleting = head(each, "HEAD", UPLOAD), head(each, "DELETE", UPLOAD)
    asking = head(each, "OPTIONS", COLLECTION)
    assert SPEAKING.created(making, INFO) == own.created(making, INFO)
    assert SPEAKING.appended(adding, INFO) == own.appended(adding, INFO)
    assert SPEAKING.inspected(looking, INFO) == own.inspected(looking, INFO)
    assert SPEAKING.terminated(deleting) == own.terminated(deleting)
    assert SPEAKING.failed(MISSING, adding) == own.failed(MISSING, adding)
    assert SPEAKING.announced(making, INFO, each) == own.announced(making, INFO)
    assert SPEAKING.created(making, INFO) == own.created(making, INFO)
    assert SPEAKING.progressed(making, Offset(7)) == own.progressed(making, Offset(7))
    assert SPEAKING.options(asking) == own.options(asking)


def test_tus_is_answered_as_if_there_was_nothing_else() -> None:
    making = tus.post({"Upload-Length": "20"})
    adding = tus.patch()
    looking = tus.head("HEAD", UPLOAD)
    assert SPEAKING.created(making, INFO) == TUS.created(making, INFO)
    assert SPEAKING.appended(adding, INFO) == TUS.appended(adding, INFO)
    assert SPEAKING.inspected(looking, INFO) == TUS.inspected(looking, INFO)
    assert SPEAKING.terminated(adding) == TUS.terminated(adding)
    assert SPEAKING.failed(MISSING, adding) == TUS.failed(MISSING, adding)
    assert SPEAKING.failed(MISSING, None) == TUS.failed(MISSING, None)
    assert SPEAKING.progressed(making, Offset(7)) is None


@pytest.mark.parametrize("mode", ResumableMode)
def test_i28_whoever_asks_for_options_is_told_the_limits(mode: ResumableMode) -> None:
    speaking = SpeakingAnswers(rules(mode=mode, max_size=100), lambda: NOW)
    told = fields_of(speaking.options(head(FINAL, "OPTIONS", COLLECTION)))
    assert told.get("upload-limit") == (None if mode is ResumableMode.OFF else "max-size=100")
    assert told["tus-version"] == "1.0.0"


SENT_BY_PAGES = (
    "upload-complete",
    "upload-incomplete",
    "upload-draft-interop-version",
    "upload-offset",
    "upload-length",
    "content-type",
    "content-digest",
    "repr-digest",
    "want-repr-digest",
)
READ_BY_PAGES = (
    "location",
    "upload-complete",
    "upload-incomplete",
    "upload-draft-interop-version",
    "upload-offset",
    "upload-length",
    "upload-limit",
    "repr-digest",
    "accept-patch",
)


@pytest.mark.parametrize("mode", ResumableMode)
def test_a_page_of_another_origin_may_do_all_that_a_client_can(mode: ResumableMode) -> None:
    speaking = SpeakingAnswers(rules(mode=mode), lambda: NOW)
    asked = head(FINAL, "OPTIONS", COLLECTION, {"origin": "https://page.example"})
    told = fields_of(speaking.options(asked))
    methods = told["access-control-allow-methods"].split(",")
    assert ("PUT" in methods) == (mode is not ResumableMode.OFF)
    assert {"POST", "PATCH", "HEAD", "GET", "DELETE", "OPTIONS"} <= set(methods)
    assert set(SENT_BY_PAGES) <= set(told["access-control-allow-headers"].lower().split(","))
    assert set(READ_BY_PAGES) <= set(told["access-control-expose-headers"].lower().split(","))


@pytest.mark.parametrize("each", VERSIONS.values(), ids=name_of)
def test_a_page_may_read_what_each_version_answers(each: Version) -> None:
    page = {"origin": "https://page.example"}
    making = creation(each, page, size=20)
    adding = append(each, 5, page)
    for answer in (
        SPEAKING.options(head(each, "OPTIONS", COLLECTION, page)),
        SPEAKING.created(making, INFO),
        SPEAKING.appended(adding, INFO),
        SPEAKING.inspected(head(each, "HEAD", UPLOAD, page), INFO),
        SPEAKING.failed(OffsetConflictError(expected=Offset(5), got=Offset(7)), adding),
        SPEAKING.failed(ContentTypeError("not this"), adding),
    ):
        told = fields_of(answer)
        readable = {
            name.strip() for name in told["access-control-expose-headers"].lower().split(",")
        }
        own = {name.lower() for name, _ in answer.own} - PREFLIGHT
        assert own <= readable


def test_an_upload_of_one_protocol_is_told_of_in_the_other() -> None:
    by_tus = fields_of(SPEAKING.inspected(tus.head("HEAD", UPLOAD), INFO))
    by_draft = fields_of(SPEAKING.inspected(head(VERSIONS[8], "HEAD", UPLOAD), INFO))
    for told in (by_tus, by_draft):
        assert (told["upload-offset"], told["upload-length"]) == ("5", "20")
    assert "upload-complete" not in by_tus
    assert "tus-resumable" not in by_draft
