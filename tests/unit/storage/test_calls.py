"""What each call sends, and what it makes of each answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest

from fileloft_fast.errors import InvalidPathError
from fileloft_fast.storage import (
    BadAnswerError,
    BinaryUpload,
    ForbiddenError,
    MultipartUpload,
    NotFoundError,
    ObjectExistsError,
    StorageError,
    StoredObject,
    TooLargeError,
    UnavailableError,
)
from fileloft_fast.storage.calls import Call, Calls, Reply

KEY: Final = "a-key-of-thirty-two-bytes-or-more"
CALLS: Final = Calls("https://up.example/", KEY, "public")
V1: Final = "https://up.example/v1"
TICKET: Final[Mapping[str, Any]] = {
    "max_size": 7,
    "expires_in": 60,
    "overwrite": False,
    "content_type": "image/png",
    "kind": "multipart",
    "method": "PUT",
    "file_name": "a.png",
}
ENTRY: Final = {
    "path": "a", "size": 3, "etag": "x-1", "content_type": "text/plain", "modified_at": 1.5
}  # fmt: skip
OBJECT: Final = StoredObject(
    path="a", size=3, etag="x-1", content_type="text/plain", modified_at=1.5
)
HEAD: Final = {
    "etag": '"x-1"',
    "content-type": "text/plain",
    "last-modified": "Thu, 01 Jan 1970 00:00:02 GMT",
}
OF_HEAD: Final = StoredObject(
    path="a", size=3, etag="x-1", content_type="text/plain", modified_at=2.0
)

ASKING: Final[Mapping[str, tuple[Call[Any], str, str, dict[str, Any] | None]]] = {
    "verify": (
        CALLS.verify("a/b"), "POST", f"{V1}/verify", {"storage": "public", "path": "a/b"}
    ),
    "exists": (CALLS.exists("a/b"), "HEAD", f"{V1}/objects/public/a/b", None),
    "stat": (CALLS.stat("a/b"), "HEAD", f"{V1}/objects/public/a/b", None),
    "retrieve": (CALLS.retrieve("a/b"), "GET", f"{V1}/objects/public/a/b", None),
    "read": (CALLS.read("a", 0, None), "GET", f"{V1}/objects/public/a", None),
    "delete": (CALLS.delete("a/b"), "DELETE", f"{V1}/objects/public/a/b", None),
    "list": (CALLS.page("", None, None), "GET", f"{V1}/objects/public", None),
    "page": (
        CALLS.page("a/", "a/b", 2), "GET",
        f"{V1}/objects/public?prefix=a%2F&after=a%2Fb&limit=2", None,
    ),
    "public_url": (
        CALLS.public_url("a"), "POST", f"{V1}/urls", {"storage": "public", "path": "a"}
    ),
    "signed_url": (
        CALLS.signed_url("a", 5), "POST", f"{V1}/urls",
        {"storage": "public", "path": "a", "signed": True, "expires_in": 5},
    ),
    "ticket": (
        CALLS.create_ticket("a", **TICKET), "POST", f"{V1}/tickets",
        {
            "storage": "public", "path": "a", "max_size": 7, "expires_in": 60, "overwrite": False,
            "type": "multipart", "method": "PUT", "content_type": "image/png",
            "file_name": "a.png",
        },
    ),
}  # fmt: skip


def reply(status: int, told: object = None, **headers: str) -> Reply:
    """Return an answer with *told* as JSON."""
    body = b"" if told is None else json.dumps(told).encode()
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


@pytest.mark.parametrize("name", ASKING)
def test_a_call_asks_what_the_api_says(name: str) -> None:
    call, method, url, told = ASKING[name]
    assert (call.method, call.url) == (method, url)
    assert call.headers["Authorization"] == f"Bearer {KEY}"
    if told is None:
        assert call.body == b""
    else:
        assert isinstance(call.body, bytes)
        assert json.loads(call.body) == told
        assert call.headers["Content-Type"] == "application/json"


def test_what_nobody_said_of_a_ticket_is_not_sent() -> None:
    unsaid = ("max_size", "expires_in", "content_type", "file_name")
    call = CALLS.create_ticket("a", **{**TICKET, **dict.fromkeys(unsaid)})
    assert isinstance(call.body, bytes)
    assert json.loads(call.body).keys().isdisjoint(unsaid)


@pytest.mark.parametrize(
    ("start", "length", "field"),
    [(0, None, None), (5, None, "bytes=5-"), (0, 1, "bytes=0-0"), (5, 10, "bytes=5-14")],
)
def test_a_range_is_asked_for_by_its_first_and_its_last_byte(
    start: int, length: int | None, field: str | None
) -> None:
    assert CALLS.read("a", start, length).headers.get("Range") == field


@pytest.mark.parametrize(("start", "length"), [(-1, None), (0, 0), (3, -1)])
def test_a_range_without_a_byte_is_no_range(start: int, length: int) -> None:
    with pytest.raises(ValueError, match="range"):
        CALLS.read("a", start, length)


def test_what_is_stored_is_sent_as_it_is() -> None:
    call = CALLS.store("a/b", b"bytes", content_type="text/plain", overwrite=True)
    assert (call.method, call.url) == ("PUT", f"{V1}/objects/public/a/b")
    assert call.headers["Content-Type"] == "text/plain"
    assert (call.body, call.repeatable) == (b"bytes", True)


def test_what_must_not_overwrite_says_so_and_is_not_sent_twice() -> None:
    call = CALLS.store("a", b"bytes", content_type=None, overwrite=False)
    assert call.url == f"{V1}/objects/public/a?overwrite=0"
    assert "Content-Type" not in call.headers
    assert not call.repeatable


def test_only_the_first_yes_of_verify_counts_so_it_is_not_asked_twice() -> None:
    assert not CALLS.verify("a").repeatable
    assert CALLS.exists("a").repeatable


ABOUT: Final[Mapping[str, Callable[[str], Call[Any]]]] = {
    "ticket": lambda path: CALLS.create_ticket(path, **TICKET),
    "verify": CALLS.verify,
    "exists": CALLS.exists,
    "stat": CALLS.stat,
    "retrieve": CALLS.retrieve,
    "read": lambda path: CALLS.read(path, 0, None),
    "store": lambda path: CALLS.store(path, b"", content_type=None, overwrite=True),
    "delete": CALLS.delete,
    "public_url": CALLS.public_url,
    "signed_url": lambda path: CALLS.signed_url(path, 1),
}


@pytest.mark.parametrize("name", ABOUT)
@pytest.mark.parametrize("path", ["", "/a", "a/", "a//b", "a/../b", "a?b", "a#b", "a%2e", "é"])
def test_what_is_no_path_reaches_no_server(name: str, path: str) -> None:
    with pytest.raises(InvalidPathError):
        ABOUT[name](path)


@pytest.mark.parametrize(
    "url",
    [
        "", "up.example", "ftp://up.example", "https:///files", "https://up.example:x",
        "https://me:secret@up.example", "https://up.example?a=b", "https://up.example#a",
    ],
)  # fmt: skip
def test_an_address_is_of_http_and_of_nothing_else(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|Port"):
        Calls(url, KEY, "public")


@pytest.mark.parametrize("key", ["", " outer ", "line\r\nbreak", "ключ"])
def test_a_key_fits_into_a_header_field(key: str) -> None:
    with pytest.raises(ValueError, match="key"):
        Calls("https://up.example", key, "public")


@pytest.mark.parametrize("storage", ["", "a/b", "..", "a b"])
def test_a_storage_has_a_name(storage: str) -> None:
    with pytest.raises(ValueError, match="storage"):
        Calls("https://up.example", KEY, storage)


@pytest.mark.parametrize(
    ("call", "answer", "value"),
    [
        (CALLS.verify("a"), reply(200, {"verified": True}), True),
        (CALLS.verify("a"), reply(200, {"verified": False}), False),
        (CALLS.exists("a"), reply(200), True),
        (CALLS.exists("a"), reply(404), False),
        (CALLS.stat("a"), reply(200, content_length="3", **HEAD), OF_HEAD),
        (CALLS.retrieve("a"), Reply(200, {}, b"bytes"), b"bytes"),
        (CALLS.read("a", 0, None), reply(200, content_length="3", **HEAD), OF_HEAD),
        (
            CALLS.read("a", 1, 1),
            reply(206, content_length="1", content_range="bytes 1-1/3", **HEAD),
            OF_HEAD,
        ),
        (CALLS.store("a", b"", content_type=None, overwrite=True), reply(200, ENTRY), OBJECT),
        (CALLS.delete("a"), reply(204), True),
        (CALLS.delete("a"), reply(404), False),
        (CALLS.public_url("a"), reply(200, {"url": None}), None),
        (CALLS.signed_url("a", 1), reply(200, {"url": "https://x"}), "https://x"),
    ],
)
def test_an_answer_becomes_a_value(call: Call[Any], answer: Reply, value: object) -> None:
    assert call.read(answer) == value


def test_a_page_is_read() -> None:
    page = CALLS.page("", None, None).read(reply(200, {"objects": [ENTRY], "next": "a"}))
    assert (page.objects, page.next) == ((OBJECT,), "a")


def test_a_description_is_read() -> None:
    told = {"type": "binary", "url": "https://x", "method": "PUT"}
    call = CALLS.create_ticket("a", **TICKET)
    assert call.read(reply(200, told)) == BinaryUpload(url="https://x", method="PUT")
    form = {"type": "multipart", "url": "x", "field": "f", "file-name": "n", "request-fields": {}}
    assert isinstance(call.read(reply(200, form)), MultipartUpload)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, StorageError), (401, ForbiddenError), (403, ForbiddenError), (404, NotFoundError),
        (409, ObjectExistsError), (412, ObjectExistsError), (413, TooLargeError),
        (429, UnavailableError), (500, StorageError), (502, UnavailableError),
        (503, UnavailableError), (504, UnavailableError),
    ],
)  # fmt: skip
@pytest.mark.parametrize("call", [CALLS.retrieve("a"), CALLS.verify("a"), CALLS.page("", None, 1)])
def test_a_refusal_is_raised_with_what_the_server_says(
    call: Call[Any], status: int, kind: type[StorageError]
) -> None:
    with pytest.raises(StorageError) as caught:
        call.read(reply(status, {"error": "the_code", "message": "the reason"}))
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.code) == (status, "the_code")
    assert str(caught.value) == "the reason"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error":1}', b"\xff"])
def test_a_refusal_that_is_no_json_is_raised_too(body: bytes) -> None:
    with pytest.raises(NotFoundError) as caught:
        CALLS.retrieve("a").read(Reply(404, {}, body))
    assert (str(caught.value), caught.value.code) == ("the server answers 404", "")


@pytest.mark.parametrize(
    ("value", "seconds"), [("7", 7.0), ("0", 0.0), ("", None), ("Thu, 01 Jan 1970", None)]
)
def test_a_busy_server_says_when_to_come_back(value: str, seconds: float | None) -> None:
    with pytest.raises(UnavailableError) as caught:
        CALLS.retrieve("a").read(reply(503, retry_after=value))
    assert caught.value.retry_after_s == seconds
    assert not caught.value.perhaps_done


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (CALLS.verify("a"), reply(200, {})),
        (CALLS.verify("a"), reply(200, [])),
        (CALLS.verify("a"), Reply(200, {}, b"<html>")),
        (CALLS.exists("a"), reply(302)),
        (CALLS.stat("a"), reply(200, **HEAD)),
        (CALLS.stat("a"), reply(200, content_length="3", last_modified="yesterday")),
        (CALLS.read("a", 1, 1), reply(200, content_length="3", **HEAD)),
        (CALLS.page("", None, None), reply(200, {"objects": [{"path": "a"}]})),
        (CALLS.create_ticket("a", **TICKET), reply(200, {"type": "other"})),
        (CALLS.public_url("a"), reply(200, {"address": "x"})),
    ],
)
def test_what_is_no_answer_of_this_api_is_told_from_a_refusal(
    call: Call[Any], answer: Reply
) -> None:
    with pytest.raises(BadAnswerError):
        call.read(answer)
