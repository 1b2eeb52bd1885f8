"""Google Cloud Storage, as the fake speaks it: it asks for tokens, and verifies signatures."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

from fileloft_fast.stores.remote.gcs import GcsObjects
from tests.stores.backend import Backend, Opener
from tests.stores.gcs_fake import GcsFake
from tests.stores.gcs_fake.account import google_environment, write_account, write_key

if TYPE_CHECKING:
    from pathlib import Path

    from fileloft_fast.stores.remote.objects import Objects


@asynccontextmanager
async def connected(objects: GcsObjects) -> AsyncIterator[GcsObjects]:
    """Start a driver, and close it."""
    await objects.start()
    try:
        yield objects
    finally:
        await objects.close()


@contextmanager
def _open(directory: Path) -> Iterator[Backend]:
    @asynccontextmanager
    async def connect() -> AsyncIterator[Objects]:
        objects = GcsObjects(bucket=fake.bucket, endpoint=fake.url)
        with google_environment(directory, GOOGLE_APPLICATION_CREDENTIALS=str(account)):
            await objects.start()
        try:
            yield objects
        finally:
            await objects.close()

    key = write_key(directory / "key.pem")
    with GcsFake(directory / "fake", key=str(key), auth=True, page=7) as fake:
        account = write_account(directory / "account.json", key, fake.url)
        # A session's bytes are compared with the checksum of the whole, when it ends.
        yield Backend(connect=connect, lists_sessions=False, verifies_parts=False)


BACKENDS: Final[Mapping[str, Opener]] = {"gcs": _open}
