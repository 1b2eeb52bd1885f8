"""aiotus_upload ENDPOINT FILE [multiple]: upload FILE with aiotus and print the upload's URL.

"multiple" sends it as three partial uploads that the server puts together.
"""

from __future__ import annotations

import asyncio
import io
import sys
from pathlib import Path

import aiotus


async def upload(endpoint: str, content: bytes, *, multiple: bool) -> None:
    config = aiotus.RetryConfiguration(retry_attempts=20, max_retry_period_seconds=0.05)
    metadata = {"filename": b"sample.bin"}
    if multiple:
        third = len(content) // 3
        parts = [content[:third], content[third : 2 * third], content[2 * third :]]
        location = await aiotus.upload_multiple(
            endpoint, [io.BytesIO(part) for part in parts], metadata, config=config
        )
    else:
        location = await aiotus.upload(endpoint, io.BytesIO(content), metadata, config=config)
    if location is None:
        raise SystemExit("aiotus gave up")
    held = await aiotus.metadata(location, config=config)
    assert held == metadata, held
    sys.stdout.write(f"{location}\n")


if __name__ == "__main__":
    content = Path(sys.argv[2]).read_bytes()
    asyncio.run(upload(sys.argv[1], content, multiple="multiple" in sys.argv[3:]))
