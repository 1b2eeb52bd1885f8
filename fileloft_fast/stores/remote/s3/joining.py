"""One object of several within the store: UploadPartCopy."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from fileloft_fast.errors import (
    CannotJoinError,
    ConditionFailedError,
    ObjectNotFoundError,
    RemoteRefusedError,
    SessionLostError,
    StoreError,
)
from fileloft_fast.stores.remote.objects import Attributes, ObjectHead
from fileloft_fast.stores.remote.s3.failures import status_of
from fileloft_fast.stores.remote.s3.fields import attribute_fields

if TYPE_CHECKING:
    from fileloft_fast.stores.remote.s3.reading import Caller

_SMALLEST: Final = 5 * 1024**2
_LARGEST: Final = 1024**3  # S3 copies 5 GiB at once, but says nothing until it is done
_MOST: Final = 10_000
_AT_ONCE: Final = 4
_ABORT_S: Final = 5.0  # a request, or the end of the server, waits meanwhile

# What a store answers that knows no such copy, or not these sizes.
_CANNOT: Final = frozenset({400, 405, 501})


class Copy(Struct, frozen=True):
    """A part of the new object: ``length`` bytes of ``source`` from ``start`` on."""

    source: ObjectHead
    start: int
    length: int


def plan_copies(sources: Sequence[ObjectHead]) -> list[Copy]:
    """Return the parts of the new object, in order. Raises CannotJoinError."""
    filled = [source for source in sources if source.size]
    if any(source.size < _SMALLEST for source in filled[:-1]):
        raise CannotJoinError("an object that is not the last has less than 5 MiB")
    copies = [copy for source in filled for copy in _split(source)]
    if len(copies) > _MOST:
        raise CannotJoinError(f"{len(copies)} parts")
    return copies


async def join(
    bucket: Caller, key: str, sources: Sequence[ObjectHead], attributes: Attributes
) -> ObjectHead:
    """Make *key* of *sources*; see ``Objects``."""
    copies = plan_copies(sources)
    answer = await bucket.call("create_multipart_upload", Key=key, **attribute_fields(attributes))
    session = {"Key": key, "UploadId": str(answer["UploadId"])}
    try:
        parts = await _copy_all(bucket, session, copies)
        answer = await bucket.call(
            "complete_multipart_upload",
            **session,
            MultipartUpload={"Parts": parts},
            IfNoneMatch="*",
        )
    except (Exception, asyncio.CancelledError) as error:
        await _abort(bucket, session)
        if isinstance(error, StoreError) and _cannot(error):
            raise CannotJoinError(str(error)) from error
        raise
    size = sum(copy.length for copy in copies)
    return ObjectHead(key=key, size=size, tag=str(answer["ETag"]), metadata=attributes.metadata)


async def _abort(bucket: Caller, session: dict[str, str]) -> None:
    """Throw away what was copied, also where the caller is cancelled, once more perhaps."""
    aborting = asyncio.create_task(_try_to_abort(bucket, session))
    try:
        await asyncio.shield(aborting)
    except asyncio.CancelledError:
        await asyncio.wait([aborting])
        raise


async def _try_to_abort(bucket: Caller, session: dict[str, str]) -> None:
    # What cannot be aborted now is an orphan for the sweep.
    with suppress(StoreError, TimeoutError):
        async with asyncio.timeout(_ABORT_S):
            await bucket.call("abort_multipart_upload", **session)


def _split(source: ObjectHead) -> list[Copy]:
    """Return ranges of about the same size, so that none is too small."""
    count = -(-source.size // _LARGEST)
    starts = [source.size * number // count for number in range(count + 1)]
    return [Copy(source, start, end - start) for start, end in pairwise(starts)]


async def _copy_all(
    bucket: Caller, session: dict[str, str], copies: Sequence[Copy]
) -> list[dict[str, Any]]:
    turns = asyncio.Semaphore(_AT_ONCE)

    async def copy_in_turn(number: int, copy: Copy) -> dict[str, Any]:
        async with turns:
            return await _copy(bucket, session, number, copy)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(copy_in_turn(number, copy))
                for number, copy in enumerate(copies, 1)
            ]
    except BaseExceptionGroup as failed:
        first = failed.exceptions[0]  # one is enough to tell; the others were cancelled
        raise first from first.__cause__
    return [task.result() for task in tasks]


async def _copy(bucket: Caller, session: dict[str, str], number: int, copy: Copy) -> dict[str, Any]:
    try:
        answer = await bucket.call(
            "upload_part_copy",
            **session,
            PartNumber=number,
            CopySource={"Bucket": bucket.name, "Key": copy.source.key},
            CopySourceRange=f"bytes={copy.start}-{copy.start + copy.length - 1}",
            CopySourceIfMatch=copy.source.tag,
        )
    except ConditionFailedError as error:
        raise ObjectNotFoundError(f"{copy.source.key} was replaced") from error
    return {"PartNumber": number, "ETag": str(answer["CopyPartResult"]["ETag"])}


def _cannot(error: StoreError) -> bool:
    """Whether it is this join that the store refuses: InvalidPart, EntityTooSmall, no such copy."""
    refused = isinstance(error, RemoteRefusedError) and status_of(error.__cause__) in _CANNOT
    return refused or isinstance(error, SessionLostError)
