"""Where an upload is found from outside: the URL of an upload, and back to its id."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from fileloft_fast.errors import InvalidHeaderError, UploadNotFoundError
from fileloft_fast.model import UPLOAD_ID_PATTERN, RequestHead, UploadId
from fileloft_fast.tus.rules import TusRules

_match_id: Final = re.compile(UPLOAD_ID_PATTERN).fullmatch
_AUTHORITY: Final = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9.])?|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?"
)
_match_authority: Final = _AUTHORITY.fullmatch
_match_prefix: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+)+").fullmatch
_match_url: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/]*)(/.*)").fullmatch
_find_forwarded: Final = re.compile(
    r'(?:^|;)[ \t]*(host|proto)=(?:"([^"\\]*)"|([^;,"]*))', re.IGNORECASE
).findall
_PORTS: Final[Mapping[str, str]] = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True)
class Outside:
    """How a request's client sees this server; ``authority`` is "" where nobody knows."""

    scheme: str
    authority: str
    prefix: str = ""


def parse_target(path: str, rules: TusRules) -> UploadId | None:
    """Return the upload that a request's *path* names, None for the collection.

    Raises UploadNotFoundError for everything else. Nothing is percent-decoded: an id that needed
    it would not be one of ours.
    """
    if path in rules.collection:
        return None
    base = rules.base_path
    if path.startswith(base):
        name = path[len(base) :]
        if _match_id(name):
            return UploadId(name)
    raise UploadNotFoundError("no such upload")


def is_under_base(path: str, rules: TusRules) -> bool:
    """Return whether *path*, or ``*``, is this server's to speak for."""
    return path == "*" or path in rules.collection or path.startswith(rules.base_path)


def render_location(head: RequestHead, upload: UploadId, rules: TusRules) -> str:
    """Return the URL of *upload* for the client that sent *head*: absolute where that is known."""
    if rules.base_url is not None:
        return f"{rules.base_url}{rules.base_path}{upload}"
    if rules.behind_proxy and head.peer.trusted:
        seen = outside(head)
        if seen.authority:
            return f"{seen.scheme}://{seen.authority}{seen.prefix}{rules.base_path}{upload}"
        return f"{seen.prefix}{rules.base_path}{upload}"
    return _own_base(head.authority, head.secure, rules.base_path) + upload


@lru_cache(maxsize=256)
def _own_base(authority: str, secure: bool, base_path: str) -> str:  # noqa: FBT001 - a cache's key
    """Return what stands before an id where Host alone says who we are."""
    if not _match_authority(authority):
        return base_path
    return f"{'https' if secure else 'http'}://{authority}{base_path}"


def outside(head: RequestHead) -> Outside:
    """Return what a proxy, which the caller knows to be trusted, says of the client's URL.

    ``Forwarded`` wins over ``X-Forwarded-*``, the first element of a list over later ones, since
    that is the proxy next to the client. A value that is none is passed over.
    """
    fields = head.headers
    said = {
        name.lower(): quoted or plain.strip(" \t")
        for name, quoted, plain in _find_forwarded(fields.get("forwarded", "").partition(",")[0])
    }
    schemes = (said.get("proto", ""), _first(fields, "x-forwarded-proto"))
    hosts = (said.get("host", ""), _first(fields, "x-forwarded-host"), head.authority)
    prefix = _first(fields, "x-forwarded-prefix").removesuffix("/")
    scheme = next(
        (s.lower() for s in schemes if s.lower() in _PORTS), "https" if head.secure else "http"
    )
    authority = next((host for host in hosts if _match_authority(host)), "")
    return Outside(
        scheme,
        authority.removesuffix(_PORTS[scheme]),
        prefix if _match_prefix(prefix) and ".." not in prefix else "",
    )


def _first(fields: Mapping[str, str], name: str) -> str:
    return fields.get(name, "").partition(",")[0].strip(" \t")


def parse_upload_url(url: str, head: RequestHead, rules: TusRules) -> UploadId:
    """Return the id in a URL of ``Upload-Concat``; the inverse of ``render_location``.

    A path alone, or an absolute URL of this very server. Raises InvalidHeaderError for every other
    host, path and form: a URL is never taken for what it nearly says (T174).
    """
    path = url
    absolute = _match_url(url)
    if absolute is not None:
        scheme, authority, path = absolute.groups()
        if not _is_ours(scheme.lower(), authority.lower(), head, rules):
            raise InvalidHeaderError("Upload-Concat names an upload of another server")
    for base in _bases(head, rules):
        if path.startswith(base) and _match_id(path[len(base) :]):
            return UploadId(path[len(base) :])
    raise InvalidHeaderError("Upload-Concat names something that is not an upload's URL")


def _is_ours(scheme: str, authority: str, head: RequestHead, rules: TusRules) -> bool:
    """Return whether one of this server's names is *authority*.

    The scheme need not be the same: TLS may end in front of us, unseen.
    """
    if scheme not in _PORTS:
        return False
    names = [head.authority.lower()]
    if rules.base_url is not None:
        names.append(rules.base_url.partition("://")[2].partition("/")[0].lower())
    if rules.behind_proxy and head.peer.trusted:
        names.append(outside(head).authority.lower())
    names += [name.removesuffix(port) for name in names for port in _PORTS.values()]
    wanted = authority.removesuffix(_PORTS[scheme])
    return bool(wanted) and (wanted in names or authority in names)


def _bases(head: RequestHead, rules: TusRules) -> list[str]:
    """Return what may stand before the id in a URL's path."""
    bases = [rules.base_path]
    if rules.base_url is not None:
        path = rules.base_url.partition("://")[2].partition("/")[2]
        if path:
            bases.append(f"/{path}{rules.base_path}")
    if rules.behind_proxy and head.peer.trusted:
        bases.append(outside(head).prefix + rules.base_path)
    return bases
