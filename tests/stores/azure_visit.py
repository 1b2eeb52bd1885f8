"""What a server does with a container, as a program: its environment is the operator's.

``python -m tests.stores.azure_visit ENDPOINT`` prints one JSON value: what came of each call.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Awaitable

from fileloft_fast.errors import FileloftError
from fileloft_fast.stores.remote.azure import AzureObjects
from fileloft_fast.stores.remote.objects import Attributes, ObjectHead


async def outcome(call: Awaitable[object]) -> object:
    try:
        found = await call
    except FileloftError as error:
        return f"{type(error).__name__}: {error}"
    if isinstance(found, tuple):
        return found[0].decode()
    return found.size if isinstance(found, ObjectHead) else found


async def visit(endpoint: str) -> dict[str, object]:
    objects = AzureObjects(container="uploads", endpoint=endpoint)
    await objects.start()
    try:
        return {
            "fetch": await outcome(objects.fetch("key")),
            "head": await outcome(objects.head("key")),
            "put": await outcome(objects.put("key", b"12345", Attributes())),
            "sign": [await outcome(objects.sign("key", 60)) for _ in range(2)],
            "sign for long": await outcome(objects.sign("key", 30 * 86_400)),
            "join": await outcome(
                objects.join("all", [ObjectHead(key="key", size=5, tag='"1"')], Attributes())
            ),
        }
    finally:
        await objects.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)  # on standard error, where the test wants nothing
    sys.stdout.write(json.dumps(asyncio.run(visit(sys.argv[1]))))
