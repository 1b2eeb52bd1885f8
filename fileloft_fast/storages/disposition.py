"""Heads: of a form as its Content-Type tells it, and of each of its parts (RFC 7578, section 4)."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from msgspec import Struct

from fileloft_fast.errors import FormError

_FORM: Final = "multipart/form-data"
_FILE: Final = "file"
_AS_IT_IS: Final = {"7bit", "8bit", "binary"}

_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# The blanks are not given back (*+): a value may be blank too, and where the line then ends badly
# each way to share thousands of them would be tried, which takes seconds.
_LINE: Final = re.compile(rf"({_WORD}):[ \t]*+([^\x00-\x08\x0a-\x1f\x7f]*)")
_FOLD: Final = re.compile(r"\r\n[ \t]+")
# Older browsers and those of today do not escape a backslash, which is why it may stand alone.
# A value without quotes may be more than a token: boundaries with "=" or "/" are often sent so.
_PARAMETER: Final = re.compile(
    rf';[ \t]*({_WORD})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))[ \t]*'
)
_ESCAPED: Final = re.compile(r'\\(["\\])')
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
# RFC 2046, section 5.1.1: no blank at the end.
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")


class Part(Struct, frozen=True):
    """What the head of a part says; no file name is None, no type is ""."""

    name: str
    filename: str | None
    content_type: str

    @property
    def is_file(self) -> bool:
        """Whether it is to be kept, and not read."""
        return self.filename is not None or self.name == _FILE


def is_form(content_type: str) -> bool:
    """Return whether that is the type of a form, well-formed or not."""
    return content_type.partition(";")[0].strip(" \t").lower() == _FORM


def parse_boundary(content_type: str) -> bytes:
    """Return the boundary of a form from its Content-Type. Raises FormError."""
    kind, parameters = _parse_value(content_type)
    if kind != _FORM:
        raise FormError(f"the body is not {_FORM}")
    boundary = parameters.get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise FormError("Content-Type has no boundary of 1 to 70 characters")
    return boundary.encode("ascii")


def parse_part(head: bytes) -> Part:
    """Return what the head of a part says, without the empty line. Raises FormError."""
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        raise FormError("the head of a part is not UTF-8") from error
    fields = _parse_fields(_FOLD.sub(" ", text))
    kind, parameters = _parse_value(fields.get("content-disposition", ""))
    if kind != "form-data" or "name" not in parameters:
        raise FormError("a part has no Content-Disposition of form-data with a name")
    if fields.get("content-transfer-encoding", "binary").lower() not in _AS_IT_IS:
        raise FormError("a part is encoded, which RFC 7578 does not allow")
    return Part(parameters["name"], _filename(parameters), fields.get("content-type", ""))


def _parse_fields(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in text.split("\r\n") if text else ():
        match = _LINE.fullmatch(line)
        if match is None:
            raise FormError("the head of a part has a line that is no field")
        name = match[1].lower()
        if name in fields:
            raise FormError(f"a part has {name} twice")
        fields[name] = match[2].rstrip(" \t")
    return fields


def _parse_value(value: str) -> tuple[str, dict[str, str]]:
    """Return what stands before the first semicolon, in lower case, and the parameters."""
    kind, semicolon, _ = value.partition(";")
    at = len(kind)
    parameters: dict[str, str] = {}
    while semicolon and value[at:].strip("; \t"):
        match = _PARAMETER.match(value, at)
        if match is None or match[1].lower() in parameters:
            raise FormError("parameters that are malformed, or the same one twice")
        text = match[3] if match[2] is None else _ESCAPED.sub(r"\1", match[2])
        parameters[match[1].lower()] = text
        at = match.end()
    return kind.strip(" \t").lower(), parameters


def _filename(parameters: dict[str, str]) -> str | None:
    """Return the plain one, else the extended one (RFC 8187), which RFC 7578 does not want."""
    plain = parameters.get("filename")
    if plain is not None or "filename*" not in parameters:
        return plain
    charset, _, text = parameters["filename*"].partition("'")
    if charset.lower() != "utf-8":
        raise FormError("a file name is neither plain nor UTF-8")
    try:
        name = unquote(text.partition("'")[2], errors="strict")
    except UnicodeDecodeError as error:
        raise FormError("a file name is not UTF-8") from error
    if _CONTROL.search(name):
        raise FormError("a file name has control characters")
    return name
