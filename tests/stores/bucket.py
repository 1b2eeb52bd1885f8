"""What an object store in memory keeps: objects, sessions, and how it differs from others."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from fileloft_fast.dataplane import digest_of
from fileloft_fast.errors import ConditionFailedError, SessionLostError
from fileloft_fast.stores.remote.objects import Attributes, Condition, Limits, ObjectHead

_KIB: Final = 1024

PARALLEL: Final = Limits(
    smallest_part=4 * _KIB, largest_part=1024 * _KIB, most_parts=1000, largest_object=1024**3
)
"""As S3, in small."""

SEQUENTIAL: Final = Limits(
    smallest_part=4 * _KIB,
    largest_part=1024 * _KIB,
    most_parts=2**31,
    largest_object=1024**3,
    granule=4 * _KIB,
    sequential=True,
    last_completes=True,
)
"""As Google's resumable sessions, in small."""


def crc32c_of(data: bytes) -> int:
    """Return the CRC-32C of *data*."""
    return int.from_bytes(digest_of("crc32c", data), "big")


@dataclass(frozen=True)
class StoredObject:
    """One version of an object."""

    content: bytes
    tag: str
    attributes: Attributes
    stored_at: float = 0.0


@dataclass(frozen=True)
class StoredPart:
    """One version of a part."""

    content: bytes
    tag: str


@dataclass
class StoredSession:
    """A multipart upload, or a resumable session, whose bytes are in ``persisted``.

    ``parts`` holds the newest of each number, ``blocks`` everything that was ever put, by its tag.
    """

    key: str
    attributes: Attributes
    created_at: float
    parts: dict[int, StoredPart] = field(default_factory=dict)
    blocks: dict[str, StoredPart] = field(default_factory=dict)
    persisted: bytearray = field(default_factory=bytearray)


class Bucket:
    """Objects and open sessions; what several replicas share.

    *block_ids*: a part that is sent again is another one, and the one that is named counts; else
    the last one that was sent, and naming another is an error.
    *unique_tags*: each version of an object has its own tag (generations); else equal bytes have
    equal tags, as ETags are. *verifies*: a wrong checksum of the whole is refused.
    """

    def __init__(
        self,
        limits: Limits = PARALLEL,
        *,
        block_ids: bool = False,
        unique_tags: bool = False,
        verifies: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.limits = limits
        self.objects: dict[str, StoredObject] = {}
        self.sessions: dict[str, StoredSession] = {}
        self.clock = clock
        self.verifies = verifies
        self.block_ids = block_ids
        self._unique_tags = unique_tags
        self._serial = itertools.count(1)

    def drop_session(self, session: str | None = None) -> None:
        """Forget *session*, all of them where none is named, as a store does after a week."""
        if session is None:
            self.sessions.clear()
        else:
            del self.sessions[session]

    def damage_part(self, session: str, number: int) -> None:
        """Flip a bit of a part that the store has."""
        part = self.sessions[session].parts[number]
        damaged = bytes((part.content[0] ^ 1,)) + part.content[1:]
        part = StoredPart(damaged, part.tag)
        self.sessions[session].parts[number] = self.sessions[session].blocks[part.tag] = part

    def damage(self, key: str) -> None:
        """Flip a bit of an object."""
        stored = self.objects[key]
        damaged = bytes((stored.content[0] ^ 1,)) + stored.content[1:]
        self.objects[key] = StoredObject(damaged, stored.tag, stored.attributes)

    def open_session(self, key: str, attributes: Attributes) -> str:
        """Begin a session."""
        name = f"session-{next(self._serial)}"
        self.sessions[name] = StoredSession(key, attributes, self.clock())
        return name

    def session(self, key: str, name: str) -> StoredSession:
        """Return an open session. Raises SessionLostError."""
        found = self.sessions.get(name)
        if found is None or found.key != key:
            raise SessionLostError(f"no such session: {name}")
        return found

    def store(
        self, key: str, content: bytes, attributes: Attributes, condition: Condition | None
    ) -> ObjectHead:
        """Store an object if *condition* holds. Raises ConditionFailedError."""
        found = self.objects.get(key)
        if condition is not None and condition.tag != (None if found is None else found.tag):
            raise ConditionFailedError(f"{key} is another version")
        tag = f"{next(self._serial)}" if self._unique_tags else etag_of(content)
        self.objects[key] = StoredObject(content, tag, attributes, self.clock())
        return self.told(key)

    def told(self, key: str) -> ObjectHead:
        """Return what a HEAD says."""
        stored = self.objects[key]
        return ObjectHead(
            key=key,
            size=len(stored.content),
            tag=stored.tag,
            metadata=dict(stored.attributes.metadata),
            crc32c=crc32c_of(stored.content) if self.verifies else None,
            content_type=stored.attributes.content_type,
            modified_at=stored.stored_at,
        )

    def part_tag(self, content: bytes) -> str:
        """Return the name by which a part is listed in ``complete``."""
        return f"block-{next(self._serial)}" if self.block_ids else etag_of(content)


def etag_of(content: bytes) -> str:
    """Return the ETag of *content*, with its quotation marks, as S3 tells it."""
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
