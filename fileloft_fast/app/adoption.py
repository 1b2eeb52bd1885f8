"""Before a server serves: what fileloft left in its directory is taken over."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from fileloft_fast.errors import ConfigError
from fileloft_fast.stores.fs.adoption import adopt_at_start

if TYPE_CHECKING:
    from fileloft_fast.config import Settings


async def adopt_uploads(settings: Settings) -> None:
    """Adopt what lies in the data directory of a server on a local disk. Raises ConfigError."""
    if settings.remote:  # fileloft kept such uploads in the bucket
        return
    try:
        await asyncio.get_running_loop().run_in_executor(
            None, adopt_at_start, Path(settings.data_dir), settings.base_path, settings.file_mode
        )
    except OSError as error:
        raise ConfigError(f"FILELOFT_DATA_DIR: {error}") from error
