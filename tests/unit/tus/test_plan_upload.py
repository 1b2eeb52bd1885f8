"""Requests for one upload: methods, versions, overrides, and the head of a PATCH."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileloft_fast.errors import (
    ContentTypeError,
    ExtensionDisabledError,
    InvalidHeaderError,
    MethodNotAllowedError,
    UnsupportedCodingError,
    UploadNotFoundError,
    VersionError,
    WireError,
)
from fileloft_fast.model import Capability, Offset, RequestHead
from fileloft_fast.tus.effects import Append, Coding, Download, Inspect, Options, Terminate
from fileloft_fast.tus.headers import OFFSET_STREAM
from fileloft_fast.tus.plan import plan
from tests.unit.tus.heads import COLLECTION, ID, UPLOAD, head, patch, rules

if TYPE_CHECKING:
    from fileloft_fast.tus.effects import Effect
    from tests.unit.tus.heads import Fields

RULES = rules()
SHA1 = "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0="
PLAIN = Append(ID, Offset(0), None, 5)


# -- versions -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
@pytest.mark.parametrize("version", ["0.2.2", "9.9", "", None])
def test_t002_t004_t005_a_wrong_or_missing_version_is_412(method: str, version: str | None) -> None:
    fields = {"Tus-Resumable": version, "Upload-Offset": "0", "Content-Type": OFFSET_STREAM}
    with pytest.raises(VersionError):
        plan(head(method, UPLOAD, fields), RULES)


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_t006_a_browser_may_look_without_a_version(method: str) -> None:
    effect = Inspect(ID) if method == "HEAD" else Download(ID)
    assert plan(head(method, UPLOAD, {"Tus-Resumable": None}), RULES) == effect


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_t007_a_wrong_version_is_412_even_to_look(method: str) -> None:
    with pytest.raises(VersionError):
        plan(head(method, UPLOAD, {"Tus-Resumable": "0.0.1"}), RULES)


@pytest.mark.parametrize(
    "path",
    [COLLECTION, "/files", UPLOAD, "/files/unknown", "/files/a/b", "/files/%2e%2e", "*"],
)
@pytest.mark.parametrize("version", ["1.0.0", "0.1.0", None])
def test_t020_t021_t028_options_answers_everywhere_whatever_the_version(
    path: str, version: str | None
) -> None:
    assert plan(head("OPTIONS", path, {"Tus-Resumable": version}), RULES) == Options()


def test_options_outside_the_base_path_is_404() -> None:
    with pytest.raises(UploadNotFoundError):
        plan(head("OPTIONS", "/other"), RULES)


# -- methods --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "effect"),
    [("HEAD", Inspect(ID)), ("DELETE", Terminate(ID)), ("GET", Download(ID))],
)
def test_a_method_on_an_upload_is_its_effect(method: str, effect: object) -> None:
    assert plan(head(method, UPLOAD), RULES) == effect
    assert plan(head(method, f"/{ID}"), rules(base_path="/")) == effect


@pytest.mark.parametrize("method", ["GET", "HEAD", "PATCH", "DELETE", "PUT"])
def test_the_collection_takes_only_post_and_options(method: str) -> None:
    with pytest.raises(MethodNotAllowedError) as refused:
        plan(head(method), RULES)
    assert refused.value.allow == "POST, OPTIONS"


@pytest.mark.parametrize("method", ["POST", "PUT", "TRACE"])
def test_another_method_on_an_upload_is_405(method: str) -> None:
    with pytest.raises(MethodNotAllowedError) as refused:
        plan(head(method, UPLOAD), RULES)
    assert refused.value.allow == "HEAD, PATCH, DELETE, GET, OPTIONS"


def test_a_download_that_is_switched_off_is_405() -> None:
    with pytest.raises(MethodNotAllowedError) as refused:
        plan(head("GET", UPLOAD), rules(Capability.DOWNLOAD, Capability.TERMINATION))
    assert refused.value.allow == "HEAD, PATCH, OPTIONS"


def test_t166_a_termination_that_is_switched_off_is_404() -> None:
    with pytest.raises(ExtensionDisabledError):
        plan(head("DELETE", UPLOAD), rules(Capability.TERMINATION))


@pytest.mark.parametrize(
    "name",
    ["../etc/passwd", "..%2fetc", "a/b", "a/", "%61", ".info",
     f"{ID}.info", "a b", "é", "-a", "a" * 129, "a\n"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["HEAD", "GET", "PATCH", "DELETE"])
def test_h53_an_id_that_is_none_of_ours_is_404(method: str, name: str) -> None:
    with pytest.raises(UploadNotFoundError):
        plan(head(method, f"/files/{name}"), RULES)


# -- X-HTTP-Method-Override -----------------------------------------------------------------------


def override(method: str, *, real: str = "POST", path: str = UPLOAD, **framing: Any) -> Effect:
    fields = {
        "X-HTTP-Method-Override": method,
        "Upload-Offset": "0",
        "Upload-Length": "5",
        "Content-Type": OFFSET_STREAM,
    }
    return plan(head(real, path, fields, **framing), RULES)


def test_t040_a_post_may_stand_for_patch() -> None:
    assert override("PATCH", size=5) == Append(ID, Offset(0), 5, 5)


def test_t041_a_post_may_stand_for_delete() -> None:
    assert override("DELETE") == Terminate(ID)


def test_t042_a_post_may_stand_for_head() -> None:
    assert override("HEAD") == Inspect(ID)


def test_t043_only_a_post_may_stand_for_another_method() -> None:
    assert override("PATCH", real="GET") == Download(ID)
    assert override("DELETE", real="HEAD") == Inspect(ID)


@pytest.mark.parametrize("value", ["patch", "Patch", "PATCH ", "PUT", "GET", "", "PATCH, PATCH"])
@pytest.mark.parametrize("path", [UPLOAD, COLLECTION])
def test_t044_an_unknown_override_is_refused_and_never_creates(value: str, path: str) -> None:
    with pytest.raises(InvalidHeaderError):
        override(value, path=path)


def test_an_override_on_the_collection_does_not_create() -> None:
    with pytest.raises(MethodNotAllowedError):
        override("PATCH", path=COLLECTION)


def test_t045_the_request_of_the_java_client() -> None:
    assert override("PATCH", chunked=True) == Append(ID, Offset(0), 5, None)


# -- the head of a PATCH --------------------------------------------------------------------------


def test_t060_a_patch_says_where_and_how_much() -> None:
    assert plan(patch("0"), RULES) == PLAIN
    assert plan(patch("7", size=0), RULES) == Append(ID, Offset(7), None, 0)


@pytest.mark.parametrize(
    "kind", [None, "application/octet-stream", "application/json", "application/partial-upload"]
)
def test_t061_another_content_type_is_415(kind: str | None) -> None:
    with pytest.raises(ContentTypeError):
        plan(patch("0", {"Content-Type": kind}), RULES)


def test_t062_the_content_type_has_no_case() -> None:
    assert plan(patch("0", {"Content-Type": f"{OFFSET_STREAM.upper()};charset=x"}), RULES) == PLAIN


@pytest.mark.parametrize(
    "offset",
    [None, "", "-1", "abc", "1.5", "0x10", "+5", " 5", "12345678901234567890", "5, 7", "5, 5"],
)
def test_t064_an_offset_that_is_no_count_is_400(offset: str | None) -> None:
    with pytest.raises(InvalidHeaderError):
        plan(patch(offset), RULES)


def test_t073_a_chunked_body_has_no_size_beforehand() -> None:
    assert plan(patch("0", chunked=True), RULES) == Append(ID, Offset(0), None, None)


def test_t112_a_patch_may_declare_the_length() -> None:
    assert plan(patch("0", {"Upload-Length": "9"}), RULES) == Append(ID, Offset(0), 9, 5)
    with pytest.raises(InvalidHeaderError):
        plan(patch("0", {"Upload-Length": "-9"}), RULES)


def test_a_coded_body_has_no_size_beforehand() -> None:
    effect = plan(patch("0", {"Content-Encoding": "zstd"}, size=99), RULES)
    assert effect == Append(ID, Offset(0), None, None, coding=Coding.ZSTD)
    assert plan(patch("0", {"Content-Encoding": "identity"}), RULES) == PLAIN
    with pytest.raises(UnsupportedCodingError):
        plan(patch("0", {"Content-Encoding": "gzip"}), RULES)


# -- checksums ------------------------------------------------------------------------------------


def test_t140_a_checksum_is_in_the_head() -> None:
    effect = plan(patch("0", {"Upload-Checksum": SHA1}), RULES)
    assert isinstance(effect, Append)
    assert effect.checksum is not None
    assert (effect.checksum.algorithm, len(effect.checksum.digest)) == ("sha1", 20)
    assert not effect.checksum_trailer


@pytest.mark.parametrize("value", ["foo AAAA", "sha1 !!", "sha1 AAAA", "sha1", "", "SHA1 AAAA"])
def test_t142_t143_t145_a_wrong_checksum_field_is_400(value: str) -> None:
    with pytest.raises(InvalidHeaderError):
        plan(patch("0", {"Upload-Checksum": value}), RULES)


def test_t147_a_checksum_is_announced_for_the_trailer() -> None:
    effect = plan(patch("0", {"Trailer": "X, upload-checksum"}, chunked=True), RULES)
    assert effect == Append(ID, Offset(0), None, None, checksum_trailer=True)


def test_t148_a_trailer_that_cannot_come_is_400() -> None:
    with pytest.raises(InvalidHeaderError):
        plan(patch("0", {"Trailer": "Upload-Checksum"}), RULES)


def test_t149_a_checksum_in_head_and_trailer_is_400() -> None:
    fields = {"Trailer": "Upload-Checksum", "Upload-Checksum": SHA1}
    with pytest.raises(InvalidHeaderError):
        plan(patch("0", fields, chunked=True), RULES)


@pytest.mark.parametrize("fields", [{"Upload-Checksum": SHA1}, {"Trailer": "Upload-Checksum"}])
def test_a_checksum_that_is_switched_off_is_404(fields: Fields) -> None:
    with pytest.raises(ExtensionDisabledError):
        plan(patch("0", fields, chunked=True), rules(Capability.CHECKSUM))


def test_the_trailer_alone_may_be_switched_off() -> None:
    by = rules(Capability.CHECKSUM_TRAILER)
    with pytest.raises(ExtensionDisabledError):
        plan(patch("0", {"Trailer": "Upload-Checksum"}, chunked=True), by)
    effect = plan(patch("0", {"Upload-Checksum": SHA1}), by)
    assert isinstance(effect, Append)
    assert effect.checksum is not None


def test_another_trailer_is_nothing_to_us() -> None:
    assert plan(patch("0", {"Trailer": "Expires"}), rules(Capability.CHECKSUM)) == PLAIN


# -- whatever comes -------------------------------------------------------------------------------

NAMES = [
    "tus-resumable", "upload-offset", "upload-length", "upload-defer-length", "upload-metadata",
    "upload-concat", "upload-checksum", "content-type", "content-encoding", "trailer",
    "x-http-method-override", "forwarded", "x-forwarded-host", "x-forwarded-proto",
]  # fmt: skip
VALUES = st.sampled_from(
    ["1.0.0", "0", "5", "1", OFFSET_STREAM, "partial", f"final;{UPLOAD}", SHA1, "zstd", "PATCH",
     "Upload-Checksum", "a YQ==", "host=h;proto=https"]
) | st.text(st.characters(max_codepoint=255), max_size=30)  # fmt: skip
PATHS = st.sampled_from(["/files", COLLECTION, UPLOAD, "*", "/"]) | st.text(max_size=20)


@given(
    st.sampled_from(["GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS", "PUT"]),
    PATHS,
    st.dictionaries(st.sampled_from(NAMES), VALUES),
    st.none() | st.integers(0, 10),
)
def test_plan_returns_an_effect_or_raises_a_wire_error(
    method: str, path: str, fields: dict[str, str], size: int | None
) -> None:
    request = RequestHead(method, path, fields, content_length=size, chunked=size is None)
    with suppress(WireError):
        plan(request, rules(behind_proxy=True, max_size=7))
