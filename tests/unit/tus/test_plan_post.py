"""POST on the collection: what becomes of a creation before its body is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fileloft_fast.errors import (
    ContentTypeError,
    ExtensionDisabledError,
    FinalUploadError,
    InvalidHeaderError,
    InvalidMetadataError,
    TooLargeError,
    UnsupportedCodingError,
    UploadNotFoundError,
    VersionError,
)
from fileloft_fast.model import Capability, Checksum, Concat, Offset, UploadId
from fileloft_fast.tus.effects import Coding, Concatenate, Create
from fileloft_fast.tus.headers import OFFSET_STREAM
from fileloft_fast.tus.plan import AppendPlan, plan, plan_create
from tests.unit.tus.heads import head, post, rules

if TYPE_CHECKING:
    from fileloft_fast.tus.rules import TusRules
    from tests.unit.tus.heads import Fields

RULES = rules()
SHA1 = "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0="


def created(
    fields: Fields, *, size: int = 0, chunked: bool = False, by: TusRules = RULES
) -> Create:
    effect = plan(post(fields, size=size, chunked=chunked), by)
    assert isinstance(effect, Create)
    return effect


# -- core and creation ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/files", "/files/"])
def test_t010_t090_the_collection_creates_with_and_without_the_slash(path: str) -> None:
    assert plan(head("POST", path, {"Upload-Length": "100"}), RULES) == Create(length=100)


@pytest.mark.parametrize("path", ["/", ""])
def test_the_base_path_may_be_the_root(path: str) -> None:
    effect = plan(head("POST", path, {"Upload-Length": "1"}), rules(base_path="/"))
    assert effect == Create(length=1)


@pytest.mark.parametrize("path", ["/", "/file", "/filesx", "/other/", "/FILES/"])
def test_outside_the_base_path_is_404(path: str) -> None:
    with pytest.raises(UploadNotFoundError):
        plan(head("POST", path, {"Upload-Length": "1"}), RULES)


@pytest.mark.parametrize(
    "version",
    [
        pytest.param("2.0.0", id="T003"),
        pytest.param(None, id="T005"),
        "",
        "1.0",
        "1.0.0, 1.0.0",
    ],
)
def test_a_creation_needs_the_version(version: str | None) -> None:
    with pytest.raises(VersionError):
        plan(post({"Upload-Length": "5", "Tus-Resumable": version}), RULES)


def test_t092_an_upload_may_be_empty() -> None:
    assert created({"Upload-Length": "0"}) == Create(length=0)


def test_t093_a_length_is_needed() -> None:
    with pytest.raises(InvalidHeaderError):
        plan(post({}), RULES)


@pytest.mark.parametrize(
    ("length", "size"),
    [
        pytest.param("101", 0, id="T095"),
        pytest.param("101", 5, id="T124 with a body"),
        pytest.param("9223372036854775807", 0, id="T095 the largest"),
    ],
)
def test_more_than_the_max_size_is_413(length: str, size: int) -> None:
    with pytest.raises(TooLargeError):
        plan(post({"Upload-Length": length}, size=size), rules(max_size=100))


def test_t096_the_max_size_itself_is_taken() -> None:
    assert created({"Upload-Length": "100"}, by=rules(max_size=100)).length == 100


def test_t098_a_content_type_without_a_body_does_not_count() -> None:
    assert not created({"Upload-Length": "5", "Content-Type": "application/json"}).has_body
    assert not created({"Upload-Length": "5", "Content-Encoding": "gzip"}).has_body


def test_t099_no_content_length_is_no_body() -> None:
    assert created({"Upload-Length": "5"}) == Create(length=5)


def test_t100_metadata_is_kept_as_received() -> None:
    raw = "filename d29ybGQ=,is_confidential"
    assert created({"Upload-Length": "5", "Upload-Metadata": raw}).metadata.raw == raw


@pytest.mark.parametrize("raw", [",", "a !!!", "a YQ==,a YQ==", "a  YQ=="])
def test_t102_bad_metadata_is_400(raw: str) -> None:
    with pytest.raises(InvalidMetadataError):
        plan(post({"Upload-Length": "5", "Upload-Metadata": raw}), RULES)


def test_t104_empty_metadata_is_none() -> None:
    assert created({"Upload-Length": "5", "Upload-Metadata": ""}) == Create(length=5)


def test_t110_a_length_may_be_deferred() -> None:
    assert created({"Upload-Defer-Length": "1"}) == Create(length=None)


# -- creation with upload -------------------------------------------------------------------------


def test_t120_a_body_comes_with_the_creation() -> None:
    effect = created({"Upload-Length": "100"}, size=5)
    assert (effect.has_body, effect.size) == (True, 5)
    assert plan_create(effect, RULES) == AppendPlan(Offset(0), 100, 100)


def test_t121_the_whole_file_comes_with_the_creation() -> None:
    assert created({"Upload-Length": "5"}, size=5).size == 5


@pytest.mark.parametrize("kind", [None, "application/json", "application/octet-stream"])
@pytest.mark.parametrize("framing", [{"size": 5}, {"chunked": True}])
def test_t122_a_body_of_another_type_is_415(kind: str | None, framing: Any) -> None:
    with pytest.raises(ContentTypeError):
        plan(post({"Upload-Length": "5", "Content-Type": kind}, **framing), RULES)


def test_t123_a_body_longer_than_the_length_is_413() -> None:
    with pytest.raises(TooLargeError):
        plan(post({"Upload-Length": "4"}, size=5), RULES)


def test_t125_a_body_with_a_deferred_length_is_bounded_by_the_max_size() -> None:
    by = rules(max_size=7)
    effect = created({"Upload-Defer-Length": "1"}, size=5, by=by)
    assert plan_create(effect, by) == AppendPlan(Offset(0), None, 7)
    assert plan_create(effect, RULES).room is None
    with pytest.raises(TooLargeError):
        plan(post({"Upload-Defer-Length": "1"}, size=8), by)


def test_t127_an_empty_body_of_an_empty_upload_is_no_body() -> None:
    effect = created({"Upload-Length": "0", "Content-Type": OFFSET_STREAM})
    assert effect == Create(length=0)


def test_a_chunked_body_has_no_size_beforehand() -> None:
    effect = created({"Upload-Length": "5"}, chunked=True)
    assert (effect.has_body, effect.size) == (True, None)


def test_the_size_of_a_coded_body_is_not_its_content_length() -> None:
    effect = created({"Upload-Length": "5", "Content-Encoding": "zstd"}, size=99)
    assert (effect.size, effect.coding) == (None, Coding.ZSTD)
    with pytest.raises(UnsupportedCodingError):
        plan(post({"Upload-Length": "5", "Content-Encoding": "gzip"}, size=5), RULES)


def test_t128_a_checksum_is_of_the_body() -> None:
    effect = created({"Upload-Length": "11", "Upload-Checksum": SHA1}, size=11)
    assert effect.checksum is not None
    assert effect.checksum.algorithm == "sha1"
    assert created({"Upload-Length": "11", "Upload-Checksum": SHA1}).checksum is None
    with pytest.raises(InvalidHeaderError):
        plan(post({"Upload-Length": "11", "Upload-Checksum": "sha1 AAAA"}), RULES)


def test_t147_a_checksum_may_come_in_the_trailer_of_a_creation() -> None:
    fields = {"Upload-Length": "11", "Trailer": "Upload-Checksum"}
    assert created(fields, chunked=True).checksum_trailer


# -- what is switched off -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("off", "fields", "size"),
    [
        pytest.param("CREATION", {"Upload-Length": "5"}, 0, id="creation"),
        pytest.param("CREATION", {"Upload-Concat": "final;/files/a"}, 0, id="creation of a final"),
        pytest.param("CREATION_WITH_UPLOAD", {"Upload-Length": "5"}, 5, id="with upload"),
        pytest.param("CREATION_DEFER_LENGTH", {"Upload-Defer-Length": "1"}, 0, id="T118"),
        pytest.param("CHECKSUM", {"Upload-Length": "5", "Upload-Checksum": SHA1}, 5, id="checksum"),
        pytest.param(
            "CONCATENATION", {"Upload-Length": "5", "Upload-Concat": "partial"}, 0, id="T189"
        ),
        pytest.param("CONCATENATION", {"Upload-Concat": "final;/files/a"}, 0, id="T189 final"),
    ],
)
def test_a_disabled_extension_is_404(off: str, fields: Fields, size: int) -> None:
    with pytest.raises(ExtensionDisabledError) as refused:
        plan(post(fields, size=size), rules(Capability[off]))
    assert refused.value.status == 404


def test_without_creation_with_upload_an_empty_body_is_taken() -> None:
    by = rules(Capability.CREATION_WITH_UPLOAD)
    assert created({"Upload-Length": "5", "Content-Type": OFFSET_STREAM}, by=by).length == 5


# -- concatenation --------------------------------------------------------------------------------


def test_t170_a_partial_upload_is_made() -> None:
    effect = created({"Upload-Length": "5", "Upload-Concat": "partial"}, size=5)
    assert (effect.concat, effect.concat_raw) == (Concat.PARTIAL, "partial")
    assert effect.has_body


def test_t186_t188_a_partial_may_be_empty_or_deferred() -> None:
    assert created({"Upload-Length": "0", "Upload-Concat": "partial"}).length == 0
    assert created({"Upload-Defer-Length": "1", "Upload-Concat": "partial"}).length is None


@pytest.mark.parametrize(
    ("value", "partials"),
    [
        pytest.param("final;/files/a /files/b", "ab", id="T171"),
        pytest.param("final;http://up.example/files/a /files/b", "ab", id="T172"),
        pytest.param("final; /files/a  /files/b ", "ab", id="T173"),
        pytest.param("final;/files/b /files/a", "ba", id="T176 order"),
        pytest.param("final;/files/a /files/a", "aa", id="T176 twice"),
    ],
)
def test_a_final_upload_names_its_partials(value: str, partials: str) -> None:
    raw = "name YQ=="
    effect = plan(post({"Upload-Concat": value, "Upload-Metadata": raw}), RULES)
    assert isinstance(effect, Concatenate)
    assert effect.partials == tuple(UploadId(name) for name in partials)
    assert effect.concat_raw == value
    assert effect.metadata.raw == raw


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("final;", id="T175"),
        pytest.param("", id="T175 empty"),
        pytest.param("final;/files/../etc/passwd", id="T174"),
        pytest.param("final;http://evil.example/files/a", id="T174 host"),
    ],
)
def test_t174_t175_a_wrong_upload_concat_is_400(value: str) -> None:
    with pytest.raises(InvalidHeaderError):
        plan(post({"Upload-Concat": value, "Upload-Length": "5"}), RULES)


def test_t177_a_length_on_a_final_does_not_count() -> None:
    effect = plan(post({"Upload-Concat": "final;/files/a", "Upload-Length": "x"}), RULES)
    assert isinstance(effect, Concatenate)


@pytest.mark.parametrize("framing", [{"size": 5}, {"chunked": True}])
def test_t185_a_final_with_a_body_is_403(framing: Any) -> None:
    with pytest.raises(FinalUploadError):
        plan(post({"Upload-Concat": "final;/files/a"}, **framing), RULES)


def test_a_checksum_is_a_value() -> None:
    effect = created({"Upload-Length": "4", "Upload-Checksum": "crc32 AAAAAQ=="}, size=4)
    assert effect.checksum == Checksum("crc32", b"\0\0\0\1")
