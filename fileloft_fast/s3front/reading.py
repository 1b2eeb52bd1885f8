"""The documents that S3 clients send, read without anything that XML can do besides elements.

expat with its dangerous parts refused: a document type, and with it every entity. Bytes, elements
and depth are bounded before anything is built.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from fileloft_fast.s3front.codes import InvalidPartOrderError, MalformedXMLError

MAX_DOCUMENT_BYTES: Final = 2 * 1024 * 1024
"""Ten thousand parts with every checksum there is are 1.5 MiB; S3 reads 1 and 2 MB."""
MAX_PARTS: Final = 10_000
MAX_DELETED: Final = 1_000

_MAX_ELEMENTS: Final = 8 * MAX_PARTS
_MAX_DEPTH: Final = 8


@dataclass(slots=True)
class Element:
    """An element: its name without namespace, its own text, and the elements in it."""

    name: str
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def value(self, name: str) -> str | None:
        """Return the text of the child *name*, None where there is none; two are an error."""
        found = [child for child in self.children if child.name == name]
        if len(found) > 1 or (found and found[0].children):
            raise MalformedXMLError
        return found[0].text if found else None


@dataclass(frozen=True, slots=True)
class Deletion:
    """What DeleteObjects asks for; ``quiet``: only what failed is to be told."""

    keys: tuple[str, ...]
    quiet: bool


def parse_completion(body: bytes) -> list[tuple[int, str]]:
    """Return number and entity tag, without quotes, of the parts of CompleteMultipartUpload."""
    parts: list[tuple[int, str]] = []
    for element in _parse_rows(body, "CompleteMultipartUpload", "Part", MAX_PARTS).children:
        number, etag = element.value("PartNumber"), element.value("ETag")
        if etag is None or number is None or not _is_number(number.strip()):
            raise MalformedXMLError
        if parts and int(number) <= parts[-1][0]:
            raise InvalidPartOrderError
        parts.append((int(number), etag.strip().strip('"')))
    if not parts:
        raise MalformedXMLError
    return parts


def parse_deletion(body: bytes) -> Deletion:
    """Return the keys of a Delete document."""
    root = _parse_rows(body, "Delete", "Object", MAX_DELETED, also=("Quiet",))
    quiet = (root.value("Quiet") or "false").strip()
    keys = [child.value("Key") for child in root.children if child.name == "Object"]
    known = tuple(key for key in keys if key)
    if not keys or len(known) < len(keys) or quiet not in {"true", "false"}:
        raise MalformedXMLError
    return Deletion(known, quiet == "true")


def _is_number(text: str) -> bool:
    return len(text) <= 5 and text.isascii() and text.isdecimal() and 1 <= int(text) <= MAX_PARTS


def _parse_rows(
    body: bytes, root_name: str, row_name: str, most: int, also: tuple[str, ...] = ()
) -> Element:
    root = parse_document(body)
    names = [child.name for child in root.children if child.name not in also]
    if root.name != root_name or set(names) - {row_name} or len(names) > most:
        raise MalformedXMLError
    return root


def parse_document(body: bytes) -> Element:
    """Return the root of *body*; raises MalformedXMLError."""
    if len(body) > MAX_DOCUMENT_BYTES:
        raise MalformedXMLError("The XML is too long.")
    reader = _Reader()
    try:
        reader.parser.Parse(body, True)  # noqa: FBT003 - pyexpat takes no keywords
    except expat.ExpatError:
        raise MalformedXMLError from None
    return reader.root.children[0]


class _Reader:
    """Builds elements as expat finds them."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._on_start
        self.parser.EndElementHandler = self._on_end
        self.parser.CharacterDataHandler = self._on_text
        # No document type: no entity, internal or external, can be declared without one.
        self.parser.StartDoctypeDeclHandler = self._on_doctype
        self.root = Element("")
        self._open = [self.root]
        self._texts: list[list[str]] = [[]]  # of each that is open, in pieces
        self._elements = 0

    def _on_start(self, name: str, _attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > _MAX_ELEMENTS or len(self._open) > _MAX_DEPTH:
            raise MalformedXMLError("The XML has too many elements.")
        element = Element(name.rpartition(" ")[2])
        self._open[-1].children.append(element)
        self._open.append(element)
        self._texts.append([])

    def _on_end(self, _name: str) -> None:
        self._open.pop().text = "".join(self._texts.pop())

    def _on_text(self, text: str) -> None:
        self._texts[-1].append(text)

    def _on_doctype(self, *_: object) -> None:
        raise MalformedXMLError("The XML has a document type.")
