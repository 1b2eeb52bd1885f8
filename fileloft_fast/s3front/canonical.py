"""The texts that a client may have signed for a request.

The first is the specification's. Each other one is a client's habit, and names the same method,
object, parameters and headers on this server: it grants nothing that the first would not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from fileloft_fast.s3front.codes import SignatureDoesNotMatchError
from fileloft_fast.s3front.target import render_path

if TYPE_CHECKING:
    from fileloft_fast.model import RequestHead
    from fileloft_fast.s3front.claim import Claim

TOKEN_FIELD: Final = "x-amz-security-token"  # noqa: S105 - the name of a field


def canonical_requests(
    head: RequestHead, claim: Claim, query: str, hosts: Iterable[str]
) -> Iterator[bytes]:
    """Return the canonical requests of *head*, whose *query* is canonical already.

    *hosts* are further names of this server. Raises SignatureDoesNotMatchError where a signed
    header was not sent.
    """
    names = ";".join(claim.signed_headers)
    for host in _hosts(head, hosts):
        headers = _headers(head, claim, host)
        for path in _paths(head, claim):
            target = f"{head.method}\n{path}\n{query}\n".encode("latin-1")
            yield target + headers + f"\n{names}\n{claim.payload}".encode("latin-1")


def _hosts(head: RequestHead, hosts: Iterable[str]) -> Iterator[str]:
    host = head.headers.get("host", "")
    yield host
    # Serverpod's presigned PUT: the port is sent, and not signed. A port is no object of its own.
    if head.method == "PUT" and (name := host.rpartition(":")[0]):
        yield name
    # Behind a proxy that sends another Host: the names under which the operator publishes us.
    yield from hosts


def _paths(head: RequestHead, claim: Claim) -> Iterator[str]:
    path = render_path(head.path)
    yield path
    # A client that signs what it sends although it encodes otherwise: exactly this target.
    if head.path != path:
        yield head.path
    # The RustFS package's presigned GET: "/" in the key is signed as %2F. Decoded it is this key.
    bucket, slash, key = path.removeprefix("/").partition("/")
    if claim.expires_s is not None and slash and "/" in key:
        yield f"/{bucket}/{key.replace('/', '%2F')}"


def _headers(head: RequestHead, claim: Claim, host: str) -> bytes:
    """Return a line for each signed header, sorted, with white space as it is signed."""
    lines: list[bytes] = []
    for name in sorted(claim.signed_headers):
        value = host if name == "host" else head.headers.get(name)
        if value is None and name == TOKEN_FIELD and head.method == "DELETE":
            value = ""  # the RustFS package's DELETE signs that there is none, and sends none
        if value is None:
            raise SignatureDoesNotMatchError(f"The signed header {name} was not sent.")
        # On bytes, as str.split takes a part of UTF-8 for white space.
        lines.append(f"{name}:".encode() + b" ".join(value.encode("latin-1").split()) + b"\n")
    return b"".join(lines)
