"""One server's endpoint as a client of the IETF's "Resumable Uploads for HTTP" sees it.

What a version has of its own is written down once more here, from the drafts and not from the
server: draft-ietf-httpbis-resumable-upload-01 to -13, by interop number, and the final form.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import pytest

from tests.endpoint import Endpoint, Headers
from tests.wire import Answer, Wire, render_request

PARTIAL: Final = "application/partial-upload"
PROBLEM: Final = "application/problem+json"
TYPES: Final = "https://iana.org/assignments/http-problem-types#"


@dataclass(frozen=True, slots=True)
class Draft:
    """One iteration of the draft; number 0 is the final form, whose requests name no number."""

    number: int

    def __str__(self) -> str:
        return f"interop{self.number}" if self.number else "final"

    @property
    def late(self) -> bool:
        """Whether it is the protocol of -06 or later, where most of today's rules begin."""
        return self.number not in {3, 4, 5, 6}

    @property
    def any_type(self) -> bool:
        """Whether what is appended may be of any media type: until -03."""
        return self.number in {3, 4, 5}

    @property
    def has_limits(self) -> bool:
        """Whether there is ``Upload-Limit``: from -04 on."""
        return self.number not in {3, 4, 5}

    @property
    def replays(self) -> bool:
        """Whether the end of a complete upload may be asked for again: forbidden in -04 to -11.

        Here it may in interop 6, where the end may have been in the bytes before.
        """
        return self.number not in {7, 8}

    @property
    def length_ends(self) -> bool:
        """Whether bytes up to the length are the end, for the sake of tus-js-client in Node."""
        return self.number in {5, 6}

    @property
    def appended(self) -> int:
        """The status after an append that is not the last: of the drafts' own examples."""
        return 204 if self.late else 201

    @property
    def fields(self) -> dict[str, str | None]:
        """The fields of every request."""
        number = str(self.number) if self.number else None
        return {"Tus-Resumable": None, "Upload-Draft-Interop-Version": number}

    def ends(self, *, complete: bool) -> dict[str, str]:
        """Return the field that says whether content is the end of the representation."""
        if self.number == 3:
            return {"Upload-Incomplete": "?0" if complete else "?1"}
        return {"Upload-Complete": "?1" if complete else "?0"}

    def says(self, answer: Answer) -> bool | None:
        """Return what *answer* says of the end; None where it says nothing."""
        name, yes = next(iter(self.ends(complete=True).items()))
        value = answer.get(name)
        assert value in {None, "?0", "?1"}, answer
        return None if value is None else value == yes


EVERY: Final = tuple(Draft(number) for number in (*range(3, 11), 0))
FINAL: Final = Draft(0)

every_draft = pytest.mark.parametrize("draft", EVERY, ids=str)


@dataclass(frozen=True, slots=True)
class Resumption(Endpoint):
    """The endpoint by one draft.

    It is used as ``Endpoint`` is, so that a test can be about both protocols. An append is not the
    last one unless ``ends`` says so.
    """

    mismatched: ClassVar[int] = 400

    draft: Draft = Draft(8)

    def render(
        self, method: str, target: str, headers: Headers | None = None, body: bytes = b""
    ) -> bytes:
        """Return the bytes of a request."""
        return render_request(method, target, {**self.draft.fields, **(headers or {})}, body)

    def render_creation(
        self,
        body: bytes = b"",
        headers: Headers | None = None,
        *,
        ends: bool = True,
        method: str = "POST",
    ) -> bytes:
        """Return the bytes of a request to the target that starts an upload."""
        fields = {**self.draft.ends(complete=ends), **(headers or {})}
        if not body and not {"Content-Length", "Transfer-Encoding"} & fields.keys():
            fields["Content-Length"] = "0"
        return self.render(method, self.base, fields, body)

    def start(
        self,
        body: bytes = b"",
        headers: Headers | None = None,
        *,
        ends: bool = True,
        method: str = "POST",
    ) -> Answer:
        """Start an upload with *body*."""
        return self.exchange(self.render_creation(body, headers, ends=ends, method=method))

    def create(
        self, length: int | None, headers: Headers | None = None, body: bytes | None = None
    ) -> str:
        """Create an upload whose end is still to come and return its path."""
        told = {} if length is None else {"Upload-Length": str(length)}
        answer = self.start(body or b"", {**told, **(headers or {})}, ends=False)
        assert (answer.status, self.draft.says(answer)) == (201, False), answer
        return self.path_of(answer)

    def create_holding(self, content: bytes, length: int | None) -> str:
        """Create an upload of *length* bytes that already has *content*."""
        return self.create(length, None, content)

    def create_filled(self, content: bytes, length: int | None) -> str:
        """Create an upload that already has all its bytes, of which none was said to be the end."""
        told = {} if length is None else {"Upload-Length": str(length)}
        answer = self.start(content, told, ends=False)
        ended = length is not None and self.draft.length_ends
        assert (answer.status, self.draft.says(answer)) == (201, ended), answer
        return self.path_of(answer)

    def finish(self, content: bytes, headers: Headers | None = None) -> str:
        """Create an upload that is complete."""
        answer = self.start(content, headers)
        assert (answer.status, self.draft.says(answer)) == (201, True), answer
        return self.path_of(answer)

    def append(
        self,
        upload: str,
        offset: int,
        body: bytes,
        headers: Headers | None = None,
        *,
        ends: bool = False,
    ) -> Answer:
        """PATCH *body* at *offset*."""
        return self.exchange(self.render_append(upload, offset, body, headers, ends=ends))

    def render_append(
        self,
        upload: str,
        offset: int,
        body: bytes,
        headers: Headers | None = None,
        *,
        ends: bool = False,
    ) -> bytes:
        """Return the bytes of a PATCH."""
        fields = {"Upload-Offset": str(offset), "Content-Type": PARTIAL}
        sent = {**fields, **self.draft.ends(complete=ends), **(headers or {})}
        return self.render("PATCH", upload, sent, body)

    def took(self, answer: Answer) -> bool:
        """Whether *answer* says that an append was stored."""
        return answer.status in {201, 204}

    def is_complete(self, upload: str) -> bool:
        """Whether HEAD says that nothing more is to come."""
        return self.draft.says(self.head(upload)) is True

    def checksum(self, body: bytes) -> dict[str, str]:
        """Return the field that a body is verified by."""
        return content_digest(body)

    def offset(self, upload: str) -> int:
        """Return the offset that HEAD tells."""
        answer = self.head(upload)
        assert answer.status == 204, answer
        return int(answer["Upload-Offset"])

    def assert_complete(self, upload: str, content: bytes) -> None:
        """Assert that the upload has ended, with exactly *content*."""
        answer = self.head(upload)
        assert self.draft.says(answer) is True, answer
        assert answer["Upload-Offset"] == answer["Upload-Length"] == str(len(content))
        assert self.stored(upload) == content

    def assert_filled(self, upload: str, content: bytes) -> None:
        """Assert that the upload has *content*, all of it, and ends by that only where it may."""
        if self.draft.length_ends:
            self.assert_complete(upload, content)
        else:
            self.assert_awaits_end(upload, content)

    def assert_awaits_end(self, upload: str, content: bytes) -> None:
        """Assert that the upload has exactly *content* and that its end is still to come."""
        answer = self.head(upload)
        assert self.draft.says(answer) is False, answer
        self.assert_holds(upload, content)

    def assert_problem(self, answer: Answer, status: int, kind: str = "") -> dict[str, Any]:
        """Assert that *answer* is a problem of *kind*, and none of a type without; return it."""
        assert (answer.status, answer["Content-Type"]) == (status, PROBLEM), answer
        document: dict[str, Any] = json.loads(answer.body)
        assert document["type"] == (TYPES + kind if kind else "about:blank")
        return document


def read_announcement(wire: Wire, of: Resumption) -> str:
    """Read the 104 that names the upload and return its path (I01)."""
    answer = wire.read_interim(104)
    number = str(of.draft.number) if of.draft.number else None
    assert answer.get("Upload-Draft-Interop-Version") == number
    assert ("Upload-Limit" in answer) is of.draft.has_limits
    return of.path_of(answer)


def content_digest(body: bytes, algorithm: str = "sha-256") -> dict[str, str]:
    """Return the field of RFC 9530 that verifies *body* as the content of one request."""
    return {"Content-Digest": digest_of(body, algorithm)}


def digest_of(body: bytes, algorithm: str = "sha-256") -> str:
    """Return a member of a digest field."""
    digest = hashlib.new(algorithm.replace("-", ""), body).digest()
    return f"{algorithm}=:{base64.b64encode(digest).decode()}:"
