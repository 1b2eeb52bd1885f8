"""One blob of several within the store: Put Block From URL."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from fileloft_fast.errors import CannotJoinError, RemoteRefusedError, StoreError
from fileloft_fast.stores.remote.azure.account import READ, Account
from fileloft_fast.stores.remote.azure.failures import azure_errors

if TYPE_CHECKING:
    from azure.storage.blob.aio import BlobClient, ContainerClient

    from fileloft_fast.stores.remote.objects import ObjectHead

# Azure takes 4,000 MiB at once, but answers only when they are copied.
_LARGEST: Final = 256 * 1024**2
_MOST: Final = 50_000
_AT_ONCE: Final = 4


class Copy(Struct, frozen=True):
    """A block of the new blob: ``length`` bytes of ``source`` from ``start`` on."""

    source: ObjectHead
    start: int
    length: int


def plan_copies(sources: Sequence[ObjectHead]) -> list[Copy]:
    """Return the blocks of the new blob, in order. Raises CannotJoinError."""
    copies = [
        Copy(source, start, min(_LARGEST, source.size - start))
        for source in sources
        for start in range(0, source.size, _LARGEST)
    ]
    if len(copies) > _MOST:
        raise CannotJoinError(f"{len(copies)} blocks")
    return copies


async def copy_blocks(
    account: Account,
    container: ContainerClient,
    target: BlobClient,
    sources: Sequence[ObjectHead],
    nonce: str,
) -> list[str]:
    """Copy *sources* into blocks of *target* and return their ids. Raises CannotJoinError."""
    turns = asyncio.Semaphore(_AT_ONCE)

    async def copy_in_turn(number: int, copy: Copy) -> str:
        async with turns:
            block = f"{nonce}{number:06d}"
            await _copy(account, container.get_blob_client(copy.source.key), target, block, copy)
            return block

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(copy_in_turn(number, copy))
                for number, copy in enumerate(plan_copies(sources), 1)
            ]
    except* StoreError as failed:
        raise _first(failed) from None
    return [task.result() for task in tasks]


async def _copy(
    account: Account, source: BlobClient, target: BlobClient, block: str, copy: Copy
) -> None:
    address = await account.address(source, READ)
    identity: dict[str, Any] = {"source_authorization": address.headers.get("Authorization")}
    try:
        with azure_errors():
            await target.stage_block_from_url(
                block,
                address.url,
                source_offset=copy.start,
                source_length=copy.length,
                headers={"x-ms-source-if-match": copy.source.tag},
                **(identity if address.headers else {}),
            )
    except RemoteRefusedError as error:
        # Azurite cannot at all; Azure not where a firewall keeps it from reading its own blobs.
        raise CannotJoinError(str(error)) from error


def _first(failed: BaseExceptionGroup[StoreError]) -> StoreError:
    error = failed.exceptions[0]
    assert isinstance(error, StoreError)
    return error
