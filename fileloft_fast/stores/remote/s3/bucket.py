"""A bucket behind ``Objects``: one request a call."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from fileloft_fast.errors import (
    ConditionFailedError,
    ObjectNotFoundError,
    RemoteUnavailableError,
    SessionLostError,
)
from fileloft_fast.stores.remote.body import PieceBody, Read, read_range
from fileloft_fast.stores.remote.objects import (
    ABSENT,
    Attributes,
    Condition,
    Limits,
    ListedObject,
    ObjectHead,
    OpenSession,
    Pace,
    Piece,
    Receipt,
)
from fileloft_fast.stores.remote.s3.client import Connection
from fileloft_fast.stores.remote.s3.failures import status_of, translated
from fileloft_fast.stores.remote.s3.fields import (
    attribute_fields,
    checksum_fields,
    condition_fields,
    crc32c_in,
    crc32c_of,
    modified_at_in,
)
from fileloft_fast.stores.remote.s3.joining import join
from fileloft_fast.stores.remote.s3.reading import read_all, read_object

_MIB: Final = 1024**2
_GIB: Final = 1024**3
_PAGE: Final = 1000  # no page of a list is longer

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
LIMITS: Final = Limits(
    smallest_part=5 * _MIB,
    largest_part=5 * _GIB,
    most_parts=10_000,
    largest_object=5 * 1024 * _GIB,
)


class S3Objects:
    """See ``Objects``. *endpoint*: empty for AWS; *region*: empty for what AWS's variables say.

    *keys* are an access key and its secret, None for those that botocore finds. *beside* is another
    bucket that is reached in the same way; both share one client, and start and end together.
    *checksum*: send the CRC-32C of each part, which the store then verifies. *answer_s* is how
    long it may take nothing of a body, or send nothing of an answer.
    """

    def __init__(  # noqa: PLR0913 - plain values, by name
        self,
        *,
        bucket: str,
        endpoint: str = "",
        region: str = "",
        path_style: bool = False,
        keys: tuple[str, str] | None = None,
        beside: S3Objects | None = None,
        checksum: bool = True,
        pace: Pace | None = None,
        read: Read = read_range,
        answer_s: float = 60.0,
    ) -> None:
        self.name = bucket
        self._checksum = checksum
        self._pace = pace
        self._read = read
        self._answer_s = answer_s
        self._connection: Connection = (
            beside._connection  # noqa: SLF001 - one of us
            if beside is not None
            else Connection(
                endpoint=endpoint,
                region=region,
                path_style=path_style,
                keys=keys,
                answer_s=answer_s,
            )
        )

    @property
    def limits(self) -> Limits:
        """What S3 takes."""
        return LIMITS

    async def start(self) -> None:
        """Make the client; see ``Objects``."""
        await self._connection.start()

    async def close(self) -> None:
        """Close the connections; see ``Objects``."""
        await self._connection.close()

    async def create(self, key: str, attributes: Attributes) -> str:
        """Begin a multipart upload; see ``Objects``."""
        algorithm = {"ChecksumAlgorithm": "CRC32C"} if self._checksum else {}
        answer = await self.call(
            "create_multipart_upload", Key=key, **attribute_fields(attributes), **algorithm
        )
        return str(answer["UploadId"])

    async def put_part(
        self,
        key: str,
        session: str,
        number: int,
        offset: int,  # noqa: ARG002 - the numbers are the order
        piece: Piece,
    ) -> Receipt:
        """Send a part; see ``Objects``."""
        with self._body(piece) as body:
            try:
                answer = await self.call(
                    "upload_part",
                    Body=body,
                    Key=key,
                    UploadId=session,
                    PartNumber=number,
                    **self._checksums(piece.crc32c),
                )
            except ObjectNotFoundError as error:
                raise SessionLostError(str(error)) from error
        return Receipt(number, piece.length, str(answer["ETag"]), piece.crc32c)

    async def list_parts(self, key: str, session: str) -> list[Receipt]:
        """Return the parts; see ``Objects``. ``crc32c`` is 0 where the store does not tell it."""
        newest: dict[int, Mapping[str, Any]] = {}
        try:
            async for page in self._pages("list_parts", Key=key, UploadId=session):
                for part in page.get("Parts", ()):
                    # SeaweedFS keeps, and lists, a part that was sent twice twice.
                    known = newest.setdefault(part["PartNumber"], part)
                    if part["LastModified"] > known["LastModified"]:
                        newest[part["PartNumber"]] = part
        except ObjectNotFoundError as error:
            raise SessionLostError(str(error)) from error
        return [
            Receipt(number, int(part["Size"]), str(part["ETag"]), crc32c_in(part) or 0)
            for number, part in sorted(newest.items())
        ]

    async def complete(  # noqa: PLR0913 - as the protocol has it
        self,
        key: str,
        session: str,
        receipts: Sequence[Receipt],
        *,
        size: int,
        crc32c: int,  # noqa: ARG002 - S3 compares the parts' own
        attributes: Attributes,
        condition: Condition | None = ABSENT,
        last: Piece | None = None,
    ) -> ObjectHead:
        """Make the object of its parts; see ``Objects``."""
        assert last is None, "every part of S3 is put"
        parts = [
            {"PartNumber": part.number, "ETag": part.tag, **self._checksums(part.crc32c)}
            for part in receipts
        ]
        try:
            answer = await self.call(
                "complete_multipart_upload",
                Key=key,
                UploadId=session,
                MultipartUpload={"Parts": parts},
                MpuObjectSize=size,
                **condition_fields(condition),
            )
        except ObjectNotFoundError as error:
            raise SessionLostError(str(error)) from error
        return ObjectHead(key=key, size=size, tag=str(answer["ETag"]), metadata=attributes.metadata)

    async def abort(self, key: str, session: str) -> None:
        """Throw the parts away; see ``Objects``."""
        with suppress(SessionLostError, ObjectNotFoundError):  # somebody else has, or completed it
            await self.call("abort_multipart_upload", Key=key, UploadId=session)

    def get(self, key: str, start: int, length: int, tag: str = "") -> AsyncGenerator[bytes, None]:
        """Read a range; see ``ListedObjects``."""
        return read_object(self, key, start, length, tag)

    async def head(self, key: str) -> ObjectHead | None:
        """Look at an object; see ``Objects``."""
        asked = {"ChecksumMode": "ENABLED"} if self._checksum else {}
        try:
            answer = await self.call("head_object", Key=key, **asked)
        except RemoteUnavailableError as error:
            if status_of(error.__cause__) != 404:
                raise
            await self._check_missing(key)
            return None
        return ObjectHead(
            key=key,
            size=int(answer["ContentLength"]),
            tag=str(answer["ETag"]),
            metadata=answer.get("Metadata", {}),
            crc32c=crc32c_in(answer),
            content_type=str(answer.get("ContentType", "")),
            modified_at=modified_at_in(answer),
        )

    async def put(
        self,
        key: str,
        content: Piece | bytes,
        attributes: Attributes,
        condition: Condition | None = None,
    ) -> ObjectHead:
        """Store an object; see ``Objects``."""
        crc32c = crc32c_of(content) if isinstance(content, bytes) else content.crc32c
        with self._body(content) as body:
            try:
                answer = await self.call(
                    "put_object",
                    Body=body,
                    Key=key,
                    **attribute_fields(attributes),
                    **self._checksums(crc32c),
                    **condition_fields(condition),
                )
            except ObjectNotFoundError as error:  # AWS: If-Match, and there is nothing
                raise ConditionFailedError(str(error)) from error
            except ConditionFailedError as error:
                if body.sendings > 1:
                    raise RemoteUnavailableError("put_object: an answer was lost") from error
                raise
            size = len(body)
        return ObjectHead(
            key=key,
            size=size,
            tag=str(answer["ETag"]),
            metadata=attributes.metadata,
            crc32c=crc32c_in(answer),
        )

    async def fetch(self, key: str) -> tuple[bytes, str] | None:
        """Read a small object; see ``Objects``."""
        try:
            return await read_all(self, key)
        except ObjectNotFoundError:
            return None

    async def delete(self, key: str) -> None:
        """Delete an object; see ``Objects``."""
        with suppress(ObjectNotFoundError):
            await self.call("delete_object", Key=key)

    async def sign(self, key: str, expires_s: int) -> str:
        """Return a presigned GET; see ``Objects``."""
        client = await self._connection.client()
        with translated("sign"):
            url = await client.generate_presigned_url(
                "get_object", Params={"Bucket": self.name, "Key": key}, ExpiresIn=expires_s
            )
        return str(url)

    async def join(
        self, key: str, sources: Sequence[ObjectHead], attributes: Attributes
    ) -> ObjectHead:
        """Copy within the store; see ``Objects``."""
        if not any(source.size for source in sources):
            return await self.put(key, b"", attributes, ABSENT)
        return await join(self, key, sources, attributes)

    async def list_keys(self, prefix: str) -> AsyncIterator[str]:
        """Go through keys; see ``Objects``."""
        async for page in self._pages("list_objects_v2", Prefix=prefix):
            for found in page.get("Contents", ()):
                yield str(found["Key"])

    async def list_objects(
        self, prefix: str, after: str, page: int
    ) -> AsyncGenerator[ListedObject, None]:
        """Go through objects; see ``ListedObjects``.

        SeaweedFS has the order of a file system, and leaves out what lies under *after* itself:
        ``a/b`` after ``a``, but not after ``a/``.
        """
        pages = self._pages(
            "list_objects_v2",
            Prefix=prefix,
            StartAfter=after,
            PaginationConfig={"PageSize": min(page, _PAGE)},
        )
        async for told in pages:
            for found in told.get("Contents", ()):
                yield ListedObject(
                    str(found["Key"]),
                    int(found["Size"]),
                    str(found["ETag"]),
                    modified_at_in(found),
                )

    async def list_sessions(self, prefix: str) -> AsyncIterator[OpenSession]:
        """Go through open uploads; see ``Objects``. MinIO lists none for a prefix."""
        async for page in self._pages("list_multipart_uploads", Prefix=prefix):
            for found in page.get("Uploads", ()):
                yield OpenSession(
                    str(found["Key"]), str(found["UploadId"]), found["Initiated"].timestamp()
                )

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401
        """Make one request of the bucket and return its answer, or raise what it means."""
        client = await self._connection.client()
        with translated(operation):
            answer: dict[str, Any] = await getattr(client, operation)(
                Bucket=self.name, **parameters
            )
        return answer

    async def _pages(
        self,
        operation: str,
        **parameters: Any,  # noqa: ANN401
    ) -> AsyncIterator[dict[str, Any]]:
        client = await self._connection.client()
        pages = client.get_paginator(operation).paginate(Bucket=self.name, **parameters)
        iterator = aiter(pages)
        while True:
            with translated(operation):
                page = await anext(iterator, None)
            if page is None:
                return
            yield page

    async def _check_missing(self, key: str) -> None:
        """See that it was the store which has said so: the answer to a HEAD has no body to tell."""
        try:
            answer = await self.call("get_object", Key=key, Range="bytes=0-0")
        except ObjectNotFoundError:
            return
        answer["Body"].close()
        raise RemoteUnavailableError("head_object: 404, and it is there")

    def _body(self, content: Piece | bytes) -> PieceBody:
        """Return what sends *content*; records are small, and leases cannot wait for their turn."""
        pace = None if isinstance(content, bytes) else self._pace
        return PieceBody(content, pace=pace, read=self._read, stall_s=self._answer_s)

    def _checksums(self, crc32c: int) -> dict[str, str]:
        return checksum_fields(crc32c) if self._checksum else {}
