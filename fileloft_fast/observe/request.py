"""The request that a line of the log, a number or a dump is about."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Protocol

from fileloft_fast.model import UPLOAD_ID_PATTERN

if TYPE_CHECKING:
    from fileloft_fast.model import RequestHead, UploadId

_SANE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~+/=:@-]{0,127}").fullmatch
_MAKING: Final = frozenset({"POST", "PUT"})
"""Methods whose URL is that of what makes uploads, or of an object, and not of an upload."""
_is_upload: Final = re.compile(UPLOAD_ID_PATTERN).fullmatch


class Served(Protocol):
    """What stands for a request while it is served: its body, as the connection makes it."""

    head: RequestHead
    started: float
    """When its head had come, by ``time.monotonic``."""
    length: int | None
    received: int
    over: bool
    request: Request | None
    """Made by ``request_of`` when somebody wants to know more."""

    @property
    def at_hand(self) -> bool:
        """Whether the whole body has arrived."""


class Request:
    """What is told of one request. ``subject`` is "" until somebody knows.

    ``doing`` is what it waits for, where that is not its client. ``counted`` are bytes that the
    board has heard of, ``rate`` how many came in the last second.
    """

    __slots__ = ("_id", "_upload", "counted", "doing", "head", "rate", "subject")

    def __init__(self, head: RequestHead) -> None:
        self.head = head
        self.subject = ""
        self.doing = ""
        self.counted = 0
        self.rate = 0.0
        self._id = ""
        self._upload = ""

    def concerns(self, upload: UploadId) -> None:
        """Take note of what the request is about; the first upload that it works on counts."""
        self._upload = self._upload or upload

    @property
    def upload(self) -> str:
        """The upload that the request is about, as the URL has it where nobody has told; or ""."""
        if not self._upload and self.head.method not in _MAKING:
            name = self.head.path.rpartition("/")[2]
            return name if _is_upload(name) else ""
        return self._upload

    @property
    def id(self) -> str:
        """The request's id: what a trusted proxy calls it, else made up; made when first asked."""
        if not self._id:
            told = self.head.headers.get("x-request-id", "") if self.head.peer.trusted else ""
            self._id = told if _SANE(told) else secrets.token_hex(8)
        return self._id


def request_of(served: Served) -> Request:
    """Return what is told of *served*. Most requests never need it, and do not pay for it."""
    if served.request is None:
        served.request = Request(served.head)
    return served.request


_CURRENT: Final[ContextVar[Served]] = ContextVar("request")

begin_request: Final[Callable[[Any], object]] = _CURRENT.set
"""Make a request, of which its body stands for it, the one that the running task serves."""


def current_request() -> Request | None:
    """Return the request that the running task serves; None outside of one."""
    served = _CURRENT.get(None)
    return None if served is None or served.over else request_of(served)


def concerning(upload: UploadId) -> None:
    """Take note of what the running request is about, unless its URL says so."""
    served = _CURRENT.get(None)
    if served is not None and not served.over and served.head.method in _MAKING:
        request_of(served).concerns(upload)


class doing:  # noqa: N801 - reads as a statement
    """Say in a dump that the running request waits for *what*, as long as the block lasts."""

    __slots__ = ("_before", "_request", "_what")

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        request = self._request = current_request()
        if request is not None:
            self._before, request.doing = request.doing, self._what

    def __exit__(self, *_: object) -> None:
        if self._request is not None:
            self._request.doing = self._before
