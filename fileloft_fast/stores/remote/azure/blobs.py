"""Blobs of one container; a session is a list of blocks that are not committed yet.

To begin a session sends nothing: its blocks are those whose id begins with its random name, so that
nobody else can ever touch them. The id goes on with number and checksum of the part: a part that is
sent twice is one block, and other bytes would be another one. There is no request that throws
blocks away; they go when the blob is committed or put, or a week after the last one came.

Azure compares what it receives with a CRC-64 of its own kind, or an MD5, where one is sent along.
None is: both would be computed for this alone, and damage on the way is for TLS to find.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import IO, TYPE_CHECKING, Any, Final, cast

from aiohttp import ClientSession, DummyCookieJar, TCPConnector
from azure.core.pipeline.transport import AioHttpTransport
from azure.storage.blob import BlobBlock

from fileloft_fast.errors import ObjectNotFoundError
from fileloft_fast.stores.remote.answers import read_start
from fileloft_fast.stores.remote.azure.account import Account
from fileloft_fast.stores.remote.azure.failures import azure_errors
from fileloft_fast.stores.remote.azure.headers import (
    content_settings,
    match_conditions,
    plain_metadata,
    put_headers,
    spelt_metadata,
)
from fileloft_fast.stores.remote.azure.joining import copy_blocks
from fileloft_fast.stores.remote.azure.reading import read_blob
from fileloft_fast.stores.remote.azure.wire import Wire
from fileloft_fast.stores.remote.body import PieceBody, Read, read_range
from fileloft_fast.stores.remote.objects import (
    ABSENT,
    Attributes,
    Condition,
    Limits,
    ObjectHead,
    OpenSession,
    Pace,
    Piece,
    Receipt,
)

if TYPE_CHECKING:
    from azure.storage.blob.aio import BlobClient, BlobServiceClient, ContainerClient

_MIB: Final = 1024**2
_NONCE_BYTES: Final = 8
_NUMBER_DIGITS: Final = 6
_ID_LENGTH: Final = 2 * _NONCE_BYTES + _NUMBER_DIGITS + 8

LIMITS: Final = Limits(
    smallest_part=1,
    largest_part=4000 * _MIB,
    most_parts=50_000,
    largest_object=50_000 * 4000 * _MIB,
)


class AzureObjects:
    """A container of a storage account; see ``Objects``.

    *connection_string* names an account and how to be let in; with *account* alone, or *endpoint*,
    the identity is the one that Azure's own chain finds (environment, workload, machine, ``az``).
    """

    def __init__(  # noqa: PLR0913 - plain values, by name
        self,
        *,
        container: str,
        connection_string: str | None = None,
        account: str | None = None,
        endpoint: str | None = None,
        pace: Pace | None = None,
        read: Read = read_range,
    ) -> None:
        self._container_name = container
        self._options = {
            "connection_string": connection_string,
            "account": account,
            "endpoint": endpoint,
        }
        self._pace = pace
        self._read = read
        self._ending = AsyncExitStack()
        self._account: Account
        self._service: BlobServiceClient
        self._container: ContainerClient
        self._wire: Wire

    @property
    def limits(self) -> Limits:
        """See ``Objects``."""
        return LIMITS

    async def start(self) -> None:
        """Make the client; see ``Objects``."""
        # The SDK tells every request at INFO, and every source of identity that has none.
        logging.getLogger("azure").setLevel(logging.ERROR)
        async with AsyncExitStack() as ending:
            await self._connect(ending)
            self._ending = ending.pop_all()

    async def _connect(self, ending: AsyncExitStack) -> None:
        self._account = Account(**self._options)
        ending.push_async_callback(self._account.close)
        # As AioHttpTransport makes its own, but for the limit of a hundred connections: a part must
        # not wait for the end of somebody's download.
        session = ClientSession(
            connector=TCPConnector(limit=0),
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
            trust_env=True,
        )
        ending.push_async_callback(session.close)
        transport = AioHttpTransport(session=session, session_owner=False)
        self._service = self._account.connect(transport)
        self._container = self._service.get_container_client(self._container_name)
        self._wire = Wire(session, self._account)

    async def close(self) -> None:
        """See ``Objects``; also where ``start`` has failed."""
        await self._ending.aclose()

    async def create(self, key: str, attributes: Attributes) -> str:  # noqa: ARG002 - as the others
        """Return a name that nobody has; see ``Objects``. *attributes* are ``complete``'s."""
        return secrets.token_hex(_NONCE_BYTES)

    async def put_part(
        self,
        key: str,
        session: str,
        number: int,
        offset: int,  # noqa: ARG002 - of no interest to a block
        piece: Piece,
    ) -> Receipt:
        """Stage a block; see ``Objects``. Never raises SessionLostError: blocks have no session."""
        block = _block_id(session, number, piece.crc32c)
        with azure_errors(), self._body(piece) as body:
            stream = cast("IO[bytes]", body)  # to the SDK; it is aiohttp that knows better
            await self._blob(key).stage_block(block, stream, length=piece.length)
        return Receipt(number, piece.length, block, piece.crc32c)

    async def list_parts(self, key: str, session: str) -> list[Receipt]:
        """See ``Objects``; none where there is no block, of a session that is gone too."""
        try:
            with azure_errors():
                _, blocks = await self._blob(key).get_block_list("uncommitted")
        except ObjectNotFoundError:
            return []
        found = {
            receipt.number: receipt
            for block in blocks
            if (receipt := _receipt_of(block, session)) is not None
        }
        return [found[number] for number in sorted(found)]

    async def complete(  # noqa: PLR0913 - as ``Objects`` has it
        self,
        key: str,
        session: str,  # noqa: ARG002 - the receipts name the blocks
        receipts: Sequence[Receipt],
        *,
        size: int,
        crc32c: int,  # noqa: ARG002 - Azure has no checksum of a whole that it was not sent
        attributes: Attributes,
        condition: Condition | None = ABSENT,
        last: Piece | None = None,
    ) -> ObjectHead:
        """Commit the blocks; see ``Objects``."""
        assert last is None
        assert sum(receipt.size for receipt in receipts) == size
        blocks = [receipt.tag for receipt in receipts]
        return await self._commit(key, blocks, size, attributes, condition)

    async def abort(self, key: str, session: str) -> None:
        """Do nothing; see the module."""

    async def get(self, key: str, start: int, length: int) -> AsyncGenerator[bytes, None]:
        """See ``Objects``."""
        if not length:
            with azure_errors():  # no range is empty, but the blob may be gone
                await self._blob(key).get_blob_properties()
        async with aclosing(read_blob(self._wire, self._blob(key), start, length)) as pieces:
            async for piece in pieces:
                yield piece

    async def head(self, key: str) -> ObjectHead | None:
        """See ``Objects``."""
        try:
            with azure_errors():
                found = await self._blob(key).get_blob_properties()
        except ObjectNotFoundError:
            return None
        metadata = plain_metadata(found.metadata)
        return ObjectHead(key=key, size=found.size, tag=found.etag, metadata=metadata)

    async def put(
        self,
        key: str,
        content: Piece | bytes,
        attributes: Attributes,
        condition: Condition | None = None,
    ) -> ObjectHead:
        """Put a blob; see ``Objects``. Blocks that were staged under that key are gone then."""
        headers = put_headers(attributes, condition)
        size = len(content) if isinstance(content, bytes) else content.length
        with self._body(content) as body:
            async with self._wire.request(
                "PUT", self._blob(key), headers, expected=201, body=body
            ) as answer:
                tag = answer.headers["ETag"]
        return ObjectHead(key=key, size=size, tag=tag, metadata=attributes.metadata)

    async def fetch(self, key: str) -> tuple[bytes, str] | None:
        """See ``Objects``."""
        try:
            async with self._wire.request("GET", self._blob(key), {}, expected=200) as answer:
                return await read_start(answer.content.read), answer.headers["ETag"]
        except ObjectNotFoundError:
            return None

    async def delete(self, key: str) -> None:
        """See ``Objects``."""
        try:
            with azure_errors():
                await self._blob(key).delete_blob(delete_snapshots="include")
        except ObjectNotFoundError:
            return

    async def sign(self, key: str, expires_s: int) -> str:
        """See ``Objects``; RemoteRefusedError where a shared access signature lets us in."""
        return await self._account.sign(self._service, self._blob(key), expires_s)

    async def join(
        self, key: str, sources: Sequence[ObjectHead], attributes: Attributes
    ) -> ObjectHead:
        """See ``Objects``."""
        nonce = secrets.token_hex(_NONCE_BYTES)
        blocks = await copy_blocks(self._account, self._container, self._blob(key), sources, nonce)
        size = sum(source.size for source in sources)
        return await self._commit(key, blocks, size, attributes, ABSENT)

    async def list_keys(self, prefix: str) -> AsyncIterator[str]:
        """See ``Objects``."""
        with azure_errors():
            async for name in self._container.list_blob_names(name_starts_with=prefix):
                yield name

    async def list_sessions(self, prefix: str) -> AsyncIterator[OpenSession]:  # noqa: ARG002
        """Yield none: blocks go by themselves, and nobody can throw them away."""
        nothing: tuple[OpenSession, ...] = ()
        for session in nothing:
            yield session

    def _blob(self, key: str) -> BlobClient:
        return self._container.get_blob_client(key)

    def _body(self, content: Piece | bytes) -> PieceBody:
        return PieceBody(content, pace=self._pace, read=self._read)

    async def _commit(
        self,
        key: str,
        blocks: Sequence[str],
        size: int,
        attributes: Attributes,
        condition: Condition | None,
    ) -> ObjectHead:
        conditions: dict[str, Any] = match_conditions(condition)
        with azure_errors():
            answer = await self._blob(key).commit_block_list(
                [BlobBlock(block) for block in blocks],
                content_settings=content_settings(attributes),
                metadata=spelt_metadata(attributes),
                **conditions,
            )
        tag = str(answer["etag"])
        return ObjectHead(key=key, size=size, tag=tag, metadata=attributes.metadata)


def _block_id(session: str, number: int, crc32c: int) -> str:
    """Return the id of a part's block; all ids of a blob must have the same length."""
    return f"{session}{number:0{_NUMBER_DIGITS}d}{crc32c:08x}"


def _receipt_of(block: BlobBlock, session: str) -> Receipt | None:
    """Return what the id of a block of *session* tells, None for somebody else's."""
    if len(block.id) != _ID_LENGTH or not block.id.startswith(session):
        return None
    number, crc32c = block.id[-8 - _NUMBER_DIGITS : -8], block.id[-8:]
    return Receipt(int(number), block.size, block.id, int(crc32c, 16))
