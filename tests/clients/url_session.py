"""What Apple's URLSession does with an upload task, as it is documented.

Sources: "Build robust and resumable file transfers" (WWDC 2023, session 10006), the drafts' rules
for clients, Apple's server for it (swift-nio-extras, NIOResumableUpload), and the table of versions
in tus/rufh-implementations: 3 in iOS 17, 5 in 18.0, 6 from 18.1 on, 8 from 26.2 on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from tests.deadline import PATIENCE_S
from tests.resumption import PARTIAL, Draft
from tests.sender import INTERRUPTIONS
from tests.wire import Answer, Wire, render_request

VERSIONS: Final = (3, 5, 6, 8)
_PIECE_BYTES: Final = 65_536
_LOOK_AGAIN: Final = frozenset({409, 423, 500, 502, 503, 504})


class Failed(Exception):  # noqa: N818 - what the delegate is told
    """The task ended with an error; it can go on where ``resume_data`` is there."""


class UploadTask:
    """One upload task: the whole of *content*, which the system offers to resume by itself.

    ``resume_data`` is the URL of the upload, known from a 104 of the task's own version alone. With
    *expects*, content waits for leave: a 100, or a 104 (section 5 of the draft). *far*: the way is
    so long that a first answer comes before most of the content has left.
    """

    def __init__(
        self,
        url: str,
        content: bytes,
        version: int,
        *,
        method: str = "POST",
        expects: bool = False,
        far: bool = True,
        retries: int = 8,
    ) -> None:
        self.resume_data: str | None = None
        self.answer: Answer | None = None
        self.methods: list[str] = []
        """Every request that was made."""
        self._url = url
        self._content = content
        self._draft = Draft(version)
        self._method = method
        self._expects = expects
        self._far = far
        self._retries = retries

    def run(self) -> Answer:
        """Upload to the end, whatever is between; raises Failed after too many interruptions."""
        for _ in range(self._retries + 1):
            try:
                answer = self.start() if self.resume_data is None else self.resume()
            except INTERRUPTIONS:
                continue
            if answer is not None:
                return answer
        raise Failed(self.methods)

    def start(self) -> Answer | None:
        """Send the request as the app has made it, with what makes it resumable."""
        fields = self._draft.ends(complete=True)
        if self._draft.number >= 6:
            fields["Upload-Length"] = str(len(self._content))
        answer = self._send(self._method, self._url, fields, self._content)
        return self._judged(answer)

    def resume(self) -> Answer | None:
        """Ask how far it is, and send the rest; None where that is to be tried again."""
        assert self.resume_data is not None
        looked = self._send("HEAD", self.resume_data, {}, None)
        if looked.status in _LOOK_AGAIN:
            return None
        if not 200 <= looked.status < 300:
            self.resume_data = None  # no such upload any more: from the beginning
            return None
        offset = int(looked["Upload-Offset"])
        if offset > len(self._content):
            raise Failed("the server has more than there is")
        fields = {"Upload-Offset": str(offset), **self._draft.ends(complete=True)}
        if not self._draft.any_type:
            fields["Content-Type"] = PARTIAL
        answer = self._send("PATCH", self.resume_data, fields, self._content[offset:])
        return self._judged(answer)

    def _judged(self, answer: Answer) -> Answer | None:
        """Return the answer for the app; None where it is the protocol's own and to be tried on."""
        if self._draft.says(answer) is not True and answer.status in _LOOK_AGAIN:
            return None
        self.answer = answer
        return answer

    def _send(self, method: str, url: str, fields: dict[str, str], body: bytes | None) -> Answer:
        self.methods.append(method)
        parts = urlsplit(url)
        sent: dict[str, str | None] = {"Host": parts.netloc, **self._draft.fields, **fields}
        sent |= {"User-Agent": "url_session.py", "Accept": "*/*", "Connection": "keep-alive"}
        if body is not None:
            sent["Content-Length"] = str(len(body))
            if self._expects:
                sent["Expect"] = "100-continue"
        with Wire((parts.hostname or "", parts.port or 80)) as wire:
            wire.send(render_request(method, parts.path, sent))
            try:
                if body and self._expects:
                    self._heed(wire.read_interim(100, 104))
                wire.send_pieces(self._pieces(wire, body or b""))
                answer = wire.read(head=method == "HEAD")
            except INTERRUPTIONS:
                self._hear(wire)
                raise
        for interim in answer.before:
            self._heed(interim)
        return answer

    def _pieces(self, wire: Wire, body: bytes) -> Iterator[bytes]:
        for at in range(0, len(body), _PIECE_BYTES):
            if at and self._far and self.resume_data is None:
                wire.wait_readable(PATIENCE_S)
            self._hear(wire)
            yield body[at : at + _PIECE_BYTES]

    def _hear(self, wire: Wire) -> None:
        """Heed the interim answers that have come, also of a connection that is no more."""
        try:
            while (interim := wire.maybe_interim()) is not None:
                self._heed(interim)
        except INTERRUPTIONS:
            return

    def _heed(self, interim: Answer) -> None:
        """Keep where the upload is.

        "MUST ignore a 104 (Upload Resumption Supported) informational response with missing or
        mismatching interop version".
        """
        version = interim.get("Upload-Draft-Interop-Version")
        if interim.status == 104 and version == str(self._draft.number):
            self.resume_data = interim.get("Location") or self.resume_data
