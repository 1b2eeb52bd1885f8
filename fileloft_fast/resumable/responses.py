"""The answers of one version, interim ones included, behind the interface of tus's ``Answers``.

Whoever serves an effect need not know which protocol asked for it: ``UploadInfo.complete`` says
whether an answer is the target's (``Upload-Complete: ?1``) or the upload protocol's (``?0``).
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

import msgspec
from msgspec.structs import replace

from fileloft_fast.errors import (
    ChecksumMismatchError,
    CompletedUploadError,
    ContentTypeError,
    DigestMismatchError,
    ForbiddenError,
    InconsistentLengthError,
    InvalidMetadataError,
    InvalidPathError,
    NoSuchStorageError,
    ObjectExistsError,
    OffsetConflictError,
    OverrunError,
    PreconditionFailedError,
    RefusedByHookError,
    TicketError,
    TooLargeError,
    TooSmallError,
    UnauthorizedError,
    UploadGoneError,
    UploadRejectedError,
)
from fileloft_fast.errors.base import code_of
from fileloft_fast.model import Offset, RequestHead, Response, UploadInfo
from fileloft_fast.resumable.headers import LARGEST, PARTIAL, render_ends, render_version
from fileloft_fast.resumable.plan import BODILESS
from fileloft_fast.resumable.rules import ResumableRules, least_size
from fileloft_fast.resumable.versions import FINAL, VERSIONS, Problem, Version
from fileloft_fast.tus.digests import digest_fields
from fileloft_fast.tus.location import render_location
from fileloft_fast.tus.plan import expiry
from fileloft_fast.tus.responses import ALLOW_METHODS, Answers, Fields, message_of

RESUMPTION_SUPPORTED: Final = 104
"""The status of an interim answer that names the upload, or says how far it is."""

METHODS: Final = f"{ALLOW_METHODS},PUT"
"""What a page of another origin may use: a creation by this protocol may be a PUT as well."""

PROBLEM_TYPE: Final = "application/problem+json"
_TYPES: Final = "https://iana.org/assignments/http-problem-types#"

_PROBLEMS: Final[Mapping[type[Exception], tuple[Problem, str]]] = {
    OffsetConflictError: (
        Problem.OFFSET,
        "offset from request does not match offset of resource",
    ),
    InconsistentLengthError: (Problem.LENGTH, "inconsistent length values for upload"),
    OverrunError: (Problem.LENGTH, "inconsistent length values for upload"),
    CompletedUploadError: (Problem.COMPLETED, "upload is already completed"),
}

# Refused at the creation by the target itself: no other try of the same upload would go better.
_BY_TARGET: Final = (
    ForbiddenError,
    InvalidMetadataError,
    InvalidPathError,
    NoSuchStorageError,
    ObjectExistsError,
    PreconditionFailedError,
    RefusedByHookError,
    TicketError,
    UnauthorizedError,
    UploadRejectedError,
)
_REPLACED: Final = frozenset({"Content-Type", "Accept-Patch"})


class ResumableAnswers(Answers):
    """Makes the answers to requests of *version*; *clock* returns seconds since the epoch.

    *target_status* is what a target answers that has the whole, by one request or by several.
    """

    def __init__(
        self,
        rules: ResumableRules,
        version: Version,
        clock: Callable[[], float],
        *,
        target_status: int = 201,
    ) -> None:
        super().__init__(rules.tus, protocol=(), methods=METHODS)
        self._resumable = rules
        self._version = version
        self._target_status = target_status
        self._clock = clock
        self._expire_finished = rules.tus.expire_finished
        self._collection = rules.tus.collection
        self._below = rules.tus.base_path
        self._sizes = _sizes(rules, rules.tus.max_size)
        self._limits = () if version.lifetime is None else _limits(self._sizes)
        self._ends = (render_ends(version, complete=False), render_ends(version, complete=True))
        self._named = render_version(version)
        # What many answers have in common is rendered once.
        self._naming = (*self._named, *self._limits)
        self._shared = [(*self.fields(None), *self._limits, end) for end in self._ends]
        self._placed: tuple[RequestHead | None, UploadInfo | None, tuple[str, str], Fields] = (
            None,
            None,
            ("", ""),
            (),
        )

    # -- interim --------------------------------------------------------------------------------

    def announced(self, head: RequestHead, info: UploadInfo) -> Response:
        """Return the 104 that names the upload; whether it is sent, ``Wanted.announces`` says."""
        location = ("Location", render_location(head, info.id, self._rules))
        limits = self.limits(head, info)
        # Of a body that is at hand the final answer comes next, and says the same.
        self._placed = head, info, location, limits
        if limits is self._limits:
            return Response(RESUMPTION_SUPPORTED, (location,), common=self._naming)
        return Response(RESUMPTION_SUPPORTED, (location, *limits), common=self._named)

    def progressed(self, head: RequestHead, offset: Offset) -> Response | None:
        """Return the 104 that says that *offset* bytes need not be sent again; never a Location.

        None where the version knows no such answer, or it would not arrive.
        """
        if not (self._version.tells_progress and self._resumable.may_announce(head)):
            return None
        fields = (("Upload-Offset", str(offset)),)
        return Response(RESUMPTION_SUPPORTED, fields, common=self._named)

    # -- final ----------------------------------------------------------------------------------

    def options(self, head: RequestHead | None) -> Response:
        """Answer OPTIONS with the limits of what may be created."""
        accept = ("Accept-Patch", PARTIAL)
        fields = (accept, *self.limits(), *self._cors.preflight)
        return Response(204, fields, common=self.fields(head))

    def created(self, head: RequestHead, info: UploadInfo) -> Response:
        """Answer a creation, with its body's bytes counted."""
        asked, named, location, limits = self._placed
        if asked is not head or named is not info:
            location = ("Location", render_location(head, info.id, self._rules))
            limits = self.limits(head, info)
        complete = info.complete
        own, common = self._state(head, info, limits, complete=complete)
        status = self._target_status if complete else 201
        return Response(status, (location, *own, *digest_fields(info)), common=common)

    def appended(self, head: RequestHead, info: UploadInfo) -> Response:
        """Answer an append: as the creation would have been, where it was the last one (I20)."""
        if info.complete:
            return self.created(head, info)
        own, common = self._state(head, info, self.limits(head, info), complete=False)
        return Response(self._version.append_status, own, common=common)

    def inspected(self, head: RequestHead, info: UploadInfo) -> Response:
        """Answer HEAD and GET: how far the upload is, and never any of its bytes (I15, I16)."""
        limits = self.limits(head, info)
        own, common = self._state(head, info, limits, complete=info.complete)
        if info.length is not None:
            own = (*own, ("Upload-Length", str(info.length)))
        return Response(204, (*own, *digest_fields(info)), common=common)

    def failed(self, error: Exception, head: RequestHead | None) -> Response:
        """Answer with what went wrong, as a problem (RFC 9457)."""
        response = super().failed(error, head)
        if head is None:
            return response
        reasons = self._reasons(error, head)
        if _is_a_hooks(error):
            return replace(response, own=(*response.own, *reasons))
        status = self._status(error, response.status)
        kept = (field for field in response.own if field[0] not in _REPLACED)
        own = (("Content-Type", PROBLEM_TYPE), *kept, *reasons)
        return replace(response, status=status, own=own, body=self._problem(error, status))

    # -- parts of them --------------------------------------------------------------------------

    def limits(self, head: RequestHead | None = None, info: UploadInfo | None = None) -> Fields:
        """Return ``Upload-Limit``, never empty (I28), as what *head* is permitted allows.

        With the time that *info* has left, if any is.
        """
        lifetime = self._version.lifetime
        if lifetime is None:
            return self._limits
        sizes = self._sizes_for(head)
        at = None if info is None else expiry(info, finished_too=self._expire_finished)
        if at is None:
            return self._limits if sizes is self._sizes else _limits(sizes)
        left = max(0, int(at - self._clock()))
        return _limits([*sizes, f"{lifetime}={left}"])

    def _sizes_for(self, head: RequestHead | None) -> list[str]:
        if head is None or head.permit is None or not head.permit.max_size:
            return self._sizes
        largest, bound = head.permit.max_size, self._resumable.tus.max_size
        return self._sizes if 0 < bound <= largest else _sizes(self._resumable, largest)

    def _state(
        self, head: RequestHead, info: UploadInfo, limits: Fields, *, complete: bool
    ) -> tuple[Fields, Fields]:
        """Return what an answer says of *info*: fields of its own, and those that many share."""
        # tus-js-client needs the offset in every answer, though newer drafts do not (I04).
        offset = ("Upload-Offset", str(info.offset))
        if limits is self._limits and not self._by_origin:
            return (offset,), self._shared[complete]
        return (offset, self._ends[complete], *limits), self.fields(head)

    def _status(self, error: Exception, status: int) -> int:
        if isinstance(error, ChecksumMismatchError):
            return 400  # 460 is tus's; neither RFC 9530 nor the drafts name one
        if isinstance(error, UploadGoneError):
            return self._version.gone_status
        return status

    def _problem(self, error: Exception, status: int) -> bytes:
        """Return the document for *error*; a type that the version does not define is blank."""
        problem, title = _problem_of(error)
        said: dict[str, object] = {"type": "about:blank", "title": HTTPStatus(status).phrase}
        if problem in self._version.problems:
            said = {"type": f"{_TYPES}{problem}", "title": title}
        if isinstance(error, OffsetConflictError):
            said |= {"expected-offset": error.expected, "provided-offset": error.got}
        said |= {"code": f"ERR_{code_of(error).upper()}", "detail": message_of(error)}
        return msgspec.json.encode(said)

    def _reasons(self, error: Exception, head: RequestHead) -> Fields:
        """Return the fields that tell a client of this protocol whether to go on, and how."""
        fields = []
        if isinstance(error, OffsetConflictError):
            fields.append(("Upload-Offset", str(error.expected)))
        if isinstance(error, ContentTypeError):
            fields.append(("Accept-Patch", PARTIAL))
        if isinstance(error, TooLargeError | TooSmallError):
            fields += self.limits(head)
        if head.method in BODILESS:  # whose answers the field would say nothing about
            return tuple(fields)
        # What the whole has to be is for the target to say, whichever request brings the end.
        refused = isinstance(error, DigestMismatchError) or (
            isinstance(error, _BY_TARGET) and self._is_creation(head)
        )
        if not refused:
            fields.append(self._ends[False])
        elif self._version.targets_tell:
            fields.append(self._ends[True])
        return tuple(fields)

    def _is_creation(self, head: RequestHead) -> bool:
        """Whether *head* is for a target, here or in another room, and not for an upload."""
        return head.path in self._collection or not head.path.startswith(self._below)


def answers_by_version(
    rules: ResumableRules, clock: Callable[[], float], *, target_status: int = 201
) -> Mapping[int, ResumableAnswers]:
    """Return the answers of every version, by its number."""
    return {
        each.number: ResumableAnswers(rules, each, clock, target_status=target_status)
        for each in (*VERSIONS.values(), FINAL)
    }


def _limits(members: list[str]) -> Fields:
    # A field that would be empty says that there is no limit (I28).
    return (("Upload-Limit", ", ".join(members) or "min-size=0"),)


def _sizes(rules: ResumableRules, largest: int) -> list[str]:
    """Return the members of ``Upload-Limit`` that hold as long as *largest* does, 0 for none."""
    values = (
        ("max-size", largest),
        ("min-size", least_size(rules.min_size, largest)),
        ("max-append-size", rules.max_append_size),
        ("min-append-size", rules.min_append_size),
    )
    # No Integer of RFC 9651 is larger, and no upload of this protocol.
    return [f"{key}={min(value, LARGEST)}" for key, value in values if value]


def _is_a_hooks(error: Exception) -> bool:
    """Whether a hook has chosen status, body or fields of the answer, which stay as they are."""
    if not isinstance(error, RefusedByHookError):
        return False
    return bool(error.answer_status or error.answer_body or error.answer_fields)


def _problem_of(error: Exception) -> tuple[Problem | None, str]:
    for kind, named in _PROBLEMS.items():
        if isinstance(error, kind):
            return named
    return None, ""
