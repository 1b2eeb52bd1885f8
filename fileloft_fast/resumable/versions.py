"""What each iteration of the draft has: one row a version, told apart by its interop number.

Sources: draft-ietf-httpbis-resumable-upload-01 (3), -02 (4), -03 (5), -04 and -05 (6), -06 to -08
(7), -09 to -11 (8), and the text after -11, which became -12 (9), -13 (10, which asks for less in
the answer to HEAD than is sent here) and the header-less final form.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace


class Problem(StrEnum):
    """The fragment of a problem type that a draft defines (RFC 9457)."""

    OFFSET = "mismatching-upload-offset"
    LENGTH = "inconsistent-upload-length"
    COMPLETED = "completed-upload"


class Version(Struct, frozen=True, kw_only=True):
    """One iteration of the protocol; ``number`` is what requests name it by, 0 the final form.

    ``field`` says whether a body ends the upload: its opposite where ``inverse``.
    """

    number: int
    field: str = "upload-complete"
    inverse: bool = False
    silence_ends: bool = False
    """Whether an append without ``field`` is the last one."""
    tells_progress: bool = True
    """Whether 104 may say how far a body has come."""
    partial_type: bool = True
    """Whether an append has to be ``application/partial-upload``."""
    lifetime: str | None = "max-age"
    """What ``Upload-Limit`` calls the time that is left; None where there is no such field."""
    problems: frozenset[Problem] = frozenset({Problem.OFFSET, Problem.LENGTH})
    targets_tell: bool = True
    """Whether a refusal by the target itself says so: the upload is not to be tried again."""
    strict_lookups: bool = False
    """Whether HEAD and DELETE with fields of an append are refused."""
    gone_status: int = 410
    """The status where an upload was, and is no more."""
    append_status: int = 204
    """The status after an append that does not end the upload."""
    replays: bool = True
    """Whether the end of a complete upload may be asked for again; else that is refused."""
    overrun_voids: bool = True
    """Whether a body that runs past the length ends the upload for good."""
    length_ends: bool = False
    """Whether bytes up to a length that was told are the end, whatever a request says of it.

    No draft wants that. But tus-js-client says of the last part of a file in Node that it is not
    the end (5 and 6 are what it speaks), tells its user that all went well, and never comes back.
    """


_EARLY: Final = frozenset({Problem.OFFSET, Problem.COMPLETED})
_WITH_LENGTH: Final = frozenset(Problem)

FINAL: Final = Version(number=0)

_THREE: Final = Version(
    number=3,
    field="upload-incomplete",
    inverse=True,
    silence_ends=True,
    tells_progress=False,
    partial_type=False,
    lifetime=None,
    problems=frozenset(),
    targets_tell=False,
    strict_lookups=True,
    gone_status=404,
    append_status=201,
    overrun_voids=False,
)
# Each of these is the one before it, but for what is named.
_FOUR: Final = replace(_THREE, number=4, field=FINAL.field, inverse=False, silence_ends=False)
_FIVE: Final = replace(_FOUR, number=5, tells_progress=True, length_ends=True)
_SIX: Final = replace(_FIVE, number=6, partial_type=True, lifetime="expires", problems=_EARLY)
_SEVEN: Final = Version(number=7, problems=_WITH_LENGTH, replays=False)

VERSIONS: Final[Mapping[int, Version]] = {
    version.number: version
    for version in (
        _THREE,
        _FOUR,
        _FIVE,
        _SIX,
        _SEVEN,
        replace(_SEVEN, number=8),
        Version(number=9),
        Version(number=10),
    )
}
"""The drafts that are spoken, by interop number."""


def version_table() -> list[tuple[str, ...]]:
    """Return the rows of the table for the documentation: what each version has."""
    return [
        (
            str(version.number) if version.number else "none (final)",
            "-".join(word.capitalize() for word in version.field.split("-")),
            "application/partial-upload" if version.partial_type else "any",
            str(version.append_status),
            "offsets" if version.tells_progress else "Location alone",
            version.lifetime or "no Upload-Limit",
            ", ".join(sorted(version.problems)) or "none",
        )
        for version in (*VERSIONS.values(), FINAL)
    ]
