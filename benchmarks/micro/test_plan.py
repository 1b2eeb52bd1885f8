"""What the protocol alone costs: a decision, an answer, and the bytes of an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.micro.requests import CREATE, INSPECT, UPLOAD, append
from fileloft_fast.http1.head import parse_head
from fileloft_fast.http1.render import DateLine, render_head
from fileloft_fast.model import Offset, Response, UploadInfo
from fileloft_fast.tus.effects import Append, Create, Inspect
from fileloft_fast.tus.headers import parse_metadata
from fileloft_fast.tus.plan import AppendPlan, plan, plan_append
from fileloft_fast.tus.responses import Answers
from fileloft_fast.tus.rules import TusRules

if TYPE_CHECKING:
    from benchmarks.micro.paired import Paired

RULES: Final = TusRules()
POST: Final = parse_head(CREATE)
PATCH: Final = parse_head(append(4096))
HEAD: Final = parse_head(INSPECT)
NAME: Final = parse_metadata("filename c21hbGwuYmlu")
MADE: Final = UploadInfo(id=UPLOAD, offset=Offset(4096), length=4096, metadata=NAME)
HALF: Final = UploadInfo(id=UPLOAD, offset=Offset(4096), length=8192, metadata=NAME)


def test_a_post_is_planned(paired: Paired) -> None:
    wanted = paired(plan, POST, RULES)
    assert isinstance(wanted, Create)
    assert (wanted.length, wanted.size) == (4096, 4096)


def test_a_patch_is_planned(paired: Paired) -> None:
    def decide() -> AppendPlan:
        wanted = plan(PATCH, RULES)
        assert isinstance(wanted, Append)
        return plan_append(HALF, wanted, RULES)

    planned = paired(decide)
    assert (planned.offset, planned.room) == (4096, 4096)


def test_a_head_is_planned(paired: Paired) -> None:
    wanted = paired(plan, HEAD, RULES)
    assert isinstance(wanted, Inspect)
    assert wanted.id == UPLOAD


def test_a_post_is_planned_and_answered(paired: Paired) -> None:
    """The budget is 25 µs."""
    answers = Answers(RULES)

    def answer() -> Response:
        wanted = plan(POST, RULES)
        assert isinstance(wanted, Create)
        return answers.created(
            POST, UploadInfo(id=UPLOAD, offset=Offset(4096), length=wanted.length)
        )

    assert paired(answer).status == 201


def test_a_201_in_bytes(paired: Paired) -> None:
    data = _rendered(paired, Answers(RULES).created(POST, MADE))
    assert data.startswith(b"HTTP/1.1 201 Created\r\n")
    assert b"\r\nUpload-Offset: 4096\r\n" in data


def test_a_204_in_bytes(paired: Paired) -> None:
    data = _rendered(paired, Answers(RULES).appended(PATCH, HALF))
    assert data.startswith(b"HTTP/1.1 204 No Content\r\n")
    assert b"\r\nUpload-Offset: 4096\r\n" in data


def test_a_200_of_head_in_bytes(paired: Paired) -> None:
    data = _rendered(paired, Answers(RULES).inspected(HEAD, HALF))
    assert data.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nUpload-Metadata: filename c21hbGwuYmlu\r\n" in data


def _rendered(paired: Paired, response: Response) -> bytes:
    date = DateLine()

    def render() -> bytes:
        return render_head(response, date.line(), head_only=False, close=False, keep_alive_10=False)

    data: bytes = paired(render)
    assert data.endswith(b"\r\n\r\n")
    return data
