"""The locks as Redis keeps them: every change is one script, and so happens whole.

An upload has three keys, in one slot of a cluster: ``{tus:ID}:lock`` is the holder's token, or
``~`` and the token of whom it is reserved for; ``{tus:ID}:fence`` is the number of its last
holder, ``{tus:ID}:wait`` the tokens that wait, the oldest first. A token is ``replica:nonce``, and
a replica listens to one channel: so there is a message where somebody waits, and none elsewhere.

Who waits longest gets the upload next, and nobody overtakes: a release reserves it for that one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from redis.exceptions import RedisError

from fileloft_fast.errors import LockServiceError
from fileloft_fast.uploads.leases.contact import Contact

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.commands.core import AsyncScript

    from fileloft_fast.model import UploadId

CHANNEL: Final = "fileloft:"
"""Before a replica's name: the channel of what others tell it, ``ask TOKEN`` and ``turn TOKEN``."""

_ANSWER_S: Final = 2.0
FAILURES: Final = (RedisError, OSError, RuntimeError)
"""What redis-py fails with: uvloop has a RuntimeError for a connection that the peer has reset."""

_RESERVED_MS: Final = 1000
_FENCE_S: Final = 3600

# The fence grows by the server's clock, so that it also grows when Redis has lost what it knew.
# A holder that finds its own token is one whose first answer got lost on the way.
_ACQUIRE: Final = """
local lock, fence, wait = KEYS[1], KEYS[2], KEYS[3]
local me, ttl = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local held = redis.call('GET', lock)
if held and held ~= me and held ~= '~' .. me then
  redis.call('ZADD', wait, 'NX', string.format('%.0f', now), me)
  redis.call('PEXPIRE', wait, ttl)
  if string.sub(held, 1, 1) ~= '~' then
    redis.call('PUBLISH', ARGV[3] .. string.match(held, '^[^:]*'), 'ask ' .. held)
  end
  return {0, redis.call('PTTL', lock), 0}
end
local number = redis.call('GET', fence)
if held ~= me or not number then
  number = string.format('%.0f', math.max(tonumber(number or 0) + 1, now))
end
redis.call('SET', fence, number, 'EX', ARGV[4])
redis.call('SET', lock, me, 'PX', ttl)
redis.call('ZREM', wait, me)
return {1, number, redis.call('ZCARD', wait)}
"""

# A lock that is gone without another holder since (the fence says so) is taken up again: Redis was
# started anew, or the renewal was late and nobody came.
_RENEW: Final = """
local lock, fence, wait = KEYS[1], KEYS[2], KEYS[3]
local me, ttl, number = ARGV[1], ARGV[2], ARGV[3]
local held, last = redis.call('GET', lock), redis.call('GET', fence)
if held ~= me and (held or (last and last ~= number)) then return {0, 0} end
redis.call('SET', fence, number, 'EX', ARGV[4])
redis.call('SET', lock, me, 'PX', ttl)
return {1, redis.call('ZCARD', wait)}
"""

# Also for a claim that waits no longer, and may have been given the upload meanwhile. The fence
# moves, so that a renewal that was overtaken on the way does not take the upload up again.
_RELEASE: Final = """
local lock, fence, wait = KEYS[1], KEYS[2], KEYS[3]
local me = ARGV[1]
redis.call('ZREM', wait, me)
local held = redis.call('GET', lock)
if held ~= me and held ~= '~' .. me then return 0 end
redis.call('INCR', fence)
redis.call('EXPIRE', fence, ARGV[4])
local next = redis.call('ZRANGE', wait, 0, 0)[1]
if next then
  redis.call('ZREM', wait, next)
  redis.call('SET', lock, '~' .. next, 'PX', ARGV[3])
  redis.call('PUBLISH', ARGV[2] .. string.match(next, '^[^:]*'), 'turn ' .. next)
else
  redis.call('DEL', lock)
end
return 1
"""


class Granted(Struct, frozen=True):
    """The upload is held; *wanted* by somebody who waits already."""

    fence: int
    wanted: bool


class Refused(Struct, frozen=True):
    """Somebody else has it, for *ends_s* more seconds unless it is renewed; asked to let go."""

    ends_s: float


class Renewed(Struct, frozen=True):
    """Whether the upload is still held, and wanted by another."""

    held: bool
    wanted: bool


class LockTable:
    """The three changes there are. Each raises LockServiceError within seconds."""

    def __init__(self, client: Redis, ttl_s: float) -> None:
        self._ttl_ms = int(ttl_s * 1000)
        self._acquire = client.register_script(_ACQUIRE)
        self._renew = client.register_script(_RENEW)
        self._release = client.register_script(_RELEASE)
        self._contact = Contact("locks in redis")

    async def acquire(self, upload: UploadId, token: str) -> Granted | Refused:
        """Take the upload for *token*, or stand in line for it and ask its holder to let go."""
        answer = await self._call(
            self._acquire, _keys(upload), [token, self._ttl_ms, CHANNEL, _FENCE_S]
        )
        if answer[0]:
            return Granted(int(answer[1]), answer[2] > 0)
        return Refused(max(answer[1], 0) / 1000)

    async def renew(self, upload: UploadId, token: str, fence: int) -> Renewed:
        """Hold the upload for another term."""
        answer = await self._call(
            self._renew, _keys(upload), [token, self._ttl_ms, fence, _FENCE_S]
        )
        return Renewed(bool(answer[0]), answer[1] > 0)

    async def release(self, upload: UploadId, token: str) -> None:
        """Give the upload, or the place in the line, to who is next."""
        await self._call(self._release, _keys(upload), [token, CHANNEL, _RESERVED_MS, _FENCE_S])

    async def _call(
        self, script: AsyncScript, keys: list[str], values: list[str | int]
    ) -> list[Any]:
        try:
            async with asyncio.timeout(_ANSWER_S):
                answer = await _call_twice(script, keys, values)
        except FAILURES as error:  # TimeoutError is an OSError
            self._contact.lost(error)
            raise LockServiceError("the locks in Redis cannot be reached") from error
        self._contact.made()
        return answer


async def _call_twice(script: AsyncScript, keys: list[str], values: list[str | int]) -> list[Any]:
    """Run *script*, and once more if that fails: a connection at hand may be one that is closed.

    Each of the scripts may be run twice.
    """
    try:
        answer: list[Any] = await script(keys=keys, args=values)
    except FAILURES:
        answer = await script(keys=keys, args=values)
    return answer


def _keys(upload: UploadId) -> list[str]:
    return [f"{{tus:{upload}}}:{name}" for name in ("lock", "fence", "wait")]
