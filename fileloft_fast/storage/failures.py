"""What a storage refuses or fails at, as the caller of the client sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import MsgspecError, Struct
from msgspec.json import Decoder


class StorageError(Exception):
    """A call did not do what it says; the parent of all that the client raises.

    ``status`` is the answer's, 0 where there was none. ``code`` is the server's name for what is
    wrong, as in the table of errors; "" where it gave none.
    """

    def __init__(self, message: str, *, status: int = 0, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class NotFoundError(StorageError):
    """There is no such object, or no such storage."""


class ObjectExistsError(StorageError):
    """There is an object at the path, and it was not to be overwritten."""


class TooLargeError(StorageError):
    """The object is larger than the storage takes."""


class ForbiddenError(StorageError):
    """The key is none of the server's, or does not allow this."""


class UnavailableError(StorageError):
    """The server cannot be reached, or cannot answer now.

    ``retry_after_s`` is what it says of when to come back, None where it says nothing.
    ``perhaps_done``: the request may have arrived, and its answer was lost.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        code: str = "",
        retry_after_s: float | None = None,
        perhaps_done: bool = False,
    ) -> None:
        super().__init__(message, status=status, code=code)
        self.retry_after_s = retry_after_s
        self.perhaps_done = perhaps_done


class TimedOutError(UnavailableError):
    """The server took longer than the client waits for it; that is not tried again."""


class BadAnswerError(StorageError):
    """What answers at this URL is no storage server, or one of another version."""


class _Told(Struct):
    """The JSON of an answer that says what is wrong."""

    error: str = ""
    message: str = ""


_CLASSES: Final[Mapping[int, type[StorageError]]] = {
    401: ForbiddenError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ObjectExistsError,
    412: ObjectExistsError,
    413: TooLargeError,
}
_AWAY: Final = frozenset({429, 502, 503, 504})  # of the server, or of a proxy before it
_DECODER: Final = Decoder(_Told)


def read_failure(status: int, headers: Mapping[str, str], body: bytes) -> StorageError:
    """Return what an answer that is no success means; *headers* are asked in lower case."""
    try:
        told = _DECODER.decode(body)
    except MsgspecError:  # a proxy's page, or the answer to a HEAD
        told = _Told()
    message = told.message or f"the server answers {status}"
    if status in _AWAY:
        return UnavailableError(
            message,
            status=status,
            code=told.error,
            retry_after_s=_seconds(headers.get("retry-after", "")),
        )
    return _CLASSES.get(status, StorageError)(message, status=status, code=told.error)


def _seconds(value: str) -> float | None:
    # This server gives seconds. A proxy may give a date: then our own pauses are as good.
    return float(value) if value.isascii() and value.isdigit() else None
