"""Lease objects: what stands in ``{id}.lock``, and how it is read and replaced."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from fileloft_fast.errors import (
    ConditionFailedError,
    ObjectNotFoundError,
    RemoteUnavailableError,
    StoreError,
)
from fileloft_fast.stores.remote.objects import ABSENT, Attributes, Condition
from fileloft_fast.uploads.leases.contact import Contact

if TYPE_CHECKING:
    from fileloft_fast.model import UploadId
    from fileloft_fast.stores.remote.objects import Objects

_PATIENCE_S: Final = 1.0
_ATTRIBUTES: Final = Attributes(content_type="application/json")


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds an upload, or held it last.

    ``nonce`` is another one with every write of the holder's, and with those alone: while it stays
    the same, the holder has not renewed. ``asked`` is the replica that has asked for the upload
    first; once ``held`` is False the upload is its for a moment.
    """

    owner: str
    fence: int
    ttl: float
    nonce: str
    held: bool = True
    asked: str = ""

    def written_anew(self, *, held: bool = True) -> Document:
        """Return it with another nonce, as its holder writes it."""
        return replace(self, nonce=secrets.token_hex(8), held=held)


class Seen(msgspec.Struct, frozen=True):
    """A document, and the version of the object that it was read from."""

    document: Document
    tag: str


class Documents:
    """The lease objects of *objects* under *prefix*; no call takes longer than *answer_s*."""

    def __init__(self, objects: Objects, prefix: str, answer_s: float) -> None:
        self._objects = objects
        self._prefix = prefix
        self._answer_s = answer_s
        self.contact = Contact("locks in the object store", _PATIENCE_S)

    async def read(self, upload: UploadId) -> Seen | None:
        """Return what there is. Raises StoreError."""
        try:
            async with asyncio.timeout(self._answer_s):
                found = await self._objects.fetch(self._key(upload))
        except (StoreError, TimeoutError) as error:
            raise self._failed(error) from error
        self.contact.made()
        if found is None:
            return None
        content, tag = found
        try:
            return Seen(msgspec.json.decode(content, type=Document), tag)
        except msgspec.DecodeError as error:
            raise self._failed(StoreError(f"{self._key(upload)} is not a lease")) from error

    async def maybe_write(
        self, upload: UploadId, document: Document, before: Seen | None
    ) -> Seen | None:
        """Replace *before*, None for no object; None where something else is there.

        Raises StoreError, after which it may have been written, or may still be.
        """
        condition = ABSENT if before is None else Condition(before.tag)
        try:
            async with asyncio.timeout(self._answer_s):
                head = await self._objects.put(
                    self._key(upload), msgspec.json.encode(document), _ATTRIBUTES, condition
                )
        except (ConditionFailedError, ObjectNotFoundError):
            self.contact.made()
            return None
        except (StoreError, TimeoutError) as error:
            raise self._failed(error) from error
        self.contact.made()
        return Seen(document, head.tag)

    def _key(self, upload: UploadId) -> str:
        return f"{self._prefix}{upload}.lock"

    def _failed(self, error: StoreError | TimeoutError) -> StoreError:
        self.contact.lost(error)
        if isinstance(error, StoreError):
            return error
        return RemoteUnavailableError("the object store does not answer")
