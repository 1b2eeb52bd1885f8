"""The client of sender.py by the IETF's "Resumable Uploads for HTTP", judged by the same rules.

An upload is complete when an answer, or a look, says so; not when its bytes are there. What an
interim answer tells is as good as what the last one does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from tests.resumption import PARTIAL, Draft, content_digest
from tests.sender import INTERRUPTIONS, RETRIED, Kind, Refused, Sender, TurnedAway

if TYPE_CHECKING:
    from tests.wire import Answer


class Resumer(Sender):
    """One upload of *content*; its kinds are tus's, as far as this protocol has them.

    ``CREATION`` brings all of the bytes with the POST, as URLSession does. Of ``CHUNKED`` nobody
    is told a length before its end.
    """

    kinds: ClassVar = (Kind.PLAIN, Kind.CHUNKED, Kind.CREATION, Kind.CHECKED)
    named_early: ClassVar = True
    draft: ClassVar = Draft(8)

    _ended: bool = False

    @property
    def complete(self) -> bool:
        """Whether the server has said that this was the end."""
        return self._ended

    def create(self) -> None:
        """POST; with all of the bytes where that is the kind."""
        whole = self.kind is Kind.CREATION
        fields: dict[str, str | None] = {**self.draft.ends(complete=whole)}
        if self.kind is not Kind.CHUNKED:
            fields["Upload-Length"] = str(len(self.content))
        answer = self._exchange("POST", "/files/", fields, self.content if whole else b"")
        if answer.status != 201:
            raise TurnedAway if answer.status in RETRIED else Refused(answer)
        self._heed(answer)
        assert self.draft.says(answer) is whole, answer
        self._end(answer)

    def look(self) -> int:
        """HEAD, and go on from what it says."""
        answer = self._exchange("HEAD", self.path, {})
        if answer.status != 204:
            raise TurnedAway if answer.status in RETRIED else Refused(answer)
        assert answer.get("Upload-Length") in {None, str(len(self.content))}
        self._heed(answer)
        assert self.draft.says(answer) or not self._ended, "complete, and then it is not"
        self._end(answer)
        return self.acknowledged

    def send(self, *, truthful: bool = True) -> Answer:
        """PATCH once from where the server is; without truth, bytes that their digest does not fit.

        An answer that a client tries again after HEAD is taken so; another raises Refused.
        """
        start = self.acknowledged
        end = start + self.chunk if self.kind is Kind.CHECKED else len(self.content)
        body = self.content[start:end]
        truthful = truthful or not body
        fields: dict[str, str | None] = {"Upload-Offset": str(start), "Content-Type": PARTIAL}
        fields |= self.draft.ends(complete=end >= len(self.content))
        if self.kind is Kind.CHECKED:
            fields |= content_digest(body)
        if truthful:
            self.reached = max(self.reached, start + len(body))
        else:
            body = body[:-1] + bytes([body[-1] ^ 1])
        answer = self._exchange("PATCH", self.path, fields, body)
        if answer.status in {201, 204}:
            assert truthful, "a body that does not fit its digest was accepted"
            assert int(answer["Upload-Offset"]) == start + len(body), answer
            self._heed(answer)
            assert self.draft.says(answer) is (end >= len(self.content)), answer
            self._end(answer)
        elif answer.status in RETRIED:
            self.close()
            self.look()
        elif truthful or answer.status != 400:
            raise Refused(answer)
        return answer

    def _end(self, answer: Answer) -> None:
        """Take note of an answer that says that the upload is complete."""
        if self.draft.says(answer):
            assert self.acknowledged == len(self.content), "complete, and bytes are missing"
            self._ended = True

    def _exchange(
        self,
        method: str,
        target: str,
        fields: dict[str, str | None],
        body: bytes = b"",
        trailer: str = "",
    ) -> Answer:
        try:
            answer = super()._exchange(method, target, self.draft.fields | fields, body, trailer)
        except INTERRUPTIONS:
            with suppress(*INTERRUPTIONS):
                self._hear()  # what had come before that
            raise
        for interim in answer.before:
            self._heed(interim)
        return answer

    def _pieces(self, body: bytes, *, chunked: bool) -> Iterator[bytes]:
        for piece in super()._pieces(body, chunked=chunked):
            yield piece
            self._hear()

    def _hear(self) -> None:
        """Heed every interim answer that has come."""
        while self._wire is not None and (interim := self._wire.maybe_interim()) is not None:
            self._heed(interim)

    def _heed(self, answer: Answer) -> None:
        """Learn what an answer tells; a 104 of another version is none (section 2.1)."""
        if answer.status == 104:
            version = answer.get("Upload-Draft-Interop-Version")
            assert version == str(self.draft.number), answer
            assert ("Location" in answer) is not ("Upload-Offset" in answer)
        if "Location" in answer:
            path = urlsplit(answer["Location"]).path
            assert self.path in {"", path}, "an upload has two names"
            self.path = path
        if "Upload-Offset" in answer:
            self._learn(int(answer["Upload-Offset"]))
