"""Google Cloud Storage as ``Objects``."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from fileloft_fast.dataplane import digest_of
from fileloft_fast.errors import CannotJoinError, ObjectNotFoundError, StoreError
from fileloft_fast.observe.log import fields
from fileloft_fast.stores.remote.body import Read, read_range
from fileloft_fast.stores.remote.gcs.bodies import RelatedBody
from fileloft_fast.stores.remote.gcs.client import Client, failure, is_missing
from fileloft_fast.stores.remote.gcs.credentials import Credentials
from fileloft_fast.stores.remote.gcs.joining import Joiner
from fileloft_fast.stores.remote.gcs.reading import read_object, read_whole
from fileloft_fast.stores.remote.gcs.resources import (
    object_path,
    parse_head,
    parse_listing,
    render_condition,
    render_query,
    render_resource,
)
from fileloft_fast.stores.remote.gcs.session import Sessions, Whole
from fileloft_fast.stores.remote.gcs.signing import UrlSigner
from fileloft_fast.stores.remote.objects import ABSENT, Limits, ObjectHead, Piece, Receipt

if TYPE_CHECKING:
    from fileloft_fast.stores.remote.objects import Attributes, Condition, OpenSession, Pace

log = logging.getLogger(__name__)

GOOGLE: Final = "https://storage.googleapis.com"
_GRANULE: Final = 256 * 1024
_LARGEST: Final = 5 * 1024**4
_API: Final = "/storage/v1"

LIMITS: Final = Limits(
    smallest_part=_GRANULE,
    largest_part=_LARGEST,
    most_parts=2**31,  # a session counts bytes, not parts
    largest_object=_LARGEST,
    granule=_GRANULE,
    sequential=True,
    last_completes=True,
)


class GcsObjects:
    """A bucket; see ``Objects``.

    *endpoint* is Google's own by default. Where one is given and no credentials are found,
    requests carry none, as emulators like it; *anonymous*: they are not even looked for.
    """

    def __init__(
        self,
        *,
        bucket: str,
        endpoint: str | None = None,
        pace: Pace | None = None,
        read: Read = read_range,
        anonymous: bool = False,
    ) -> None:
        origin = _origin(endpoint or GOOGLE)
        self._credentials = (
            Credentials.anonymous()
            if anonymous
            # A machine's own token is not for a store that is reached in the clear.
            else Credentials(optional=endpoint is not None, machine=origin.startswith("https:"))
        )
        self._bucket = bucket
        self._pace = pace
        self._read = read
        self._client = Client(origin, self._credentials)
        self._uploads = f"/upload{_API}/b/{quote(bucket, safe='')}/o"
        self._sessions = Sessions(self._client, self._uploads, pace, read)
        self._joiner = Joiner(self._client, bucket, self.delete)
        self._signer = UrlSigner(self._client)

    @property
    def limits(self) -> Limits:
        """See ``Objects``."""
        return LIMITS

    async def start(self) -> None:
        """See ``Objects``."""
        try:
            await self._credentials.find()
        except StoreError as error:
            log.warning("Google credentials cannot be had yet", extra=fields(reason=error))
        await self._client.start()
        await self._signer.start()

    async def close(self) -> None:
        """See ``Objects``."""
        await self._client.close()
        await self._signer.close()
        await self._credentials.close()

    async def create(self, key: str, attributes: Attributes) -> str:
        """See ``Objects``; the object must not be there when the session ends."""
        return await self._sessions.create(key, attributes)

    async def put_part(
        self,
        key: str,  # noqa: ARG002 - the session knows it
        session: str,
        number: int,
        offset: int,
        piece: Piece,
    ) -> Receipt:
        """See ``Objects``."""
        await self._sessions.put(session, offset, piece)
        return Receipt(number, piece.length, "", piece.crc32c)

    async def list_parts(self, key: str, session: str) -> list[Receipt]:  # noqa: ARG002
        """See ``Objects``: one receipt for all the bytes there are."""
        return [Receipt(0, await self._sessions.persisted(session), "", 0)]

    async def complete(  # noqa: PLR0913 - as ``Objects`` has it
        self,
        key: str,  # noqa: ARG002 - the session knows it
        session: str,
        receipts: Sequence[Receipt],  # noqa: ARG002 - the session knows what it has
        *,
        size: int,
        crc32c: int,
        attributes: Attributes,  # noqa: ARG002 - those of the session
        condition: Condition | None = ABSENT,
        last: Piece | None = None,
    ) -> ObjectHead:
        """See ``Objects``; attributes and condition are those of ``create``."""
        assert condition == ABSENT
        return await self._sessions.finish(session, last, Whole(size, crc32c))

    async def abort(self, key: str, session: str) -> None:  # noqa: ARG002
        """See ``Objects``."""
        await self._sessions.cancel(session)

    async def get(self, key: str, start: int, length: int) -> AsyncGenerator[bytes, None]:
        """See ``Objects``."""
        if not length and await self.head(key) is None:  # no range is empty
            raise ObjectNotFoundError(f"no such object: {key}")
        async with aclosing(read_object(self._client, self._path(key), start, length)) as pieces:
            async for piece in pieces:
                yield piece

    async def head(self, key: str) -> ObjectHead | None:
        """See ``Objects``."""
        answer = await self._client.ask("GET", self._path(key))
        if answer.status == 200:
            return parse_head(answer.body)
        if is_missing(answer):
            return None
        raise failure(answer, f"looking for {key}")

    async def put(
        self,
        key: str,
        content: Piece | bytes,
        attributes: Attributes,
        condition: Condition | None = None,
    ) -> ObjectHead:
        """See ``Objects``."""
        crc32c = _crc32c(content) if isinstance(content, bytes) else content.crc32c
        query = render_query(
            uploadType="multipart", name=key, ifGenerationMatch=render_condition(condition)
        )
        resource = render_resource(attributes, name=key, crc32c=crc32c)
        with RelatedBody(
            resource, content, attributes.content_type, pace=self._pace, read=self._read
        ) as body:
            headers = {"Content-Type": body.content_type_field}
            answer = await self._client.ask(
                "POST", f"{self._uploads}?{query}", headers=headers, body=body
            )
        if answer.status not in {200, 201}:
            raise failure(answer, f"putting {key}")
        return parse_head(answer.body)

    async def fetch(self, key: str) -> tuple[bytes, str] | None:
        """See ``Objects``."""
        try:
            return await read_whole(self._client, self._path(key))
        except ObjectNotFoundError:
            return None

    async def delete(self, key: str) -> None:
        """See ``Objects``."""
        answer = await self._client.ask("DELETE", self._path(key))
        if answer.status not in {200, 204} and not is_missing(answer):
            raise failure(answer, f"deleting {key}")

    async def sign(self, key: str, expires_s: int) -> str:
        """See ``Objects``; without credentials, of an emulator, the plain address."""
        path = f"/{quote(self._bucket, safe='')}/{quote(key, safe='/~')}"
        signed = await self._signer.sign(path, expires_s)
        if signed is not None:
            return signed
        return f"{self._client.endpoint}/download{self._path(key)}?alt=media"

    async def join(
        self, key: str, sources: Sequence[ObjectHead], attributes: Attributes
    ) -> ObjectHead:
        """See ``Objects``."""
        if not sources or sum(source.size for source in sources) > _LARGEST:
            raise CannotJoinError("nothing to join, or more than an object may hold")
        return await self._joiner.join(key, sources, attributes)

    async def list_keys(self, prefix: str) -> AsyncIterator[str]:
        """See ``Objects``."""
        page: str | None = None
        while page != "":
            query = render_query(prefix=prefix, fields="items(name),nextPageToken", pageToken=page)
            path = f"{_API}/b/{quote(self._bucket, safe='')}/o?{query}"
            answer = await self._client.ask("GET", path)
            if answer.status != 200:
                raise failure(answer, f"listing {prefix}")
            listing = parse_listing(answer.body)
            for resource in listing.items:
                yield resource.name
            page = listing.next_page_token

    async def list_sessions(self, prefix: str) -> AsyncIterator[OpenSession]:  # noqa: ARG002
        """See ``Objects``: Google lists no sessions. They end by themselves after a week."""
        nothing: tuple[OpenSession, ...] = ()
        for session in nothing:
            yield session

    def _path(self, key: str) -> str:
        return f"{_API}{object_path(self._bucket, key)}"


def _origin(endpoint: str) -> str:
    """Return scheme and host; ``STORAGE_EMULATOR_HOST`` often has no scheme."""
    origin = endpoint if "://" in endpoint else f"http://{endpoint}"
    return origin.rstrip("/")


def _crc32c(content: bytes) -> int:
    return int.from_bytes(digest_of("crc32c", content), "big")
