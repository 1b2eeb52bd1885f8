"""What crashes leave behind in the bucket: open sessions, tails, pieces of joins, leases.

Only what can belong to nobody goes. A session's record is written before the session is opened, so
one without a record is an orphan, and an open record names the spool that may decide. What a
replica is about to name in a record is young, and what is younger than *min_age_s* is left alone.

A prefix is ours alone. Where there is none, other programs may use names like ours: 32 hexadecimal
digits are an MD5 sum, too. What no record speaks for stays there, or says itself whose it is.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from fileloft_fast.errors import StoreError
from fileloft_fast.flush.attributes import ID_NAME
from fileloft_fast.flush.own import delete_own
from fileloft_fast.flush.record import TAIL_SUFFIX, Record, RecordState, parse_record, record_key
from fileloft_fast.model import MADE_ID_PATTERN, UploadId
from fileloft_fast.observe.log import fields

if TYPE_CHECKING:
    from fileloft_fast.stores.remote.objects import Objects, OpenSession

log = logging.getLogger(__name__)

Known: TypeAlias = Callable[[UploadId], Container[str] | None]
"""Names the sessions that a local upload has journalled; None where there is no such upload."""

_UPLOAD: Final = rf"(?P<upload>{MADE_ID_PATTERN})"
_BORN: Final = r"(?P<born>[0-9a-f]{8})"  # seconds since the epoch, since listings tell no age
_TAIL: Final = rf"{re.escape(TAIL_SUFFIX)}{_BORN}[0-9a-f]{{16}}"
_JOIN: Final = rf"\.join-{_BORN}[0-9a-f]{{16}}-[0-9]+"

_match_object: Final = re.compile(_UPLOAD).fullmatch
_match_tail: Final = re.compile(_UPLOAD + _TAIL).fullmatch
_match_join: Final = re.compile(_UPLOAD + _JOIN).fullmatch
_match_lease: Final = re.compile(rf"{_UPLOAD}\.lock").fullmatch


class _Lease(msgspec.Struct):
    """What a lease object has; who writes them lies a layer above."""

    owner: str
    fence: int
    ttl: float
    nonce: str
    held: bool


class _UnknownRecordError(Exception):
    """There is something in the record's place, and nobody here knows what it means."""


class Orphans:
    """What lies under *prefix* and belongs to no upload. *owner* names this spool.

    A lease tells no age: unless it says that nobody holds it, it goes once it was not written for
    *min_age_s* between two looks, which a holder would have done hundreds of times. Uploads that
    are not *mine* are another worker's, who goes by the same name: nothing of them is touched.
    """

    def __init__(
        self,
        objects: Objects,
        prefix: str,
        *,
        owner: str,
        min_age_s: float,
        mine: Callable[[UploadId], bool] = lambda _: True,
    ) -> None:
        self._mine = mine
        self._objects = objects
        self._prefix = prefix
        self._owner = owner
        self._min_age_s = min_age_s
        self._leases: dict[str, tuple[str, float]] = {}
        self._last: tuple[UploadId, Record | None] | None = None

    async def abort_sessions(self, known: Known, now: float) -> int:
        """Abort every session that no upload will go on with; return how many.

        *known* knows of every upload on this spool's disk, at work or not. Where one has no such
        upload and its record says that there is, the record goes after its last session. Raises
        StoreError where the store fails; what is left is for the next time.
        """
        aborted = 0
        lost: set[UploadId] = set()
        left: set[UploadId] = set()
        async for session in self._objects.list_sessions(self._prefix):
            match = _match_object(session.key.removeprefix(self._prefix))
            if match is None or not self._mine(UploadId(match["upload"])):
                continue
            upload = UploadId(match["upload"])
            local = known(upload)
            is_free = local is None or session.session not in local
            is_old = now - session.created_at > self._min_age_s
            is_gone = is_free and is_old and await self._maybe_abort(session, upload)
            aborted += is_gone
            (lost if is_gone and local is None else left).add(upload)
        for upload in lost - left:
            await self._drop_claim(upload)
        return aborted

    async def _maybe_abort(self, session: OpenSession, upload: UploadId) -> bool:
        """Abort *session*, which no upload here names, if nobody else's upload does."""
        try:
            record = await self._read(upload)
        except _UnknownRecordError:
            return False
        if not self._is_orphan(session, record):
            return False
        await self._objects.abort(session.key, session.session)
        log.info("orphan aborted", extra=fields(id=upload, session=session.session))
        return True

    def _is_orphan(self, session: OpenSession, record: Record | None) -> bool:
        """Decide about a session that no local upload names."""
        if record is None:
            return bool(self._prefix)
        if record.state is RecordState.STORED:
            return True
        if record.owner:
            return record.owner == self._owner
        return record.session != session.session  # any replica may go on with the named one

    async def _drop_claim(self, upload: UploadId) -> None:
        """Delete the record by which this spool claims an upload that it does not have.

        Not where the object is there, which somebody may have been told of.
        """
        try:
            record = await self._read(upload)
        except _UnknownRecordError:
            return
        if record is None or record.state is not RecordState.OPEN or not record.owner:
            return
        if record.owner == self._owner and await self._objects.head(self._key(upload)) is None:
            await self._objects.delete(record_key(self._prefix, upload))

    async def withdraw(self, upload: UploadId, sessions: Iterable[str]) -> None:
        """Delete what the bucket has of an upload that was removed here (see ``Withdrawn``).

        *sessions* are those that its journal names. May be repeated. Raises StoreError.
        """
        key = self._key(upload)
        for session in sessions:
            await self._objects.abort(key, session)
        await delete_own(self._objects, key, upload)
        try:
            record = await self._read(upload)
        except _UnknownRecordError:
            return
        if record is not None and record.owner in {"", self._owner}:
            await self._objects.delete(record_key(self._prefix, upload))

    async def delete_strays(self, now: float) -> int:
        """Delete every object beside the uploads that nothing refers to; return how many.

        Goes through all keys, and needs to only where there can be such objects: in chunk mode,
        with leases in the store, and where joins make pieces. Without a prefix each has to tell
        that it is ours: by a record, by its metadata, by its contents. Raises StoreError.
        """
        leases, self._leases = self._leases, {}
        self._last = None
        deleted = 0
        async for key in self._objects.list_keys(self._prefix):
            try:
                stray = await self._is_stray(key, leases, now)
            except _UnknownRecordError:
                continue
            if stray:
                await self._objects.delete(key)
                deleted += 1
        return deleted

    async def _is_stray(self, key: str, leases: dict[str, tuple[str, float]], now: float) -> bool:
        name = key.removeprefix(self._prefix)
        match = _match_tail(name) or _match_join(name) or _match_lease(name)
        if match is None or not self._mine(UploadId(match["upload"])):
            return False
        if not _match_lease(name):
            return self._is_old(match, now) and await self._is_unnamed(key, match)
        record = await self._record(match)
        if record is None or record.state is RecordState.STORED:
            return await self._is_idle(key, leases, now, done=record is not None)
        return False

    async def _is_unnamed(self, key: str, match: re.Match[str]) -> bool:
        """Whether an upload of ours has left this tail, or piece of a join, and goes without it."""
        record = await self._record(match)
        if record is not None:
            return not any(tail.key == key for tail in record.tails)
        if self._prefix:
            return True
        head = await self._objects.head(key)
        return head is not None and head.metadata.get(ID_NAME) == match["upload"]

    def _key(self, upload: UploadId) -> str:
        return f"{self._prefix}{upload}"

    def _is_old(self, match: re.Match[str], now: float) -> bool:
        return now - int(match["born"], 16) > self._min_age_s

    async def _is_idle(
        self, key: str, leases: dict[str, tuple[str, float]], now: float, *, done: bool
    ) -> bool:
        """Return whether this is a lease that nobody holds.

        Of an upload that is done, it may say so itself.
        """
        found = await self._objects.fetch(key)
        lease = None if found is None else _maybe_lease(found[0])
        if found is None or lease is None:
            return False
        tag = found[1]
        seen_tag, since = leases.get(key, (tag, now))
        if seen_tag != tag:
            since = now
        if now - since > self._min_age_s or (done and not lease.held):
            return True
        self._leases[key] = (tag, since)
        return False

    async def _record(self, match: re.Match[str]) -> Record | None:
        """Return the record, read after the key was listed: what is old is named in it by now."""
        upload = UploadId(match["upload"])
        if self._last is None or self._last[0] != upload:  # keys come in order
            self._last = upload, await self._read(upload)
        return self._last[1]

    async def _read(self, upload: UploadId) -> Record | None:
        found = await self._objects.fetch(record_key(self._prefix, upload))
        if found is None:
            return None
        try:
            record = parse_record(found[0], upload)
        except StoreError as error:
            log.warning("tidying passes over", extra=fields(id=upload, error=error))
            raise _UnknownRecordError from error
        if record is None:
            raise _UnknownRecordError  # another program's object
        return record


def _maybe_lease(contents: bytes) -> _Lease | None:
    """Return the lease, None where another program keeps an object of such a name."""
    try:
        return msgspec.json.decode(contents, type=_Lease)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
