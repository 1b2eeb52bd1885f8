"""``sweep``: delete once what has expired and what belongs to no upload, without serving."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import uvloop

from fileloft_fast.app import DirectoryTakenError, opened_storage
from fileloft_fast.app.shards import alone
from fileloft_fast.cli.progress import counting
from fileloft_fast.errors import ConfigError, FileloftError

if TYPE_CHECKING:
    from fileloft_fast.config import Settings


def sweep(settings: Settings) -> int:
    """Sweep, print what was deleted, and return the exit status. Blocks.

    1 where a server works in the data directory, or where the storage fails: what was deleted
    before is deleted. Raises ConfigError where the settings cannot be worked with.
    """
    try:
        return uvloop.run(_sweep(settings))
    except DirectoryTakenError:
        return _failed(f"the server that works in {settings.data_dir} sweeps by itself")
    except ConfigError:
        raise
    except FileloftError as error:
        return _failed(f"sweep ended early: {error}")


async def _sweep(settings: Settings) -> int:
    async with opened_storage(alone(settings)) as storage:
        if settings.enable_expiration:
            with counting("uploads") as on_seen:
                removed, seen = await storage.sweeper.sweep(on_seen)
            sys.stdout.write(f"expired uploads deleted: {removed} of {seen}\n")
        else:
            sys.stdout.write("expired uploads: uploads do not expire\n")
        sys.stdout.write(f"leftovers deleted: {await storage.store.tidy()}\n")
    return 0


def _failed(why: str) -> int:
    sys.stderr.write(f"fileloft-fast: {why}\n")
    return 1
