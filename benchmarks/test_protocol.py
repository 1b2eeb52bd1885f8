"""What the protocol alone costs for a small upload: make bench."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fileloft_fast.model import Offset, RequestHead, Response, UploadId, UploadInfo
from fileloft_fast.tus.effects import Create
from fileloft_fast.tus.plan import plan
from fileloft_fast.tus.responses import Answers
from fileloft_fast.tus.rules import TusRules

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

HEAD: Final = RequestHead(
    method="POST",
    path="/files/",
    headers={
        "host": "upload.example",
        "tus-resumable": "1.0.0",
        "upload-length": "4096",
        "upload-metadata": "filename c21hbGwuYmlu",
        "content-type": "application/offset+octet-stream",
        "content-length": "4096",
    },
    authority="upload.example",
    content_length=4096,
)
UPLOAD: Final = UploadId("0" * 32)


def test_a_post_and_its_201(benchmark: BenchmarkFixture) -> None:
    """The budget is 25 µs."""
    rules = TusRules()
    answers = Answers(rules)

    def answer() -> Response:
        wanted = plan(HEAD, rules)
        assert isinstance(wanted, Create)
        info = UploadInfo(id=UPLOAD, offset=Offset(4096), length=wanted.length)
        return answers.created(HEAD, info)

    assert benchmark(answer).status == 201
