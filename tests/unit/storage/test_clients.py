"""What both clients do with calls: try again, go through pages and pieces, keep connections."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Final

import httpx2
import pytest

from fileloft_fast.storage import (
    AsyncStorage,
    ConfigError,
    NotFoundError,
    Storage,
    StorageError,
    TimedOutError,
    UnavailableError,
)
from fileloft_fast.storage import load as loading
from tests.unit.storage.sides import KEY, SIDES, open_double

if TYPE_CHECKING:
    from types import ModuleType

BUSY: Final = httpx2.Response(503, headers={"Retry-After": "0"})
ENTRY: Final = {"size": 1, "etag": "x", "content_type": "text/plain", "modified_at": 1.0}
HEAD: Final = {"ETag": '"x"', "Last-Modified": "Thu, 01 Jan 1970 00:00:02 GMT"}
MODULES: Final = {"uvloop", "sqlite3", "httpx2", "httptools", "fileloft_fast.dataplane"}


@pytest.fixture(params=SIDES)
def side(request: pytest.FixtureRequest) -> str:
    """Return which client it is."""
    return str(request.param)


class Double:
    """A server that gives one answer after the other, the last one for ever."""

    def __init__(self, *answers: httpx2.Response | Exception) -> None:
        self._answers = list(answers)
        self.bodies: list[bytes] = []
        self.requests: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        self.bodies.append(request.content)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        # as it comes from a server: not read yet
        body = httpx2.ByteStream(answer.content)
        return httpx2.Response(answer.status_code, headers=answer.headers, stream=body)


def stored(size: int = 5) -> httpx2.Response:
    """Return the answer to what was stored."""
    return httpx2.Response(200, json={**ENTRY, "path": "a", "size": size})


@pytest.mark.parametrize(
    "failure",
    [BUSY, httpx2.ConnectError("refused"), httpx2.ConnectTimeout("slow"), httpx2.ReadError("cut")],
)
def test_a_call_that_was_missed_is_made_again(
    side: str, failure: httpx2.Response | Exception
) -> None:
    server = Double(failure, failure, httpx2.Response(200))
    with open_double(side, server, longest_pause_s=0.0) as storage:
        assert storage.exists("a")
    assert len(server.requests) == 3


def test_it_is_not_made_again_for_ever(side: str) -> None:
    server = Double(httpx2.ConnectError("refused"))
    with (
        open_double(side, server, retries=1, longest_pause_s=0.0) as storage,
        pytest.raises(UnavailableError, match="reached"),
    ):
        storage.retrieve("a")
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (httpx2.Response(404), NotFoundError),
        (httpx2.Response(500), StorageError),
        (httpx2.ReadTimeout("slow"), TimedOutError),
        (httpx2.Response(503, headers={"Retry-After": "60"}), UnavailableError),
    ],
)
def test_a_call_that_was_refused_is_not_made_again(
    side: str, failure: httpx2.Response | Exception, error: type[StorageError]
) -> None:
    server = Double(failure)
    with open_double(side, server) as storage, pytest.raises(error):
        storage.retrieve("a")
    assert len(server.requests) == 1


def test_a_verification_whose_answer_was_lost_is_not_made_again(side: str) -> None:
    server = Double(httpx2.ReadError("cut"), httpx2.Response(200, json={"verified": False}))
    with (
        open_double(side, server, longest_pause_s=0.0) as storage,
        pytest.raises(UnavailableError) as caught,
    ):
        storage.verify("a")
    assert caught.value.perhaps_done
    assert len(server.requests) == 1


def test_a_file_is_sent_again_from_where_it_stood(side: str) -> None:
    server = Double(BUSY, stored())
    file = io.BytesIO(b"not this: bytes")
    file.seek(10)
    with open_double(side, server, longest_pause_s=0.0) as storage:
        storage.store("a", file)
    assert server.bodies == [b"bytes", b"bytes"]
    assert {request.headers["Content-Length"] for request in server.requests} == {"5"}


def test_pieces_are_not_sent_again(side: str) -> None:
    server = Double(BUSY, stored())
    with (
        open_double(side, server, longest_pause_s=0.0) as storage,
        pytest.raises(UnavailableError),
    ):
        storage.store("a", iter([b"by", b"tes"]))
    assert server.bodies == [b"bytes"]
    assert "Content-Length" not in server.requests[0].headers


def test_nothing_is_an_object_too(side: str) -> None:
    server = Double(stored(0))
    with open_double(side, server) as storage:
        assert storage.store("a", b"").size == 0
    assert server.requests[0].headers["Content-Length"] == "0"


def test_a_failure_of_who_gives_the_pieces_is_theirs(side: str) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"bytes"
        raise LookupError("no more")

    with open_double(side, Double(stored())) as storage, pytest.raises(LookupError):
        storage.store("a", pieces())


def test_an_object_comes_piece_by_piece_with_what_it_is(side: str) -> None:
    parts = {"Content-Range": "bytes 2-5/9", "Content-Length": "4", "Content-Type": "text/plain"}
    server = Double(BUSY, httpx2.Response(206, headers={**HEAD, **parts}, content=b"byte"))
    with (
        open_double(side, server, longest_pause_s=0.0) as storage,
        storage.open("a", start=2, length=4) as download,
    ):
        assert (download.object.size, download.object.etag) == (9, "x")
        assert (download.object.content_type, download.object.modified_at) == ("text/plain", 2.0)
        assert b"".join(download) == b"byte"
    assert server.requests[1].headers["Range"] == "bytes=2-5"


def test_a_stream_is_the_bytes_alone(side: str) -> None:
    server = Double(httpx2.Response(200, headers=HEAD, content=b"bytes"))
    with open_double(side, server) as storage:
        assert b"".join(storage.stream("a")) == b"bytes"


def test_what_is_not_there_is_said_before_the_first_byte(side: str) -> None:
    server = Double(httpx2.Response(404, json={"error": "no_such_object", "message": "none"}))
    with open_double(side, server) as storage:
        with pytest.raises(NotFoundError, match="none"), storage.open("a"):
            pass
        with pytest.raises(NotFoundError):
            next(iter(storage.stream("a")))


def test_pages_follow_each_other(side: str) -> None:
    pages = (("a", "b"), ("c",))
    server = Double(
        *(
            httpx2.Response(
                200,
                json={"objects": [{**ENTRY, "path": p} for p in paths], "next": after},
            )
            for paths, after in zip(pages, ("b", None), strict=True)
        )
    )
    with open_double(side, server) as storage:
        assert [found.path for found in storage.list("", page_size=2)] == ["a", "b", "c"]
    asked = [dict(request.url.params) for request in server.requests]
    assert asked == [{"limit": "2"}, {"limit": "2", "after": "b"}]


def test_nothing_is_asked_to_be_coded(side: str) -> None:
    server = Double(httpx2.Response(200))
    with open_double(side, server) as storage:
        storage.exists("a")
    assert server.requests[0].headers["Accept-Encoding"] == "identity"
    assert server.requests[0].headers["User-Agent"].startswith("fileloft-fast/")


def test_pieces_that_come_asynchronously_are_for_the_other_client() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"bytes"

    with (
        open_double("sync", Double(stored())) as storage,
        pytest.raises(TypeError, match="AsyncStorage"),
    ):
        storage.store("a", pieces())  # type: ignore[arg-type]


def test_pieces_may_come_asynchronously() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"by"
        yield b"tes"

    server = Double(stored())
    with open_double("async", server) as storage:
        storage.store("a", pieces())  # type: ignore[arg-type]  # as a Storage, it is an AsyncStorage
    assert server.bodies == [b"bytes"]


@pytest.mark.parametrize("kind", [Storage, AsyncStorage])
def test_a_client_without_its_library_says_which_extra_has_it(
    kind: type[Storage | AsyncStorage], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: str) -> ModuleType:
        raise ModuleNotFoundError("No module named 'httpx2'", name="httpx2")

    monkeypatch.setattr(loading, "import_module", missing)
    with pytest.raises(ConfigError, match=r"fileloft-fast\[client\]"):
        kind("https://up.example", KEY)


def test_another_library_that_is_missing_is_not_blamed_on_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loading, "import_module", lambda _: import_module("no_such_module"))
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        Storage("https://up.example", KEY)


def test_who_only_signs_loads_neither_the_server_nor_http() -> None:
    script = "import sys, fileloft_fast.storage; print(*sys.modules)"
    command = [sys.executable, "-c", script]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "fileloft_fast.storage" in loaded
    assert MODULES.isdisjoint(loaded)
