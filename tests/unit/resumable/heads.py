"""Requests and uploads as the tests of this room write them, in every version's own fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from fileloft_fast.model import (
    InterimMode,
    Offset,
    RequestHead,
    Response,
    ResumableMode,
    UploadId,
    UploadInfo,
)
from fileloft_fast.resumable.headers import PARTIAL
from fileloft_fast.resumable.plan import claim, plan
from fileloft_fast.resumable.responses import ResumableAnswers
from fileloft_fast.resumable.rules import ResumableRules
from fileloft_fast.resumable.versions import FINAL, VERSIONS, Version
from fileloft_fast.tus.rules import TusRules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fileloft_fast.resumable.wanted import Wanted

ID: Final = UploadId("0123456789abcdef0123456789abcdef")
UPLOAD: Final = f"/files/{ID}"
COLLECTION: Final = "/files/"
URL: Final = f"http://up.example{UPLOAD}"
NOW: Final = 1_000_000.0

EVERY: Final = (*VERSIONS.values(), FINAL)
LATE: Final = tuple(version for version in EVERY if version.number not in {3, 4, 5, 6})


def name_of(version: Version) -> str:
    """Return what a test is called by for *version*."""
    return f"interop{version.number}" if version.number else "final"


def rules(
    *,
    mode: ResumableMode = ResumableMode.ON,
    interim: InterimMode = InterimMode.AUTO,
    max_size: int = 0,
    **settings: int,
) -> ResumableRules:
    """Return rules in which every version is spoken."""
    tus = TusRules(max_size=max_size)
    return ResumableRules(tus=tus, mode=mode, interim=interim, **settings)


RULES: Final = rules()


def ends_field(version: Version, *, ends: bool) -> dict[str, str]:
    """Return the field that says whether a body ends the upload."""
    return {version.field: "?1" if ends is not version.inverse else "?0"}


def head(
    version: Version,
    method: str,
    path: str = COLLECTION,
    fields: Mapping[str, str | None] | None = None,
    *,
    size: int = 0,
    chunked: bool = False,
    http10: bool = False,
) -> RequestHead:
    """Return a request of *version*; a field that is None is left out."""
    number = str(version.number) if version.number else None
    sent = {"upload-draft-interop-version": number} | dict(fields or {})
    return RequestHead(
        method,
        path,
        {name.lower(): value for name, value in sent.items() if value is not None},
        authority="up.example",
        http10=http10,
        content_length=None if chunked else size,
        chunked=chunked,
    )


def creation(
    version: Version,
    fields: Mapping[str, str | None] | None = None,
    *,
    ends: bool = True,
    size: int = 0,
    chunked: bool = False,
    method: str = "POST",
    http10: bool = False,
) -> RequestHead:
    """Return a creation at the collection."""
    sent = ends_field(version, ends=ends) | dict(fields or {})
    return head(version, method, COLLECTION, sent, size=size, chunked=chunked, http10=http10)


def append(
    version: Version,
    offset: int,
    fields: Mapping[str, str | None] | None = None,
    *,
    ends: bool = False,
    size: int = 0,
    chunked: bool = False,
) -> RequestHead:
    """Return an append to the upload that all tests are about."""
    given = {"upload-offset": str(offset), "content-type": PARTIAL}
    sent = given | ends_field(version, ends=ends) | dict(fields or {})
    return head(version, "PATCH", UPLOAD, sent, size=size, chunked=chunked)


def wanted(request: RequestHead, by: ResumableRules = RULES) -> Wanted:
    """Return what a request asks for that must be this protocol's."""
    version = claim(request, by)
    assert version is not None
    return plan(request, version, by)


def upload(
    offset: int = 0,
    length: int | None = None,
    *,
    awaits_end: bool = True,
    expires_at: float | None = None,
) -> UploadInfo:
    """Return an upload as the store may know it."""
    return UploadInfo(
        id=ID, offset=Offset(offset), length=length, awaits_end=awaits_end, expires_at=expires_at
    )


def answers(version: Version, by: ResumableRules = RULES) -> ResumableAnswers:
    """Return the answers of *version* at the time NOW."""
    return ResumableAnswers(by, version, lambda: NOW)


def fields_of(response: Response) -> dict[str, str]:
    """Return the fields of an answer by lower-case name; none may come twice."""
    fields = {name.lower(): value for name, value in response.headers}
    assert len(fields) == len(response.headers)
    return fields


def problem_of(response: Response) -> dict[str, Any]:
    """Return the document of a refusal."""
    assert fields_of(response)["content-type"] == "application/problem+json"
    assert isinstance(response.body, bytes)
    document: dict[str, Any] = msgspec.json.decode(response.body)
    return document


def says(version: Version, *, complete: bool) -> tuple[str, str]:
    """Return the field of an answer that says whether the target speaks."""
    ((name, value),) = ends_field(version, ends=complete).items()
    return name, value
