"""Operations on buckets: which there are, and what is in them."""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Final

from fileloft_fast.errors import FileloftError
from fileloft_fast.model import Response
from fileloft_fast.s3front.asked import check_key
from fileloft_fast.s3front.codes import InvalidArgumentError, S3Error, s3_error
from fileloft_fast.s3front.documents import (
    CONTENT_TYPE,
    Listed,
    Listing,
    render_buckets,
    render_deleted,
    render_listing,
    render_listing_v1,
    render_location,
)
from fileloft_fast.s3front.incoming import read_document
from fileloft_fast.s3front.lists import list_page
from fileloft_fast.s3front.reading import parse_deletion

if TYPE_CHECKING:
    from fileloft_fast.s3front.asked import Asked
    from fileloft_fast.storages.named import NamedStorage, Storages

DEFAULT_REGION: Final = "us-east-1"
_XML: Final = (("Content-Type", CONTENT_TYPE),)
_MOST_LISTED: Final = 1000
_DELETED_AT_ONCE: Final = 16
_ALTERNATIVES: Final = b"-_"  # a token stands in a query


class Buckets:
    """Answers for *storages* as buckets; everything in them belongs to *owner*."""

    def __init__(self, storages: Storages, owner: str) -> None:
        self._storages = storages
        self._owner = owner

    async def list_buckets(self, _asked: Asked) -> Response:
        """Answer ListBuckets; nobody writes down when a storage was declared."""
        return xml(render_buckets([(name, 0.0) for name in self._storages.by_name], self._owner))

    async def head(self, asked: Asked) -> Response:
        """Answer HeadBucket."""
        storage = self._storages.named(asked.bucket)
        return Response(200, (("X-Amz-Bucket-Region", _region(storage)), *_XML))

    async def locate(self, asked: Asked) -> Response:
        """Answer GetBucketLocation."""
        return xml(render_location(_region(self._storages.named(asked.bucket))))

    async def list_objects(self, asked: Asked) -> Response:
        """Answer ListObjectsV2, and ListObjects, its first version."""
        storage = self._storages.named(asked.bucket)
        second = asked.value("list-type") == "2"
        token = asked.value("continuation-token") if second else ""
        after = asked.value("start-after" if second else "marker")
        most = asked.number("max-keys", _MOST_LISTED, _MOST_LISTED)
        prefix, delimiter = asked.value("prefix"), asked.value("delimiter")
        page = await list_page(
            storage, prefix, delimiter, _parse_token(token) if token else after, most
        )
        listing = Listing(
            bucket=asked.bucket,
            objects=[Listed(o.path, o.size, o.etag, o.modified_at) for o in page.objects],
            prefixes=page.prefixes,
            prefix=prefix,
            delimiter=delimiter,
            max_keys=most,
            after=after,
            token=token,
            following=_render_token(page.following) if second else page.following,
            url=asked.in_url_form,
        )
        if not second:
            return xml(render_listing_v1(listing, self._owner))
        owner = self._owner if asked.value("fetch-owner") == "true" else ""
        return xml(render_listing(listing, owner=owner))

    async def delete_objects(self, asked: Asked) -> Response:
        """Answer DeleteObjects: each key by itself, whatever becomes of the others."""
        storage = self._storages.named(asked.bucket)
        wanted = parse_deletion(await read_document(asked))
        turns = asyncio.Semaphore(_DELETED_AT_ONCE)

        async def delete(key: str) -> S3Error | None:
            try:
                async with turns:
                    await storage.delete(check_key(storage, key))
            except FileloftError as error:
                return s3_error(error)
            return None

        results = await asyncio.gather(*map(delete, wanted.keys))
        told = list(zip(wanted.keys, results, strict=True))
        deleted = [] if wanted.quiet else [key for key, error in told if error is None]
        failed = [(key, error) for key, error in told if error is not None]
        return xml(render_deleted(deleted, failed))


def xml(document: bytes) -> Response:
    """Return the answer that *document* is."""
    return Response(200, _XML, document)


def _region(storage: NamedStorage) -> str:
    return storage.settings.region or DEFAULT_REGION


def _render_token(after: str) -> str:
    return b64encode(after.encode(), _ALTERNATIVES).decode()


def _parse_token(token: str) -> str:
    try:
        return b64decode(token, _ALTERNATIVES, validate=True).decode()
    except ValueError:
        raise InvalidArgumentError(
            "The continuation token is none of this server.", ArgumentName="continuation-token"
        ) from None
