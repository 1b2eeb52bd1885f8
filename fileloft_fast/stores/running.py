"""What all the bytes of an upload hash to, while it is written: kept between its requests.

The states of the hashes are bytes of ours, which any machine and version reads. They are kept as
JSON: ``{"at": 5, "sha256": "…"}`` in base64 after so many bytes of an upload, and in hex
``{"sha256": "…"}``, which everybody reads, when it is complete.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Final, Self

import msgspec
from msgspec import Struct

from fileloft_fast.dataplane import Digest, digest_size
from fileloft_fast.model import Checksum

HASHES: Final = ("sha256", "sha512")
"""The algorithms whose state can be kept."""

LARGEST: Final = 466
"""Bytes of the largest value: both states, and a count of 19 digits."""


class _Value(Struct, omit_defaults=True):
    """The members that there may be."""

    at: int = -1
    sha256: str = ""
    sha512: str = ""


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(_Value)


class Running:
    """The hashes of an upload, of its bytes from the first on; *feed* is what takes the next ones.

    Each byte that *feed* takes goes into all of them, and into *also*.
    """

    __slots__ = ("_digests", "feed")

    def __init__(self, digests: Sequence[Digest]) -> None:
        self._digests = digests
        self.feed = digests[0]

    @classmethod
    def begun(cls, hashes: Sequence[str], data: bytes = b"") -> Self:
        """Return the hashes of *data*, in one or more algorithms."""
        running = cls(_linked([(algorithm, b"") for algorithm in hashes]))
        running.feed.update(data)
        return running

    @classmethod
    def maybe_restored(cls, hashes: Sequence[str], value: bytes) -> Self | None:
        """Return the hashes that *value* keeps; None where it does not, or cannot be read."""
        try:
            kept = _DECODER.decode(value)
            states = [(each, base64.b64decode(getattr(kept, each))) for each in hashes]
            running = cls(_linked(states)) if all(state for _, state in states) else None
        except (msgspec.DecodeError, binascii.Error, ValueError):
            return None
        return None if running is None or running.at != kept.at else running

    def fed_with(self, also: Digest) -> Running:
        """Return these hashes anew, so that *also* is fed with what they are fed with from now."""
        states = [(digest.algorithm, digest.state()) for digest in self._digests]
        return Running(_linked(states, also))

    @property
    def at(self) -> int:
        """How many bytes they have seen. Raises RuntimeError while the engine feeds them."""
        return self.feed.seen

    def value(self) -> bytes:
        """Return what ``maybe_restored`` takes."""
        texts = {each.algorithm: base64.b64encode(each.state()).decode() for each in self._digests}
        return _ENCODER.encode(_Value(at=self.at, **texts))

    def checksums(self) -> tuple[Checksum, ...]:
        """Return what the bytes hash to."""
        return tuple(Checksum(each.algorithm, each.digest()) for each in self._digests)


def render_digests(digests: Sequence[Checksum]) -> bytes:
    """Return what is kept of a complete upload."""
    return _ENCODER.encode(texts_of_digests(digests))


def parse_digests(value: bytes, hashes: Sequence[str]) -> tuple[Checksum, ...]:
    """Return what is kept of a complete upload; nothing where it cannot be read, or is running."""
    try:
        kept = _DECODER.decode(value)
        if kept.at >= 0:
            return ()
        digests = [(each, bytes.fromhex(getattr(kept, each))) for each in hashes]
    except (msgspec.DecodeError, ValueError):
        return ()
    if any(len(digest) != digest_size(algorithm) for algorithm, digest in digests):
        return ()
    return tuple(Checksum(algorithm, digest) for algorithm, digest in digests)


def texts_of_digests(digests: Sequence[Checksum]) -> dict[str, str]:
    """Return *digests* as they are written down: in hex, by algorithm."""
    return {each.algorithm: each.digest.hex() for each in digests}


def digests_of_texts(texts: Mapping[str, str]) -> tuple[Checksum, ...]:
    """Return what was written down. Raises ValueError."""
    return tuple(Checksum(name, bytes.fromhex(text)) for name, text in texts.items())


def known_hashes(names: Sequence[str]) -> tuple[str, ...]:
    """Return those that a whole upload can be hashed in; a newer version may know others."""
    return tuple(name for name in names if name in HASHES)


def _linked(states: Sequence[tuple[str, bytes]], also: Digest | None = None) -> list[Digest]:
    """Return digests, each of which feeds the next one; of b"" one that has seen nothing."""
    linked: list[Digest] = []
    for algorithm, state in reversed(states):
        begun = not state
        also = Digest(algorithm, also) if begun else Digest.restored(algorithm, state, also)
        linked.insert(0, also)
    return linked
