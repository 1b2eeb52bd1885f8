"""What every failure has: a status and a code; and the client's failures."""

from __future__ import annotations

from typing import ClassVar


class FileloftError(Exception):
    """Anything that this server refuses or fails at by design."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    leaves_upload: bool = False
    """Whether it ended a creation whose upload was made, and stays."""


def code_of(error: Exception) -> str:
    """Return the code that names *error* in answers and metrics; a bug of ours has one, too."""
    return error.code if isinstance(error, FileloftError) else FileloftError.code


class WireError(FileloftError):
    """The client's request cannot be served; nothing of it was stored unless the class says so."""

    status = 400
    code = "bad_request"
