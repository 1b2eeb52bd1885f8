"""What is shown of an object: all of one version, and nothing that a browser runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from fileloft_fast.errors import NoSuchObjectError
from fileloft_fast.model import RequestHead, Response
from fileloft_fast.storages.entry import Entry
from fileloft_fast.storages.showing import describe, shown

if TYPE_CHECKING:
    from fileloft_fast.storages.named import NamedStorage


class Replaced:
    """A storage whose object is replaced *times* times, each time after it was looked up."""

    def __init__(self, times: int) -> None:
        self._left = times
        self._version = 0

    async def look(self, path: str) -> Entry:
        self._version += 1
        return Entry(path=path, size=1, etag=str(self._version))

    async def read(self, entry: Entry, _start: int, _length: int) -> bytes:
        if self._left:
            self._left -= 1
            raise NoSuchObjectError("no such object")
        return entry.etag.encode()


def show(times: int) -> Response:
    head = RequestHead("GET", "/public/a", {})
    return asyncio.run(shown(cast("NamedStorage", Replaced(times)), "a", head, ()))


def test_an_object_that_is_replaced_while_it_is_opened_is_there_all_the_time() -> None:
    answer = show(2)
    assert (answer.status, answer.body) == (200, b"3")
    assert ("ETag", '"3"') in answer.own
    with pytest.raises(NoSuchObjectError):
        show(9)


@pytest.mark.parametrize(
    ("content_type", "inert"),
    [
        ("image/png", True),
        ("text/plain; charset=utf-8", True),
        ("text/html", False),
        ("image/svg+xml", False),
        # Of a list a browser takes the last one.
        ("text/plain;a, text/html", False),
        ('text/plain;a="b,c"', False),
        ("", False),
    ],
)
def test_what_a_browser_may_run_is_shown_in_a_sandbox(content_type: str, *, inert: bool) -> None:
    fields = describe(Entry(path="a", size=1, etag="a", content_type=content_type))
    assert (("Content-Security-Policy", "sandbox") not in fields) == inert
