"""Operations on multipart uploads: begun, brought in parts, and put together to one object."""

from __future__ import annotations

import secrets as randomness
import time
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from fileloft_fast.dataplane import SYNC_NONE
from fileloft_fast.errors import FileloftError, UploadNotFoundError
from fileloft_fast.model import FileSlice, Offset, Response, UploadId
from fileloft_fast.s3front import documents
from fileloft_fast.s3front.asked import check_key
from fileloft_fast.s3front.buckets import xml
from fileloft_fast.s3front.checksums import parse_expected
from fileloft_fast.s3front.claim import UNSIGNED_PAYLOAD
from fileloft_fast.s3front.codes import (
    EntityTooSmallError,
    InvalidArgumentError,
    InvalidPartError,
    InvalidRequestError,
    NoSuchUploadError,
    NotImplementedS3Error,
)
from fileloft_fast.s3front.incoming import Incoming, is_checksum, read_document
from fileloft_fast.s3front.lists import LAST, as_ascii
from fileloft_fast.s3front.objects import must_be_absent, wish_of
from fileloft_fast.s3front.reading import MAX_PARTS, parse_completion
from fileloft_fast.storages.entry import made_etag
from fileloft_fast.storages.reception import check_size, draft
from fileloft_fast.storages.sessions import Part, Session

if TYPE_CHECKING:
    from fileloft_fast.model import UploadInfo
    from fileloft_fast.s3front.asked import Asked
    from fileloft_fast.s3front.checksums import Expected
    from fileloft_fast.storages.entry import Entry, Wish
    from fileloft_fast.storages.named import NamedStorage, Storages

MIN_PART_BYTES: Final = 5 * 1024 * 1024
_MOST_LISTED: Final = 1000


class Multipart:
    """Answers for the multipart uploads of *storages*, which belong to *owner*."""

    def __init__(self, storages: Storages, owner: str) -> None:
        self._storages = storages
        self._owner = owner

    async def begin(self, asked: Asked) -> Response:
        """Answer CreateMultipartUpload."""
        storage = self._storages.named(asked.bucket)
        session = Session(randomness.token_hex(16), wish_of(asked, storage), time.time(), "")
        await storage.catalogue.sessions.begin(storage.name, session)
        return xml(documents.render_upload_started(asked.bucket, asked.key, session.id))

    async def put_part(self, asked: Asked) -> Response:
        """Answer UploadPart: what is there with the answer is there until the session is over."""
        storage = self._storages.named(asked.bucket)
        number = asked.number("partNumber", 0, MAX_PARTS + 1)
        if not 1 <= number <= MAX_PARTS:
            raise InvalidArgumentError(
                f"Part number must be from 1 to {MAX_PARTS}.", ArgumentName="partNumber"
            )
        incoming = Incoming(asked)
        session = await self._session(storage, asked)
        info = await storage.reception.receive(
            asked.key,
            asked.body,
            incoming.size,
            max_size=storage.largest(),
            pieces=incoming.pieces,
            check=incoming.check,
            algorithm=incoming.algorithm,
        )
        part = Part(number, info.id, info.offset, made_etag(info.id), time.time())
        try:
            await storage.catalogue.sessions.add(storage.name, asked.key, session.id, part)
        except FileloftError:
            await storage.reception.store.remove(info.id)
            raise
        storage.dirty.set()  # there may have been one of this number
        return Response(200, (("ETag", f'"{part.etag}"'), *incoming.fields))

    async def list_parts(self, asked: Asked) -> Response:
        """Answer ListParts."""
        storage = self._storages.named(asked.bucket)
        session = await self._session(storage, asked)
        if session.etag:
            raise NoSuchUploadError("The multipart upload is completed.")
        most = asked.number("max-parts", _MOST_LISTED, _MOST_LISTED)
        after = asked.number("part-number-marker", 0, MAX_PARTS)
        found = await storage.catalogue.sessions.parts(session.id, after, most + 1)
        rows = [documents.Part(p.number, p.size, p.etag, p.modified_at) for p in found[:most]]
        listed = documents.PartList(
            bucket=asked.bucket,
            key=asked.key,
            upload_id=session.id,
            parts=rows,
            max_parts=most,
            after=after,
            following=rows[-1].number if rows and len(found) > most else 0,
            url=asked.in_url_form,
        )
        return xml(documents.render_parts(listed, self._owner))

    async def list_uploads(self, asked: Asked) -> Response:
        """Answer ListMultipartUploads."""
        storage = self._storages.named(asked.bucket)
        if asked.value("delimiter"):
            raise NotImplementedS3Error("A delimiter is not implemented here.")
        most = asked.number("max-uploads", _MOST_LISTED, _MOST_LISTED)
        marker = asked.value("key-marker"), asked.value("upload-id-marker")
        # A key alone as a marker: after all uploads of that key.
        after = marker if marker[1] else (marker[0], LAST)
        prefix = asked.value("prefix")
        found = await storage.catalogue.sessions.page(
            storage.name, as_ascii(prefix), (as_ascii(after[0]), after[1]), most + 1
        )
        rows = [documents.Started(s.wish.path, s.id, s.started_at) for s in found[:most]]
        listed = documents.UploadList(
            bucket=asked.bucket,
            uploads=rows,
            prefix=prefix,
            max_uploads=most,
            after=marker,
            following=(rows[-1].key, rows[-1].upload_id)
            if rows and len(found) > most
            else ("", ""),
            url=asked.in_url_form,
        )
        return xml(documents.render_uploads(listed, self._owner))

    async def complete(self, asked: Asked) -> Response:
        """Answer CompleteMultipartUpload, also where the answer before was lost."""
        storage = self._storages.named(asked.bucket)
        await self._session(storage, asked)
        wanted = parse_completion(await read_document(asked, checksums=False))
        # Whoever completes or aborts the same one waits.
        async with storage.reception.locks.hold(UploadId(asked.value("uploadId"))):
            session = await self._session(storage, asked)
            etag = session.etag
            whole: tuple[Expected, ...] = ()  # who asks again is told of no checksum
            if not etag:
                whole = _of_whole(asked)
                etag = (await self._join(storage, session, wanted, asked, whole)).etag
                await storage.catalogue.sessions.finish(storage.name, session.id, etag)
                storage.dirty.set()
        scheme = "https" if asked.head.secure else "http"
        location = f"{scheme}://{asked.head.authority}/{asked.bucket}/{asked.key}"
        told = {row.algorithm: asked.head.headers[row.field] for row in whole}
        return xml(documents.render_upload_completed(location, asked.bucket, asked.key, etag, told))

    async def abort(self, asked: Asked) -> Response:
        """Answer AbortMultipartUpload."""
        storage = self._storages.named(asked.bucket)
        session = await self._session(storage, asked)
        async with storage.reception.locks.hold(UploadId(session.id)):
            await storage.catalogue.sessions.abort(storage.name, asked.key, session.id)
        storage.dirty.set()
        return Response(204)

    async def _session(self, storage: NamedStorage, asked: Asked) -> Session:
        """Return the session that *asked* names, which lives on. Raises UploadNotFoundError."""
        sessions = storage.catalogue.sessions
        path, name = check_key(storage, asked.key), asked.value("uploadId")
        session = await sessions.find(storage.name, path, name)
        sessions.touch(session.id)
        return session

    async def _join(
        self,
        storage: NamedStorage,
        session: Session,
        wanted: list[tuple[int, str]],
        asked: Asked,
        whole: tuple[Expected, ...],
    ) -> Entry:
        parts = _chosen(wanted, await storage.catalogue.sessions.parts(session.id))
        size = sum(part.size for part in parts)
        _check_size(asked, size)
        check_size(size, storage.largest())
        wish: Wish = replace(session.wish, overwrite=not must_be_absent(asked.head))
        await storage.foresee(wish)
        store = storage.reception.store
        info = replace(draft(wish.path, size), offset=Offset(size))
        try:
            found = [await store.load(UploadId(part.blob)) for part in parts]
            info = await store.concatenate(info, found)
        except UploadNotFoundError as error:
            raise InvalidPartError("A part was replaced meanwhile.") from error
        try:
            await _check_whole(storage, info, whole)
        except FileloftError:
            await store.remove(info.id)
            raise
        return await storage.settle(wish, info)


def _chosen(wanted: list[tuple[int, str]], parts: list[Part]) -> list[Part]:
    """Return the *parts* that are *wanted*. Raises InvalidPartError, EntityTooSmallError."""
    known = {part.number: part for part in parts}
    chosen: list[Part] = []
    for number, etag in wanted:
        part = known.get(number)
        if part is None or part.etag != etag:
            raise InvalidPartError(PartNumber=str(number))
        chosen.append(part)
    for part in chosen[:-1]:
        if part.size < MIN_PART_BYTES:
            raise EntityTooSmallError(
                ProposedSize=str(part.size),
                MinSizeAllowed=str(MIN_PART_BYTES),
                PartNumber=str(part.number),
            )
    return chosen


def _check_size(asked: Asked, size: int) -> None:
    said = asked.head.headers.get("x-amz-mp-object-size")
    if said is not None and said != str(size):
        raise InvalidRequestError("x-amz-mp-object-size is not the size of the parts.")


def _of_whole(asked: Asked) -> tuple[Expected, ...]:
    """Return what the client says that all of the object hashes to. Raises S3Error."""
    sent = {name: value for name, value in asked.head.headers.items() if is_checksum(name)}
    return parse_expected(sent, UNSIGNED_PAYLOAD)


async def _check_whole(
    storage: NamedStorage, info: UploadInfo, whole: tuple[Expected, ...]
) -> None:
    """Compare the object with what the client says that all of it hashes to."""
    store = storage.reception.store
    for row in whole:
        file: FileSlice = await store.read(await store.load(info.id), 0, info.offset)
        try:
            digest = await store.engine.checksum(file.descriptor, 0, info.offset, row.algorithm)
        finally:
            await store.engine.close_file(file.descriptor, SYNC_NONE)
        row.check(digest, {})
