"""A short body in one step, where its appender has to see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fileloft_fast.model import UploadInfo
    from fileloft_fast.stores.store import Appender


async def append_at_once(appender: Appender, body: bytes) -> UploadInfo:
    """Append *body* and acknowledge it. Raises what ``Appender`` does; what came is kept then."""
    try:
        await appender.write(body)
    except BaseException:
        await appender.keep()
        raise
    return await appender.commit()
