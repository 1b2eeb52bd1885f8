"""What the head of a creation says of the representation, as the metadata that every room knows.

The keys are those that tus clients use. What is malformed is left out: it is about the file's name
and type alone, which a plain upload would not fail for either.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

from fileloft_fast.model import NO_METADATA, Metadata
from fileloft_fast.resumable.headers import is_partial_type
from fileloft_fast.tus.headers import OFFSET_STREAM, parse_metadata, render_pair

_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_find_parameters: Final = re.compile(
    rf';[ \t]*({_WORD})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*+)"|({_WORD}))'
).findall
# As nearly everybody sends it: nothing behind the name, and nothing in it that is escaped.
_match_plain: Final = re.compile(r'[a-z-]+; filename="([^"\\]+)"').fullmatch
_ESCAPED: Final = re.compile(r"\\(.)")
_match_extended: Final = re.compile(
    r"utf-8'[A-Za-z0-9-]*'((?:[!#$&+.^_`|~0-9A-Za-z-]|%[0-9A-Fa-f]{2})*)", re.IGNORECASE
).fullmatch


def representation_metadata(fields: Mapping[str, str]) -> Metadata:
    """Return ``Upload-Metadata`` where a client sends it, else what standard fields say.

    Raises InvalidMetadataError for the former.
    """
    raw = fields.get("upload-metadata")
    if raw:
        return parse_metadata(raw)
    pairs, texts = [], []
    disposition = fields.get("content-disposition")
    name = None if disposition is None else maybe_filename(disposition)
    if name:
        pairs.append(("filename", name))
        texts.append(render_pair("filename", name))
    kind = _maybe_type(fields.get("content-type"))
    if kind is not None:
        pairs.append(kind[0])
        texts.append(kind[1])
    coding = fields.get("content-encoding")
    if coding and coding.lower() != "identity":
        # The bytes stay coded, here and for whoever reads them (Content Codings).
        value = coding.encode("latin-1", errors="replace")
        pairs.append(("contentencoding", value))
        texts.append(render_pair("contentencoding", value))
    return Metadata(",".join(texts), tuple(pairs)) if pairs else NO_METADATA


@lru_cache(maxsize=256)  # there are not many types
def _maybe_type(kind: str | None) -> tuple[tuple[str, bytes], str] | None:
    """Return the media type of a representation as a pair, and as it stands in a header.

    What only says how it is sent is none.
    """
    if not kind or kind == OFFSET_STREAM or is_partial_type(kind):
        return None
    value = kind.encode("latin-1", errors="replace")
    return ("filetype", value), render_pair("filetype", value)


def maybe_filename(disposition: str) -> bytes | None:
    """Return the name in ``Content-Disposition``: the extended form wins (RFC 6266 section 4.3)."""
    plain = _match_plain(disposition)
    if plain is not None:
        return plain[1].encode("latin-1", errors="replace")
    named: dict[str, str] = {}
    for key, quoted, token in _find_parameters(disposition):
        named.setdefault(key.lower(), token or _ESCAPED.sub(r"\1", quoted))
    extended = _match_extended(named.get("filename*", ""))
    if extended is not None:
        return unquote_to_bytes(extended[1]) or None
    # Browsers send UTF-8 where the grammar knows latin-1 alone; the bytes are kept as they came.
    return named.get("filename", "").encode("latin-1", errors="replace") or None
