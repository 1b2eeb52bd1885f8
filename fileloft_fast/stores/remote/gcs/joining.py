"""Objects made of objects within the store (compose), however many there are."""

from __future__ import annotations

import itertools
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

import msgspec

from fileloft_fast.errors import CannotJoinError, ObjectNotFoundError, StoreError
from fileloft_fast.observe.log import fields
from fileloft_fast.stores.remote.gcs.client import Client, failure, is_missing
from fileloft_fast.stores.remote.gcs.resources import object_path, parse_head, render_resource
from fileloft_fast.stores.remote.objects import Attributes, ObjectHead

log = logging.getLogger(__name__)

MOST_SOURCES: Final = 32
"""Of one request."""

_UNKNOWN: Final = frozenset({405, 501})


class Joiner:
    """Makes objects of objects in *bucket*."""

    def __init__(
        self, client: Client, bucket: str, delete: Callable[[str], Awaitable[None]]
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._delete = delete

    async def join(
        self, key: str, sources: Sequence[ObjectHead], attributes: Attributes
    ) -> ObjectHead:
        """Make *key* of *sources*; more than 32 by way of objects that are deleted afterwards."""
        names = _names_between(key)
        made: list[ObjectHead] = []
        level = list(sources)
        try:
            while len(level) > MOST_SOURCES:
                lower, level = level, []
                for at in range(0, len(lower), MOST_SOURCES):
                    group = lower[at : at + MOST_SOURCES]
                    # The name of the upload, for the sweeper that finds it after a crash.
                    between = Attributes(metadata=attributes.metadata)
                    made.append(await self._compose(next(names), group, between))
                    level.append(made[-1])
            return await self._compose(key, level, attributes)
        finally:
            await self._clear([head.key for head in made])

    async def _compose(
        self, key: str, sources: Sequence[ObjectHead], attributes: Attributes
    ) -> ObjectHead:
        """Make an object of up to 32, each of the version that is named."""
        body = {
            "sourceObjects": [{"name": one.key, "generation": one.tag} for one in sources],
            "destination": msgspec.Raw(render_resource(attributes)),
        }
        answer = await self._client.ask(
            "POST",
            f"/storage/v1{object_path(self._bucket, key)}/compose?ifGenerationMatch=0",
            headers={"Content-Type": "application/json; charset=UTF-8"},
            body=msgspec.json.encode(body),
        )
        if answer.status == 200:
            return parse_head(answer.body)
        if is_missing(answer):
            raise ObjectNotFoundError(f"joining {key}: a source is not there")
        if answer.status in _UNKNOWN:
            raise CannotJoinError("the store does not know compose")
        raise failure(answer, f"joining {key}")

    async def _clear(self, keys: Sequence[str]) -> None:
        """Delete what was between; one that stays costs space, and must not undo a join."""
        for key in keys:
            try:
                await self._delete(key)
            except StoreError as error:
                log.warning("left behind by a join", extra=fields(key=key, reason=error))


def _names_between(key: str) -> Iterator[str]:
    """Yield names for what is made on the way; their first eight digits are the time, in seconds.

    By it a sweeper knows what a crash has left behind.
    """
    nonce = f"{int(time.time()):08x}{secrets.token_hex(8)}"
    return (f"{key}.join-{nonce}-{number}" for number in itertools.count())
