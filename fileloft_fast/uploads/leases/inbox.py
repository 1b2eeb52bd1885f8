"""What other replicas tell this one: a subscription that mends itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from redis.exceptions import ConnectionError as RedisConnectionError

from fileloft_fast.flush.retry import Backoff
from fileloft_fast.uploads.leases.contact import Contact
from fileloft_fast.uploads.leases.table import FAILURES

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.client import PubSub

_QUIET_S: Final = 5.0
_FIRST_RETRY_S: Final = 0.05
_LAST_RETRY_S: Final = 1.0


class Inbox:
    """Reads *channel* and hands each message on; *on_open* is called whenever it is open (again).

    Messages that come while it is not open are lost: nobody may depend on one.
    """

    def __init__(
        self,
        client: Redis,
        channel: str,
        *,
        on_message: Callable[[str], None],
        on_open: Callable[[], None],
    ) -> None:
        self._client = client
        self._channel = channel
        self._on_message = on_message
        self._on_open = on_open
        self._contact = Contact("messages through redis")

    async def run(self) -> None:
        """Read until cancelled."""
        backoff = Backoff(_FIRST_RETRY_S, _LAST_RETRY_S)
        while True:
            try:
                async with self._client.pubsub() as messages:
                    async with asyncio.timeout(_QUIET_S):
                        await messages.subscribe(self._channel)
                    await self._read(messages, backoff)
            except FAILURES as error:
                self._contact.lost(error)
            await asyncio.sleep(backoff.next_s())

    async def _read(self, messages: PubSub, backoff: Backoff) -> None:
        """Read until the connection fails, or is silent although it was spoken to."""
        asked = False
        while True:
            message = await messages.get_message(timeout=_QUIET_S)
            if message is not None:
                asked = False
                self._take(message, backoff)
            elif asked:
                raise RedisConnectionError("no answer to PING")
            else:  # a connection that a firewall forgot looks like this too
                asked = True
                async with asyncio.timeout(_QUIET_S):
                    await messages.ping()

    def _take(self, message: dict[str, str], backoff: Backoff) -> None:
        if message["type"] == "message":
            self._on_message(message["data"])
        elif message["type"] == "subscribe":
            backoff.reset()
            self._contact.made()
            self._on_open()
