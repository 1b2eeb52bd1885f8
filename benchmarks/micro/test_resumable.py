"""What the IETF's protocol alone costs, beside ``test_plan``: the same decisions and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.micro.test_plan import MADE, POST
from fileloft_fast.http1.head import parse_head
from fileloft_fast.http1.render import render_interim
from fileloft_fast.resumable.plan import claim, plan
from fileloft_fast.resumable.rules import ResumableRules
from fileloft_fast.resumable.speaking import SpeakingAnswers
from fileloft_fast.resumable.versions import VERSIONS
from fileloft_fast.resumable.wanted import effect_of
from fileloft_fast.tus.effects import Create

if TYPE_CHECKING:
    from benchmarks.micro.paired import Paired
    from fileloft_fast.model import Response
    from fileloft_fast.tus.effects import Effect

RULES: Final = ResumableRules()
EIGHT: Final = VERSIONS[8]
WHOLE: Final = parse_head(
    b"POST /files/ HTTP/1.1\r\nHost: upload.example\r\nUpload-Draft-Interop-Version: 8\r\n"
    b"Upload-Complete: ?1\r\nUpload-Length: 4096\r\nContent-Type: application/octet-stream\r\n"
    b'Content-Disposition: attachment; filename="small.bin"\r\nContent-Length: 4096\r\n\r\n'
)


def test_a_request_of_tus_is_told_apart(paired: Paired) -> None:
    assert paired(claim, POST, RULES) is None


def test_a_creation_is_claimed_and_planned(paired: Paired) -> None:
    def decide() -> Effect:
        version = claim(WHOLE, RULES)
        assert version is not None
        return effect_of(plan(WHOLE, version, RULES))

    wanted = paired(decide)
    assert isinstance(wanted, Create)
    assert (wanted.length, wanted.size) == (4096, 4096)


def test_a_creation_is_announced_and_answered(paired: Paired) -> None:
    answers = SpeakingAnswers(RULES, lambda: 0.0)

    def answer() -> tuple[bytes, Response]:
        interim = render_interim(answers.announced(WHOLE, MADE, EIGHT))
        return interim, answers.created(WHOLE, MADE)

    interim, response = paired(answer)
    assert interim.startswith(b"HTTP/1.1 104 Upload Resumption Supported\r\n")
    assert ("Upload-Complete", "?1") in response.headers
