"""The target of an S3 request: bucket, key and parameters, and how a signature writes them."""

from __future__ import annotations

from urllib.parse import quote, unquote, unquote_plus

Parameters = list[tuple[str, str]]
"""The pairs of a query in the order of the request; a name without value has an empty one."""


def parse_path(path: str) -> tuple[str, str]:
    """Return bucket and key of a raw *path*, "" for what it does not name.

    Bytes that are no UTF-8 become lone surrogates, which no bucket and no key may have.
    """
    bucket, _, key = path.removeprefix("/").partition("/")
    return unquote(bucket, errors="surrogateescape"), unquote(key, errors="surrogateescape")


def parse_query(query: str) -> Parameters:
    """Return the decoded pairs of a raw *query*; a plus is a space, as S3 reads it.

    What a signature is calculated over and what an operation does both come from this reading.
    """
    pairs = (item.partition("=") for item in query.split("&") if item)
    return [(_decoded(name), _decoded(value)) for name, _, value in pairs]


def _decoded(text: str) -> str:
    return unquote_plus(text, errors="surrogateescape")


def render_path(path: str) -> str:
    """Return the canonical form of a raw *path*: encoded once, and not normalised (S3 alone)."""
    return _encoded(unquote(path, errors="surrogateescape"), safe="/")


def render_query(parameters: Parameters) -> str:
    """Return the canonical form of *parameters*: encoded, then sorted."""
    return "&".join(
        f"{name}={value}"
        for name, value in sorted((_encoded(name), _encoded(value)) for name, value in parameters)
    )


def _encoded(text: str, safe: str = "") -> str:
    # quote leaves letters, digits and -_.~ alone: the unreserved characters of the specification.
    return quote(text, safe=safe, errors="surrogateescape")
