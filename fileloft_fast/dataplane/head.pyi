"""Heads of requests as nearly all clients send them, read in one pass."""

def maybe_split_head(data: bytes) -> tuple[str, str, dict[str, str]] | None:
    """Return method, target and fields (lower-case name to value) of a plain head, else None.

    *data* is a head with its empty line and nothing after it. Plain is HTTP/1.1 with a method that
    is served, a path as target, lines that end in CR LF, no name that is malformed, long or comes
    twice, at most a hundred of them, with neither Transfer-Encoding nor Upgrade, and a
    Content-Length only of digits, 18 at most. None says nothing but that somebody else must look:
    never that the head is good or bad. What is returned is exactly what ``http1.head`` makes of the
    same bytes with httptools.
    """
