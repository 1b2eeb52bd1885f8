"""The store in memory, held to the same contract: what the other tests rely on is no invention."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from tests.stores.backend import Backend, Opener
from tests.stores.memory import SEQUENTIAL, Bucket, MemoryObjects

if TYPE_CHECKING:
    from pathlib import Path

    from fileloft_fast.stores.remote.objects import Objects


@contextmanager
def _open(make: type[Bucket] | partial[Bucket], _: Path) -> Iterator[Backend]:
    bucket = make()

    @asynccontextmanager
    async def connect() -> AsyncIterator[Objects]:
        objects = MemoryObjects(bucket)
        await objects.start()
        try:
            yield objects
        finally:
            await objects.close()

    yield Backend(
        connect=connect,
        lists_objects=True,
        lists_sessions=not bucket.limits.sequential,
        verifies_parts=False,  # it asserts: a test that sends damaged bytes is wrong there
        signs=False,
        checks_signatures=False,
    )


BACKENDS: Final[Mapping[str, Opener]] = {
    "memory": partial(_open, Bucket),
    "memory-sequential": partial(_open, partial(Bucket, SEQUENTIAL, unique_tags=True)),
    "memory-blocks": partial(_open, partial(Bucket, block_ids=True, verifies=False)),
}
