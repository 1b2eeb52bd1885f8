"""What a hook's answer comes to once it has been looked at like anything from outside."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from fileloft_fast.errors import HookFailedError, InvalidMetadataError
from fileloft_fast.hooks.describe import canonical
from fileloft_fast.model import UPLOAD_ID_PATTERN, AnswerChange, Metadata, UploadId
from fileloft_fast.tus.headers import parse_metadata, render_metadata

if TYPE_CHECKING:
    from fileloft_fast.hooks.wire import HookChange, HookResponse

_is_id: Final = re.compile(UPLOAD_ID_PATTERN).fullmatch
_is_token: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}").fullmatch
_is_value: Final = re.compile(r"[\t -~]{0,4096}").fullmatch
_MAX_METADATA_BYTES: Final = 4096
_MAX_PATH_BYTES: Final = 1024
_is_segment: Final = re.compile(r"(?!\.)[^/\\\0-\x1f\x7f]{1,255}").fullmatch

# What frames the answer is http1's to say.
_FRAMING: Final = frozenset(
    {
        "connection",
        "content-length",
        "date",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)

# Names in the data directory that uploads, their records and this server use, or may use one day
# with other settings. There are file systems to which a and A are one name.
_is_upload: Final = re.compile(UPLOAD_ID_PATTERN).fullmatch
_is_own: Final = re.compile(
    rf"{UPLOAD_ID_PATTERN}\.(info|zst|journal|info\.tmp|tmp)|access\.db.*|spool\.id|chunk|outbox",
    re.IGNORECASE,
).fullmatch


def merge(answers: Iterable[AnswerChange]) -> AnswerChange:
    """Return *answers* as one: what a later one says counts, field by field."""
    status, body = 0, b""
    fields: dict[str, tuple[str, str]] = {}
    for answer in answers:
        status, body = answer.status or status, answer.body or body
        fields.update({name.lower(): (name, value) for name, value in answer.fields})
    return AnswerChange(status, body, tuple(fields.values()))


def answer_of(response: HookResponse) -> AnswerChange:
    """Return what the client is to be answered. Raises HookFailedError for what HTTP forbids."""
    said = response.http_response
    if said is None:
        return AnswerChange()
    body = (said.body or "").encode("utf-8", "replace")
    return checked(AnswerChange(said.status_code or 0, body, tuple((said.header or {}).items())))


def checked(answer: AnswerChange) -> AnswerChange:
    """Return *answer* with names as they are spelled. Raises HookFailedError as above."""
    if answer.status and not 200 <= answer.status <= 599:
        raise HookFailedError(f"HTTPResponse.StatusCode: {answer.status} is no final status")
    return AnswerChange(answer.status, answer.body, _fields(answer.fields))


def _fields(fields: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    for name, value in fields:
        if not _is_token(name) or not _is_value(value):
            raise HookFailedError(f"HTTPResponse.Header: {name[:40]!r} cannot be sent")
        if name.lower() in _FRAMING:
            raise HookFailedError(f"HTTPResponse.Header: {name} is not the hook's to say")
    return tuple((canonical(name.lower()), value) for name, value in fields)


def new_id(change: HookChange) -> UploadId | None:
    """Return the id that the upload is to have, None for ours. Raises HookFailedError."""
    if not change.id:
        return None
    if not _is_id(change.id):
        raise HookFailedError(f"ChangeFileInfo.ID: {change.id[:140]!r} is no id: {_IDS}")
    return UploadId(change.id)


_IDS: Final = "letters, digits, - and _, 128 at most, the first a letter or a digit"


def new_metadata(change: HookChange) -> Metadata | None:
    """Return the metadata that the upload is to have, None for the client's."""
    if change.metadata is None:
        return None
    for key in change.metadata:
        if " " in key or "," in key or not key:
            raise HookFailedError(f"ChangeFileInfo.MetaData: {key[:40]!r} is no key")
    try:
        pairs = [(key, value.encode()) for key, value in change.metadata.items()]
        raw = render_metadata(pairs)
        metadata = parse_metadata(raw)
    except (InvalidMetadataError, UnicodeEncodeError) as error:
        raise HookFailedError(f"ChangeFileInfo.MetaData: {error}") from error
    if len(raw) > _MAX_METADATA_BYTES:
        raise HookFailedError(f"ChangeFileInfo.MetaData: more than {_MAX_METADATA_BYTES} bytes")
    return metadata


def new_path(change: HookChange) -> str:
    """Return where the finished bytes are to appear, "" nowhere. Raises HookFailedError.

    Below the data directory, without a way out of it, hidden names, or names that are ours.
    """
    path = (change.storage and change.storage.path) or ""
    segments = path.removeprefix("./").split("/") if path else []
    if not segments:
        return ""
    try:
        length = len(path.encode())
    except UnicodeEncodeError as error:
        raise HookFailedError("ChangeFileInfo.Storage.Path: no UTF-8") from error
    if length > _MAX_PATH_BYTES or not all(_fits(segment) for segment in segments):
        raise HookFailedError(f"ChangeFileInfo.Storage.Path: {path[:80]!r} is no path below ours")
    first, *below = segments
    if _is_own(first) or (not below and _is_upload(first)):
        raise HookFailedError(f"ChangeFileInfo.Storage.Path: {path[:80]!r} is a name of ours")
    return "/".join(segments)


def _fits(segment: str) -> bool:
    return _is_segment(segment) is not None and len(segment.encode()) <= 255
