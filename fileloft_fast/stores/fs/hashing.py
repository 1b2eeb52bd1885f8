"""What the whole of an upload hashes to, kept in the slot of its ``.info``; see ``info_file``.

The slot is written when a request ends, after the bytes, and is never synced for its own sake: a
crash leaves one that lies behind the bytes, and the rest is hashed from the file. One that lies
before them, since bytes were lost, is of no use: they are hashed from the first on.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from msgspec.structs import replace

from fileloft_fast.dataplane import SYNC_NONE
from fileloft_fast.stores.fs.failures import store_error
from fileloft_fast.stores.fs.info_file import NO_HASHES, render_info
from fileloft_fast.stores.running import Running, parse_digests, render_digests

if TYPE_CHECKING:
    from fileloft_fast.model import Checksum, UploadInfo
    from fileloft_fast.stores.fs.found import FsFound
    from fileloft_fast.stores.fs.info_file import Slot
    from fileloft_fast.stores.fs.store import FsStore


def kept_digests(info: UploadInfo, slot: Slot) -> tuple[Checksum, ...]:
    """Return what the slot of a complete upload says that it hashes to; nothing of any other."""
    return parse_digests(slot.value, info.hashes) if info.complete else ()


def is_to_be_hashed(found: FsFound) -> bool:
    """Whether somebody wants to know what *found* hashes to as a whole, and nothing says so yet."""
    return found.slot is not None and not found.info.digests


async def maybe_resume(store: FsStore, found: FsFound, descriptor: int) -> Running | None:
    """Return the hashes of what the upload holds, and see to it that its slot keeps them.

    None where bytes that would have to be read are not there any more. Raises StoreError.
    """
    info, slot = found.info, found.slot
    assert slot is not None
    running = Running.maybe_restored(info.hashes, slot.value)
    if running is not None and running.at == info.offset:
        return running
    if running is None or running.at > info.offset:
        running = Running.begun(info.hashes)
    # Written down now, not when the request ends: there must be none of bytes that were lost, once
    # there are as many bytes again.
    if running.at < store.first_byte(info.id):
        await store.keep_hashes(found, NO_HASHES)
        return None
    try:
        await store.engine.checksum(descriptor, running.at, info.offset - running.at, running.feed)
    except OSError as error:
        raise store_error(error) from error
    await store.keep_hashes(found, running.value())
    return running


async def maybe_digests(store: FsStore, found: FsFound) -> tuple[Checksum, ...]:
    """Return what the bytes of *found* hash to; nothing where nobody can tell, or wants to know.

    Raises StoreError.
    """
    slot = found.slot
    if slot is None:
        return ()
    digests = kept_digests(found.info, slot)
    if digests:
        return digests
    try:
        descriptor, _ = await store.engine.open(
            store.directory, found.info.id.encode(), os.O_RDONLY
        )
    except OSError as error:
        raise store_error(error) from error
    try:
        running = await maybe_resume(store, found, descriptor)
    finally:
        await store.engine.close_file(descriptor, SYNC_NONE)
    return () if running is None else running.checksums()


async def keep_running(store: FsStore, found: FsFound, running: Running | None) -> UploadInfo:
    """Keep *running*, of the bytes that are there now; return the upload, with what it hashes to.

    None: nobody has hashed them yet. Raises StoreError.
    """
    info = found.info
    if not info.complete:
        if running is not None:
            await store.keep_hashes(found, running.value())
        return info
    has_all = running is not None and running.at == info.offset
    digests = running.checksums() if running and has_all else await maybe_digests(store, found)
    if digests:
        await store.keep_hashes(found, render_digests(digests))
    return replace(info, digests=digests)


def render_begun(info: UploadInfo, body: bytes) -> bytes:
    """Return the ``.info`` of an upload that is made with *body*."""
    if info.digests:
        return render_info(info)
    running = Running.begun(info.hashes, body)
    if info.complete:
        return render_info(replace(info, digests=running.checksums()))
    return render_info(info, running.value())


async def joined(store: FsStore, info: UploadInfo) -> UploadInfo:
    """Return *info*, whose data was put together, with what it hashes to. OSError, StoreError."""
    descriptor, _ = await store.engine.open(store.directory, info.id.encode(), os.O_RDONLY)
    try:
        running = Running.begun(info.hashes)
        await store.engine.checksum(descriptor, 0, info.offset, running.feed)
    finally:
        await store.engine.close_file(descriptor, SYNC_NONE)
    return replace(info, digests=running.checksums())


async def begun(store: FsStore, info: UploadInfo) -> tuple[UploadInfo, bytes]:
    """Return *info*, which was just made, with its digests, and what it hashes to so far."""
    if not info.hashes:
        return info, b""
    found = await store.load(info.id)
    assert found.slot is not None
    return replace(info, digests=found.info.digests), found.slot.value.rstrip()
