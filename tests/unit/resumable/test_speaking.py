"""Who asks by tus is answered by tus, who asks by a version of this protocol by that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fileloft_fast.errors import UploadNotFoundError
from fileloft_fast.model import Offset
from fileloft_fast.resumable.rules import Mode
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

BY = rules(mode=Mode.DRAFTS, max_size=100)
SPEAKING = SpeakingAnswers(BY, lambda: NOW)
TUS = Answers(BY.tus)
INFO = upload(5, 20)
MISSING = UploadNotFoundError("none")


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
    assert SPEAKING.announced(making, INFO) == own.announced(making, INFO)
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
    assert SPEAKING.announced(making, INFO) is None
    assert SPEAKING.progressed(making, Offset(7)) is None


@pytest.mark.parametrize("mode", Mode)
def test_i28_whoever_asks_for_options_is_told_the_limits(mode: Mode) -> None:
    speaking = SpeakingAnswers(rules(mode=mode, max_size=100), lambda: NOW)
    told = fields_of(speaking.options(head(FINAL, "OPTIONS", COLLECTION)))
    assert told.get("upload-limit") == (None if mode is Mode.OFF else "max-size=100")
    assert told["tus-version"] == "1.0.0"


def test_an_upload_of_one_protocol_is_told_of_in_the_other() -> None:
    by_tus = fields_of(SPEAKING.inspected(tus.head("HEAD", UPLOAD), INFO))
    by_draft = fields_of(SPEAKING.inspected(head(VERSIONS[8], "HEAD", UPLOAD), INFO))
    for told in (by_tus, by_draft):
        assert (told["upload-offset"], told["upload-length"]) == ("5", "20")
    assert "upload-complete" not in by_tus
    assert "tus-resumable" not in by_draft
