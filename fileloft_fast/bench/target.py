"""The server that is measured: where it is, and what it says that it can do."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, unquote, urlsplit

from fileloft_fast.bench.dialects import TUS
from fileloft_fast.bench.failure import BenchError
from fileloft_fast.bench.results import Offers
from fileloft_fast.bench.wire import Client
from fileloft_fast.model import Capability

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fileloft_fast.bench.dialects import Dialect

Address = tuple[str, int] | str
"""A numeric address with its port, or the path of a Unix socket."""

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?")
_PATH: Final = re.compile(r"/[!-z|~]*")  # what a request line can have, but no braces
_OURS: Final = re.compile(
    r"host|connection|content-(?:length|type|digest|disposition)|transfer-encoding|expect|tus-.*"
    r"|upload-.*",
    re.IGNORECASE,
)
_LARGEST: Final = re.compile(r"(?:^|[, ])max-size=([0-9]{1,15})(?![0-9.])")
_OF_IETF: Final = (
    Capability.CREATION.value,
    Capability.CREATION_WITH_UPLOAD.value,
    Capability.CHECKSUM.value,
    Capability.TERMINATION.value,
)
_NO_TLS: Final = (
    "https is not measured: bytes are sent by sendfile, which TLS of this tool would not allow, so "
    "that the client would be the limit; measure the server's plain port, or put a TLS client "
    "(stunnel, haproxy) before it and give its http address"
)


@dataclass(frozen=True, slots=True)
class Target:
    """Where uploads are made: the URL taken apart, and what each request to it says besides.

    ``url`` has no secret in it. ``fields`` may have.
    """

    url: str
    address: Address
    host: str
    path: str
    fields: Mapping[str, str] = field(default_factory=dict)
    offers: Offers = field(default_factory=Offers)
    dialect: Dialect = TUS

    @property
    def always(self) -> Mapping[str, str]:
        """What each request says: the protocol's own, and ``fields``."""
        return {**self.dialect.always, **self.fields}

    def may(self, capability: Capability) -> bool:
        """Whether it is worth trying: it is advertised, or nothing is."""
        extensions = self.offers.extensions
        return extensions is None or capability in extensions

    def advertises(self, capability: Capability) -> bool:
        """Whether the server says that it does it."""
        return capability in (self.offers.extensions or ())


def parse_target(url: str, fields: Mapping[str, str] | None = None) -> Target:
    """Take *url* apart: ``http://host:port/path`` or ``http+unix://%2Fpath%2Fof.sock/path``.

    Asks nobody. Raises BenchError.
    """
    try:
        split = urlsplit(url)
        port = split.port or 80
    except ValueError as wrong:
        raise BenchError(f"{url}: {wrong}") from None
    if split.scheme == "https":
        raise BenchError(_NO_TLS)
    if split.scheme not in {"http", "http+unix"} or not split.hostname:
        raise BenchError(f"{url}: must be a URL such as http://127.0.0.1:8080/files/")
    if "@" in split.netloc:
        raise BenchError("a URL with a password in it is not taken: give --header or --token")
    path = (split.path or "/") + (f"?{split.query}" if split.query else "")
    if not _PATH.fullmatch(path):
        raise BenchError(f"{url}: characters that a URL cannot have must be percent-encoded")
    return Target(
        url=_without_query(split),
        address=(split.hostname, port) if split.scheme == "http" else unquote(split.netloc),
        host=split.netloc if split.scheme == "http" else "localhost",
        path=path,
        fields=dict(fields or {}),
    )


def parse_field(text: str) -> tuple[str, str]:
    """Parse ``Name: value``, a field that each request shall have. Raises ValueError."""
    name, colon, value = (part.strip() for part in text.partition(":"))
    if not colon or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value) or "{" in name:
        raise ValueError("must be 'Name: value'")
    if _OURS.fullmatch(name):
        raise ValueError(f"{name} is what the tool itself says")
    if "{location}" in value:
        raise ValueError("the value cannot have {location} in it")
    return name, value


def discover(
    url: str,
    fields: Mapping[str, str] | None = None,
    *,
    dialect: Dialect = TUS,
    timeout_s: float = 30,
) -> Target:
    """Ask the server at *url* what it offers. Blocks. Raises BenchError where none answers."""
    target = replace(parse_target(url, fields), dialect=dialect)
    with Client(target.address, target.host, target.always, timeout_s=timeout_s) as client:
        try:
            answer = client.ask("OPTIONS", target.path)
        except OSError as error:
            raise BenchError(f"{target.url}: no answer: {error}") from None
        return replace(
            target,
            address=client.numeric_address(),
            offers=_read_offers(answer.status, answer.fields, dialect),
        )


def parse_offers(status: int, fields: Mapping[str, str]) -> Offers:
    """Read what the answer to OPTIONS says; a server that answers it poorly offers None: unknown.

    The names of *fields* are in lower case.
    """
    extensions: tuple[str, ...] | None = None
    # tus 1.0, OPTIONS: without extensions the field is left out; only a version tells them apart
    if status < 300 and not fields.keys().isdisjoint({"tus-version", "tus-extension"}):
        extensions = tuple(_words(fields.get("tus-extension", "")))
    size = fields.get("tus-max-size", "")
    return Offers(
        status=status,
        server=fields.get("server", ""),
        tus_version=fields.get("tus-version", ""),
        extensions=extensions,
        checksums=tuple(_words(fields.get("tus-checksum-algorithm", ""))),
        max_size=int(size) if re.fullmatch(r"[0-9]{1,19}", size) and int(size) else None,
    )


def _read_offers(status: int, fields: Mapping[str, str], dialect: Dialect) -> Offers:
    """Read what the answer to OPTIONS says by *dialect*."""
    return parse_limits(status, fields) if dialect.tells_end else parse_offers(status, fields)


def parse_limits(status: int, fields: Mapping[str, str]) -> Offers:
    """Read what the answer to OPTIONS says by the IETF's protocol: ``Upload-Limit``, or nothing.

    What it offers is the protocol itself; see ``parse_offers``.
    """
    limits = fields.get("upload-limit") if status < 300 else None
    size = None if limits is None else _LARGEST.search(limits)
    return Offers(
        status=status,
        server=fields.get("server", ""),
        extensions=None if limits is None else _OF_IETF,
        max_size=None if size is None else int(size[1]),
    )


def _words(text: str) -> Iterable[str]:
    return (word for word in (each.strip().lower() for each in text.split(",")) if word)


def _without_query(split: SplitResult) -> str:
    return split._replace(query="***" if split.query else "", fragment="").geturl()
