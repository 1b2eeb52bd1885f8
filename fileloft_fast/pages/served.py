"""One file of a page as an operation: its fields, its validator, and what is unchanged."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fileloft_fast.model import RequestHead, Response

if TYPE_CHECKING:
    from fileloft_fast.observe.operations import Operation

FILES: Final = Path(__file__).parent / "files"

CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "worker-src 'self'",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""What a page may load and do: what this server serves itself, and nothing inline."""

GUARDED: Final = (
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
)
"""What every answer of these pages carries."""

# Kept, and asked for again each time: a new version is used at once, an old one costs a 304.
_KEPT: Final = (*GUARDED, ("Cache-Control", "no-cache"))

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def file_operation(name: str, **filled: str) -> Operation:
    """Return what serves the file *name* of ``files/``, read now.

    Each ``{{key}}`` in it is replaced by what *filled* has for the key.
    """
    text = (FILES / name).read_text(encoding="utf-8")
    for key, value in filled.items():
        text = text.replace(f"{{{{{key}}}}}", value)
    body = text.encode()
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    validator = ("ETag", tag)
    whole = (("Content-Type", _TYPES[Path(name).suffix]), validator)

    async def answer(head: RequestHead) -> Response:
        if _has(head.headers.get("if-none-match", ""), tag):
            return Response(304, (validator,), common=_KEPT)
        return Response(200, whole, body, common=_KEPT)

    return answer


def redirect_operation(to: str) -> Operation:
    """Return what sends a browser to *to*, relative to the path that it asked for."""

    async def answer(_head: RequestHead) -> Response:
        return Response(308, (("Location", to),), common=_KEPT)

    return answer


def _has(wanted: str, tag: str) -> bool:
    """Return whether If-None-Match names *tag* (RFC 9110 section 13.1.2: weak comparison)."""
    tags = [name.strip().removeprefix("W/") for name in wanted.split(",")]
    return tag in tags or "*" in tags
