"""A request's head: bytes in, ``RequestHead`` out, or the error that says what is wrong.

A plain head is split in one native pass (docs/adr/0022). Any other one is judged by httptools,
which checks field syntax and the framing rules that it knows. What it accepts and must not
(fragments, other protocols' names, hosts, codings before chunked) is checked here.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from fileloft_fast.dataplane import maybe_split_head
from fileloft_fast.errors import (
    BadRequestError,
    ExpectationError,
    HeadTooLargeError,
    HttpVersionError,
    MethodNotAllowedError,
    NotImplementedMethodError,
    UriTooLongError,
)
from fileloft_fast.http1.limits import (
    MAX_CONTENT_LENGTH,
    MAX_FIELDS,
    MAX_HEAD_BYTES,
    MAX_LEADING_LINES,
    MAX_TARGET_BYTES,
)
from fileloft_fast.model import NOBODY, Peer, RequestHead

HEAD_END: Final = b"\r\n\r\n"

SERVED_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS", "PUT"})
_REFUSED_METHODS: Final = frozenset({"TRACE", "CONNECT"})
_METHOD_BYTES: Final = 32
_ALLOW: Final = "OPTIONS, HEAD, GET, POST, PATCH, DELETE"

_VERSIONS: Final = frozenset({"HTTP/1.1", "HTTP/1.0"})
_VERSION: Final = re.compile(r"HTTP/[0-9]+(\.[0-9]+)?\Z")
_METHOD: Final = re.compile(r"[A-Z]{1,32}\Z")
_ABSOLUTE: Final = re.compile(r"(?i:https?)://([^/?#]+)(/[^?#]*)?(\?.*)?\Z")
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+;=%-]*)(:[0-9]{0,5})?\Z")
_CODING: Final = re.compile(rb"(?i)\r\ntransfer-encoding:[ \t]*(?!chunked)[a-z]+[ \t]*\r\n")
_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length[ \t]*:")
_SHORT_HEAD: Final = 2048
_LENGTH_DIGITS: Final = 40


class _Silent:
    """Asks httptools for its judgement alone: a callback per field costs more than a split."""


_SILENT: Final = _Silent()


def _split_fields(text: str) -> dict[str, str]:
    """Return the fields of a head.

    Only for what httptools has accepted: no folded line, no bare CR or LF, a colon in every line. A
    repeated field is joined as RFC 9110 section 5.3 allows.
    """
    lines = text.split("\r\n")[1:-2]
    if len(lines) > MAX_FIELDS:
        raise HeadTooLargeError("too many header fields")
    pairs = map(_split_known_line if len(text) <= _SHORT_HEAD else _split_line, lines)
    fields = dict(pairs)
    return fields if len(fields) == len(lines) else _join_repeated(lines)


def _join_repeated(lines: list[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for key, value in map(_split_line, lines):
        if key in fields:
            fields[key] += f", {value}"
        else:
            fields[key] = value
    return fields


def _split_line(line: str) -> tuple[str, str]:
    """Return the lower-case name and the trimmed value of one field."""
    name, _, value = line.partition(":")
    return name.lower(), value.strip(" \t")


# Clients send the same lines again and again; those of long heads would fill the memory.
_split_known_line: Final = lru_cache(maxsize=1024)(_split_line)


def check_partial(data: bytes, start: int) -> None:
    """Refuse what can no longer become a head, although its end has not come.

    *data* is all that came so far, *start* where the part begins that was not checked before.
    """
    if data and data[0] not in b"\r\n" and not 0x41 <= data[0] <= 0x5A:
        raise BadRequestError("a request begins with a method")
    _check_method_ends(data)
    if len(data) > MAX_TARGET_BYTES + 64 and data.find(b"\r\n") < 0:
        raise UriTooLongError("request line too long")
    if len(data) > MAX_HEAD_BYTES:
        raise HeadTooLargeError("request head too large")
    # A bare LF is no line end here: RFC 9112 section 2.2 allows either, and proxies disagree.
    begin = max(0, start - 1)
    if data.count(b"\n", begin) != data.count(b"\r\n", begin) + (data[begin : begin + 1] == b"\n"):
        raise BadRequestError("bare LF")


def skip_leading_lines(data: bytes) -> bytes:
    """Return *data* without empty lines before the request line, a few (RFC 9112 section 2.2)."""
    for _ in range(MAX_LEADING_LINES):
        data = data.removeprefix(b"\r\n")
    if data.startswith(b"\r\n"):
        raise BadRequestError("empty lines instead of a request")
    return data


def parse_head(data: bytes, *, secure: bool = False, peer: Peer = NOBODY) -> RequestHead:
    """Return the request of *data*, which ends with the empty line of its head.

    Raises a WireError for whatever must not be served; the connection cannot be used after one,
    since nobody knows where the next request begins.
    """
    if len(data) > MAX_HEAD_BYTES:
        raise HeadTooLargeError("request head too large")
    plain = maybe_split_head(data)
    if plain is None:
        method, target, http10, headers, upgrade = _split_carefully(data)
    else:
        (method, target, headers), http10, upgrade = plain, False, False
    path, query, authority = _parse_target(method, target, _host(headers, http10=http10))
    length, chunked = _framing(headers, http10=http10)
    return RequestHead(
        method,
        path,
        headers,
        http10,
        authority,
        length,
        chunked,
        "expect" in headers and _expects_continue(headers["expect"], http10=http10),
        secure,
        _keeps_alive(headers.get("connection"), http10=http10) and not upgrade,
        query,
        peer,
    )


def _split_carefully(data: bytes) -> tuple[str, str, bool, dict[str, str], bool]:
    """Return method, target, whether it is HTTP/1.0, fields, and whether an upgrade is asked."""
    text = data.decode("latin-1")
    method, target, http10 = _parse_request_line(text[: text.index("\r\n")])
    parser = HttpRequestParser(_SILENT)
    upgrade = False
    try:
        parser.feed_data(data)
    except HttpParserUpgrade:
        upgrade = True
    except HttpParserError as error:
        raise _refusal(data) from error
    return method, target, http10, _split_fields(text), upgrade


def _parse_request_line(line: str) -> tuple[str, str, bool]:
    """Return method, target, and whether it is HTTP/1.0.

    One space each, visible ASCII in the target (RFC 9112 section 3).
    """
    parts = line.split(" ")
    if len(parts) != 3 or not (line.isascii() and line.isprintable() and parts[1]):
        raise BadRequestError("malformed request line")
    method, target, version = parts
    if version not in _VERSIONS:
        if _VERSION.match(version) and _METHOD.match(method):
            raise HttpVersionError("HTTP/1.1 and HTTP/1.0 are spoken here")
        raise BadRequestError("malformed request line")
    if len(target) > MAX_TARGET_BYTES:
        raise UriTooLongError("request target too long")
    if method not in SERVED_METHODS:
        if method in _REFUSED_METHODS:
            raise MethodNotAllowedError(_ALLOW)
        if _METHOD.match(method):
            raise NotImplementedMethodError("unknown method")
        raise BadRequestError("malformed method")
    return method, target, version == "HTTP/1.0"


def _check_method_ends(data: bytes) -> None:
    if len(data) > _METHOD_BYTES and data.find(b" ", 0, _METHOD_BYTES + 1) < 0:
        raise BadRequestError("malformed request line")


def _refusal(data: bytes) -> BadRequestError | NotImplementedMethodError:
    """Name what httptools refused: one coding that we lack is 501, anything else 400."""
    if len(_CODING.findall(data)) == 1 and not _LENGTH.search(data):
        return NotImplementedMethodError("unknown transfer coding")
    return BadRequestError("malformed request head")


@lru_cache(maxsize=256)
def _is_host(value: str) -> bool:
    return _HOST.match(value) is not None


def _host(headers: dict[str, str], *, http10: bool) -> str:
    host = headers.get("host")
    if host is None:
        if http10:
            return ""
        raise BadRequestError("Host is missing")
    if not _is_host(host):  # nor are two, joined by a comma
        raise BadRequestError("malformed Host")
    return host


def _parse_target(method: str, target: str, host: str) -> tuple[str, str, str]:
    """Return path, query and authority; "" for an absolute-form target's, which is not trusted."""
    if "#" in target:
        raise BadRequestError("fragment in the request target")
    if target[0] == "/":
        path, _, query = target.partition("?")
        return path, query, host
    if target == "*":
        if method != "OPTIONS":
            raise BadRequestError("* is for OPTIONS")
        return target, "", host
    absolute = _ABSOLUTE.match(target)
    if absolute is None or not _is_host(absolute[1]):
        raise BadRequestError("malformed request target")
    return absolute[2] or "/", (absolute[3] or "")[1:], ""


def _framing(headers: dict[str, str], *, http10: bool) -> tuple[int | None, bool]:
    """Return Content-Length, None for chunked, and whether it is chunked (RFC 9112 section 6)."""
    coding = headers.get("transfer-encoding")
    length = headers.get("content-length")
    if coding is None:
        if length is None:
            return 0, False
        # Leading zeros are digits like any other, but a row without end would cost int() dear.
        if len(length) < _LENGTH_DIGITS and length.isascii() and length.isdecimal():
            count = int(length)
            if count <= MAX_CONTENT_LENGTH:
                return count, False
        raise BadRequestError("malformed Content-Length")
    if length is not None or http10:
        raise BadRequestError("Transfer-Encoding with Content-Length or HTTP/1.0")
    if coding.lower() == "chunked":
        return None, True
    if "," in coding and all(part.strip() for part in coding.split(",")):
        raise NotImplementedMethodError("a transfer coding other than chunked")
    raise BadRequestError("malformed Transfer-Encoding")


def _expects_continue(expect: str, *, http10: bool) -> bool:
    if http10:  # RFC 9110 section 10.1.1: ignored from an HTTP/1.0 client
        return False
    if expect.lower() != "100-continue":
        raise ExpectationError("only 100-continue can be expected")
    return True


def _keeps_alive(value: str | None, *, http10: bool) -> bool:
    if value is None:
        return not http10
    tokens = [token.strip() for token in value.lower().split(",")]
    return "keep-alive" in tokens and "close" not in tokens if http10 else "close" not in tokens
