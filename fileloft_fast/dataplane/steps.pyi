"""One request of a script, and what must come of it; see ``load``."""

from typing import final

@final
class Step:
    """One request and the answer that is wanted."""

    def __init__(
        self,
        head: bytes,
        wanted: int,
        *,
        body: bytes = b"",
        file: int = -1,
        start: int = 0,
        length: int = 0,
        keeps_location: bool = False,
        piece_bytes: int = 0,
        interval_s: float = 0.0,
        offset: int = -1,
    ) -> None:
        """Describe a request; nothing is opened or sent.

        *head* is the whole request head with its blank line. ``{location}`` in it, at most once,
        becomes the path and query of the Location that a step with *keeps_location* got before in
        the same unit. *wanted* is the status that must come, and *offset*, where it is not -1, the
        Upload-Offset. The body is *body*, or *length* bytes of the regular file *file* from *start*
        by sendfile, from its beginning again at its end; the descriptor stays the caller's, open
        until the run has ended. With *piece_bytes* the body goes in pieces of so many bytes, one
        each *interval_s*. Raises ValueError for what cannot be, OSError for a bad descriptor.
        """

    @property
    def body_bytes(self) -> int:
        """How many bytes the body has."""
