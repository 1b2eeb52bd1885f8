"""Every request is answered in the protocol that it speaks; who serves it need not know which."""

from collections.abc import Callable

from msgspec.structs import replace

from fileloft_fast.model import Offset, RequestHead, Response, ResumableMode, UploadInfo
from fileloft_fast.resumable.headers import INTEROP
from fileloft_fast.resumable.plan import claim
from fileloft_fast.resumable.responses import METHODS, ResumableAnswers, answers_by_version
from fileloft_fast.resumable.rules import ResumableRules
from fileloft_fast.resumable.versions import FINAL, Version
from fileloft_fast.tus.responses import ALLOW_METHODS, Answers

Claim = Callable[[RequestHead, ResumableRules], Version | None]


class SpeakingAnswers(Answers):
    """Tus's answers, and those of every version of this protocol, by what *head* speaks.

    *claim* says which version that is; *target_status* is what a target answers that has the whole.
    """

    def __init__(
        self,
        rules: ResumableRules,
        clock: Callable[[], float],
        *,
        target_status: int = 201,
        claim: Claim = claim,
    ) -> None:
        methods = ALLOW_METHODS if rules.mode is ResumableMode.OFF else METHODS
        super().__init__(rules.tus, methods=methods)
        self.resumable = rules
        self._claim = claim
        self._by_version = answers_by_version(rules, clock, target_status=target_status)
        # The field without which a request is tus's; in the final form there is none.
        self.mark = None if rules.mode is ResumableMode.ON else INTEROP
        self._asked: RequestHead | None = None
        self._spoken: ResumableAnswers | None = None

    def announced(self, head: RequestHead, info: UploadInfo, version: Version) -> Response:
        """Return the interim answer that names *info*; see ``ResumableAnswers``.

        *version* is what ``claim`` says of *head*: what is asked next of it need not ask again.
        """
        self._asked, self._spoken = head, self._by_version[version.number]
        return self._spoken.announced(head, info)

    def progressed(self, head: RequestHead, offset: Offset) -> Response | None:
        """Return the interim answer that tells *offset*; None where *head* speaks of none."""
        speaker = self._speaker(head)
        return None if speaker is None else speaker.progressed(head, offset)

    def options(self, head: RequestHead | None) -> Response:
        """Answer OPTIONS; who has named no version is told what may be made by any (I28)."""
        speaker = self._speaker(head)
        if speaker is not None:
            return speaker.options(head)
        response = super().options(head)
        if self.resumable.mode is ResumableMode.OFF:
            return response
        return replace(response, own=(*response.own, *self._by_version[FINAL.number].limits()))

    def created(self, head: RequestHead, info: UploadInfo) -> Response:
        """Answer a creation."""
        # Nearly every request passes here or two below: each call is dear, super() above all.
        if self.mark is None or self.mark in head.headers:
            speaker = self._speaker(head)
            if speaker is not None:
                return speaker.created(head, info)
        return Answers.created(self, head, info)

    def appended(self, head: RequestHead, info: UploadInfo) -> Response:
        """Answer an append."""
        if self.mark is None or self.mark in head.headers:
            speaker = self._speaker(head)
            if speaker is not None:
                return speaker.appended(head, info)
        return Answers.appended(self, head, info)

    def inspected(self, head: RequestHead, info: UploadInfo) -> Response:
        """Answer a look."""
        if self.mark is None or self.mark in head.headers:
            speaker = self._speaker(head)
            if speaker is not None:
                return speaker.inspected(head, info)
        return Answers.inspected(self, head, info)

    def terminated(self, head: RequestHead) -> Response:
        """Answer a DELETE that was done."""
        speaker = self._speaker(head)
        return super().terminated(head) if speaker is None else speaker.terminated(head)

    def failed(self, error: Exception, head: RequestHead | None) -> Response:
        """Answer with what went wrong."""
        speaker = self._speaker(head)
        return super().failed(error, head) if speaker is None else speaker.failed(error, head)

    def _speaker(self, head: RequestHead | None) -> ResumableAnswers | None:
        if head is None:
            return None
        if head is self._asked:
            return self._spoken
        version = self._claim(head, self.resumable)
        return None if version is None else self._by_version[version.number]
