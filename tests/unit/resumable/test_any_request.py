"""What holds for any request, and for any row of requests about one upload."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fileloft_fast.errors import InconsistentLengthError, OverrunError, WireError
from fileloft_fast.model import Offset, RequestHead, ResumableMode
from fileloft_fast.resumable.plan import claim, plan, plan_append, plan_create, plan_end
from fileloft_fast.tus.effects import Append, Create
from tests.unit.resumable.heads import (
    COLLECTION,
    EVERY,
    ID,
    RULES,
    UPLOAD,
    answers,
    append,
    creation,
    rules,
    upload,
    wanted,
)

if TYPE_CHECKING:
    from fileloft_fast.model import UploadInfo
    from fileloft_fast.resumable.versions import Version

_NAMES = (
    "upload-draft-interop-version", "upload-complete", "upload-incomplete", "upload-offset",
    "upload-length", "content-type", "content-digest", "repr-digest", "want-repr-digest",
    "tus-resumable", "content-disposition", "upload-metadata",
)  # fmt: skip
_VALUES = st.one_of(
    st.sampled_from(["?0", "?1", "3", "6", "8", "9", "0", "5", "application/partial-upload"]),
    st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=20),
)


@given(
    method=st.sampled_from(["POST", "PUT", "PATCH", "HEAD", "GET", "DELETE", "OPTIONS", "LINK"]),
    path=st.sampled_from([COLLECTION, "/files", UPLOAD, "*", "/files/..", "/elsewhere"]),
    fields=st.dictionaries(st.sampled_from(_NAMES), _VALUES),
    size=st.one_of(st.none(), st.integers(0, 20)),
    mode=st.sampled_from(ResumableMode),
)
def test_any_request_is_somebody_elses_or_planned_or_refused_with_an_answer(
    method: str, path: str, fields: dict[str, str], size: int | None, mode: ResumableMode
) -> None:
    head = RequestHead(method, path, fields, content_length=size, chunked=size is None)
    by = rules(mode=mode, max_size=15)
    version = claim(head, by)
    if version is None:
        return
    assert mode is not ResumableMode.OFF
    try:
        asked = plan(head, version, by)
    except WireError as error:
        refused = answers(version, by).failed(error, head)
        assert 400 <= refused.status < 500
        return
    if isinstance(asked.effect, Create) and asked.effect.length is not None:
        assert asked.effect.size is None or asked.effect.size <= asked.effect.length <= 15


@given(
    fields=st.dictionaries(
        st.sampled_from([name for name in _NAMES if name != "upload-complete"]), _VALUES
    )
)
def test_without_fields_of_this_protocol_nothing_is_claimed(fields: dict[str, str]) -> None:
    known = {"upload-draft-interop-version", "upload-incomplete", "content-type"}
    others = {name: value for name, value in fields.items() if name not in known}
    for method in ("POST", "PUT", "PATCH"):
        for path in (COLLECTION, UPLOAD):
            assert claim(RequestHead(method, path, others), RULES) is None


_STEPS = st.lists(
    st.tuples(
        st.integers(0, 12),  # bytes that come
        st.booleans(),  # the end?
        st.booleans(),  # chunked?
        st.one_of(st.none(), st.integers(0, 30)),  # Upload-Length
        st.integers(0, 12),  # cut after so many bytes
    ),
    max_size=6,
)


@given(version=st.sampled_from(EVERY), steps=_STEPS)
def test_a_row_of_requests_never_loses_bytes_nor_changes_a_length(
    version: Version, steps: list[tuple[int, bool, bool, int | None, int]]
) -> None:
    """Play the store: what was told once stays true, and only a whole last body completes."""
    info: UploadInfo | None = None
    for size, ends, chunked, length, cut in steps:
        before = info
        try:
            info = _after(version, info, size, ends, chunked, length, cut)
        except WireError:
            assert info == before
            continue
        if before is not None:
            assert info.offset >= before.offset
            assert before.length in {None, info.length}
        assert info.length is None or info.offset <= info.length
        if info.complete:
            assert ends or (before is not None and before.complete)
            assert cut >= size or (before is not None and before.complete)


def _after(  # noqa: PLR0917 - a step
    version: Version,
    info: UploadInfo | None,
    size: int,
    ends: bool,  # noqa: FBT001
    chunked: bool,  # noqa: FBT001
    length: int | None,
    cut: int,
) -> UploadInfo:
    fields = {"upload-length": None if length is None else str(length)}
    if info is None:
        asked = wanted(creation(version, fields, ends=ends, size=size, chunked=chunked))
        step = plan_create(asked, RULES)
        info = upload(0, step.length, awaits_end=step.awaits_end)
    else:
        request = append(version, info.offset, fields, ends=ends, size=size, chunked=chunked)
        asked = wanted(request)
        assert isinstance(asked.effect, Append)
        step = plan_append(info, asked, RULES)
        if step.replayed:
            return info
        info = replace(info, length=step.length, awaits_end=step.awaits_end)
    came = min(size, cut)
    if step.room is not None and came > step.room:
        raise OverrunError("past the length")
    info = replace(info, offset=Offset(info.offset + came))
    if came < size:  # cut: whatever the client meant, this was not the end
        return info
    with suppress(InconsistentLengthError):
        length = plan_end(asked, step.length, info.offset)
        return replace(info, length=length, awaits_end=not asked.ends)
    return info


def test_every_version_goes_through_an_upload_in_three_parts() -> None:
    for version in EVERY:
        info = _after(version, None, 4, ends=False, chunked=False, length=None, cut=4)
        assert (info.id, info.offset, info.complete) == (ID, 4, False)
        info = _after(version, info, 6, ends=False, chunked=True, length=15, cut=3)
        assert (info.offset, info.length) == (7, 15)
        info = _after(version, info, 8, ends=True, chunked=False, length=None, cut=8)
        assert info.complete
