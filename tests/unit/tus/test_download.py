"""GET: ranges, validators, and a type and a name that nobody can break out of."""

from __future__ import annotations

from email.message import Message
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileloft_fast.errors import NotReadyError, RangeNotSatisfiableError
from fileloft_fast.model import Concat, FileSlice, Metadata, UploadInfo
from fileloft_fast.tus.download import (
    INLINE,
    Selection,
    describe,
    parse_range,
    render_etag,
    safe_name,
    select,
)
from fileloft_fast.tus.headers import parse_metadata, render_metadata
from fileloft_fast.tus.responses import Answers
from tests.unit.tus.heads import UPLOAD, head, rules, upload

if TYPE_CHECKING:
    from tests.unit.tus.heads import Fields

DATE = "Wed, 25 Jun 2014 16:00:00 GMT"
DONE = upload(10, 10, modified_at=1403712000.7)
ETAG = render_etag(DONE)


def get(fields: Fields, info: UploadInfo = DONE) -> Selection:
    return select(head("GET", UPLOAD, fields), info)


def named(**pairs: bytes) -> Metadata:
    return parse_metadata(render_metadata(pairs.items()))


def disposition(**pairs: bytes) -> str:
    return dict(describe(named(**pairs)))["Content-Disposition"]


# -- the whole ------------------------------------------------------------------------------------


def test_a_finished_upload_is_sent_whole() -> None:
    selection = get({})
    sent = dict(selection.headers)
    assert (selection.status, selection.start, selection.length) == (200, 0, 10)
    assert sent["ETag"] == ETAG
    assert sent["Last-Modified"] == DATE
    assert sent["Accept-Ranges"] == "bytes"
    assert sent["Content-Type"] == "application/octet-stream"
    assert sent["Content-Disposition"] == "attachment"


@pytest.mark.parametrize("info", [upload(5, 10), upload(10, None), upload(0, 1)])
def test_an_unfinished_upload_is_409(info: UploadInfo) -> None:
    with pytest.raises(NotReadyError):
        get({}, info)


def test_a_final_upload_is_sent() -> None:
    assert get({}, upload(10, 10, concat=Concat.FINAL)).length == 10


def test_the_answer_may_be_kept_but_is_asked_for_again() -> None:
    request = head("GET", UPLOAD, {"Range": "bytes=2-3"})
    body = FileSlice(-1, 2, 2)
    response = Answers(rules()).downloaded(request, select(request, DONE), body)
    sent = dict(response.headers)
    assert (response.status, response.body) == (206, body)
    assert len(sent) == len(response.headers)
    assert sent["Cache-Control"] == "no-cache"
    assert sent["Tus-Resumable"] == "1.0.0"
    assert sent["X-Content-Type-Options"] == "nosniff"
    assert sent["Content-Range"] == "bytes 2-3/10"
    assert "Upload-Offset" not in sent


# -- ranges ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=2-5", (2, 4)),
        ("bytes=2-", (2, 8)),
        ("bytes=-3", (7, 3)),
        ("bytes=-99", (0, 10)),
        ("bytes=2-99", (2, 8)),
        ("Bytes=9-9", (9, 1)),
        pytest.param("bytes=0-1,3-4", None, id="several"),
        pytest.param("bytes=5-2", None, id="backwards"),
        pytest.param("bytes=-", None, id="nothing"),
        pytest.param("items=0-1", None, id="another unit"),
        pytest.param("bytes 0-1", None, id="no equals sign"),
        pytest.param("bytes=a-b", None, id="no numbers"),
        pytest.param("bytes=+1-2", None, id="a sign"),
        pytest.param(f"bytes={'9' * 5000}-", None, id="an endless number"),
        pytest.param("", None, id="empty"),
    ],
)
def test_one_range_is_taken_and_all_else_is_the_whole(
    value: str, part: tuple[int, int] | None
) -> None:
    assert parse_range(value, 10) == part
    selection = get({"Range": value})
    if part is None:
        assert (selection.status, selection.start, selection.length) == (200, 0, 10)
        return
    start, length = part
    assert (selection.status, selection.start, selection.length) == (206, start, length)
    assert dict(selection.headers)["Content-Range"] == f"bytes {start}-{start + length - 1}/10"


@pytest.mark.parametrize("value", ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99-"])
def test_a_range_outside_the_file_is_416(value: str) -> None:
    with pytest.raises(RangeNotSatisfiableError) as refused:
        get({"Range": value})
    assert refused.value.size == 10


def test_ranges_of_an_empty_file() -> None:
    empty = upload(0, 0)
    assert get({"Range": "bytes=-5"}, empty).status == 200
    with pytest.raises(RangeNotSatisfiableError):
        get({"Range": "bytes=0-"}, empty)


@given(st.text("bytes=-,0123456789 ", max_size=20), st.integers(0, 50))
def test_a_range_never_leaves_the_file(value: str, size: int) -> None:
    try:
        part = parse_range(value, size)
    except RangeNotSatisfiableError:
        return
    if part is not None:
        start, length = part
        assert 0 <= start < start + length <= size


@pytest.mark.parametrize(
    ("validator", "status"), [(ETAG, 206), (DATE, 206), ('"other"', 200), (f"W/{ETAG}", 200)]
)
def test_if_range_lets_a_range_pass_only_for_the_same_bytes(validator: str, status: int) -> None:
    assert get({"Range": "bytes=0-1", "If-Range": validator}).status == status


# -- conditions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [ETAG, f"W/{ETAG}", f'"x", {ETAG}', "*"])
def test_who_has_the_bytes_gets_304(known: str) -> None:
    selection = get({"If-None-Match": known, "Range": "bytes=0-1"})
    assert (selection.status, selection.length) == (304, 0)
    assert dict(selection.headers)["ETag"] == ETAG


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"If-None-Match": '"other"'}, 200),
        ({"If-Modified-Since": DATE}, 304),
        ({"If-Modified-Since": "Wed, 25 Jun 2014 15:59:59 GMT"}, 200),
        ({"If-Modified-Since": "Thu, 26 Jun 2014 16:00:00 GMT"}, 304),
        ({"If-Modified-Since": "yesterday"}, 200),
        ({"If-None-Match": '"other"', "If-Modified-Since": DATE}, 200),
    ],
)
def test_a_tag_goes_before_a_date(fields: Fields, status: int) -> None:
    assert get(fields).status == status


def test_the_validator_is_strong_and_follows_the_bytes() -> None:
    assert ETAG.startswith('"')
    other = {
        render_etag(upload(11, 11, modified_at=DONE.modified_at)),
        render_etag(upload(10, 10, modified_at=DONE.modified_at + 1)),
        render_etag(upload(10, 10, name="b", modified_at=DONE.modified_at)),
    }
    assert len(other | {ETAG}) == 4


# -- type and name --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "sent", "shown"),
    [
        (b"image/png", "image/png", "inline"),
        (b"Image/PNG", "Image/PNG", "inline"),
        (b"text/plain; charset=utf-8", "text/plain; charset=utf-8", "inline"),
        (b'text/plain;a="b c"', 'text/plain;a="b c"', "inline"),
        (b"text/html", "text/html", "attachment"),
        (b"image/svg+xml", "image/svg+xml", "attachment"),
        (b"application/javascript", "application/javascript", "attachment"),
        (b"", "application/octet-stream", "attachment"),
        (b"image", "application/octet-stream", "attachment"),
        (b"image/png\r\nX-Evil: 1", "application/octet-stream", "attachment"),
        (b"image/png\n", "application/octet-stream", "attachment"),
        (b"image/png;", "application/octet-stream", "attachment"),
        (b"image/png, text/html", "application/octet-stream", "attachment"),
        (b"im\xc3\xa4ge/png", "application/octet-stream", "attachment"),
        (b"image/" + b"x" * 300, "application/octet-stream", "attachment"),
    ],
)
def test_only_harmless_types_are_shown(kind: bytes, sent: str, shown: str) -> None:
    for key in ("filetype", "type"):
        told = dict(describe(named(**{key: kind})))
        assert told["Content-Type"] == sent
        assert told["Content-Disposition"] == shown


def test_nothing_that_runs_is_on_the_list() -> None:
    assert not [kind for kind in INLINE if "html" in kind or "xml" in kind or "script" in kind]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"report.pdf", 'attachment; filename="report.pdf"'),
        (b"two words.txt", 'attachment; filename="two words.txt"'),
        ("ü.txt".encode(), "attachment; filename=\"_.txt\"; filename*=UTF-8''%C3%BC.txt"),
        (b'a"; x="b', 'attachment; filename="a_; x=_b"'),
        (b"../../etc/passwd", 'attachment; filename="_.._etc_passwd"'),
        (b"C:\\evil.exe", 'attachment; filename="C__evil.exe"'),
        (b"a\r\nX-Evil: 1", 'attachment; filename="a__X-Evil_ 1"'),
        (b"a\x00b", 'attachment; filename="a_b"'),
        ("a\u202egpj.exe".encode(), 'attachment; filename="a_gpj.exe"'),
        (b"100%41.txt", "attachment; filename=\"100_41.txt\"; filename*=UTF-8''100%2541.txt"),
        (b"..", "attachment"),
        (b" . ", "attachment"),
        (b"///", "attachment"),
        (b"", "attachment"),
        (b".profile", 'attachment; filename="profile"'),
        (b"\xff\xfe", "attachment; filename=\"__\"; filename*=UTF-8''%EF%BF%BD%EF%BF%BD"),
    ],
)  # fmt: skip
def test_t103_a_name_is_only_a_name(name: bytes, expected: str) -> None:
    assert disposition(filename=name) == expected
    assert disposition(name=name) == expected


def test_filename_wins_over_name() -> None:
    assert disposition(name=b"b", filename=b"a") == 'attachment; filename="a"'


def test_a_long_name_is_cut() -> None:
    assert len(safe_name(b"a" * 70_000)) == 200
    assert len(disposition(filename="ü".encode() * 40_000)) < 2000


@given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
def test_t103_no_name_breaks_out_of_its_field(name: bytes) -> None:
    value = disposition(filename=name)
    assert value.isascii()
    assert value.isprintable()
    message = Message()
    message["Content-Disposition"] = value
    read = message.get_filename("")
    assert not set(read) & set('/\\"\r\n\0')
    assert read not in {".", ".."}


@given(st.binary(max_size=60))
def test_t103_no_type_breaks_out_of_its_field(kind: bytes) -> None:
    told = dict(describe(named(filetype=kind)))["Content-Type"]
    assert told.isascii()
    assert told.isprintable()
    assert "," not in told.split('"')[0]
