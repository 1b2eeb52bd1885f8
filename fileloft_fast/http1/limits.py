"""How much of a request is read before it is refused: httptools itself has no bound at all."""

from __future__ import annotations

from typing import Final

READ_BUFFER_BYTES: Final = 64 * 1024
"""Size of the one buffer that every connection of a loop reads into."""

SECURE_BUFFER_BYTES: Final = 288 * 1024
"""The same under TLS: what uvloop reads at once (256 KiB), and what was left of the last record."""

MAX_HEAD_BYTES: Final = 32 * 1024
"""Request line and fields together, the empty line included; more is 431."""

MAX_FIELDS: Final = 100
"""Header fields of a request; more is 431."""

MAX_TARGET_BYTES: Final = 8 * 1024
"""Request target; more is 414. httptools 0.7 cut targets off at 64 KiB without a word."""

MAX_LEADING_LINES: Final = 2
"""Empty lines before a request line that are ignored (RFC 9112 section 2.2)."""

MAX_CONTENT_LENGTH: Final = 2**63 - 1
"""Largest Content-Length: a file offset is signed."""

MAX_CHUNK_LINE_BYTES: Final = 1024
"""One chunk-size line with its extensions."""

TINY_CHUNKS: Final = 1024
"""Chunks in one read after which the connection reads less at a time, for the others' sake."""

TINY_READ_BYTES: Final = 8 * 1024

MAX_CHUNK_EXTENSION_BYTES: Final = 16 * 1024
"""Extensions of all chunks of one body together."""

MAX_TRAILER_BYTES: Final = 8 * 1024
MAX_TRAILER_FIELDS: Final = 32

MAX_AHEAD_BYTES: Final = 128 * 1024
"""Bytes of a body that wait in memory before the socket is left unread."""

MAX_AHEAD_SECURE_BYTES: Final = 512 * 1024
"""The same under TLS: two pieces, so that one is decrypted while another is written."""

LARGE_PIECE_BYTES: Final = 64 * 1024
"""Pieces of a body that are handed on as they are, although others wait behind them."""

MAX_PIPELINE_BYTES: Final = 64 * 1024
"""The same for requests that follow the one that is served."""

MAX_SKIPPED_BYTES: Final = 64 * 1024
"""Rest of a refused body that is read away to keep the connection; a longer one closes it."""

LINGER_BYTES: Final = 16 * 1024 * 1024
LINGER_S: Final = 5.0
DRAIN_LINGER_S: Final = 1.0
"""How much and how long a refused client may still send: a reset would destroy its answer."""
