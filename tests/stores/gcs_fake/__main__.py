"""``python -m tests.stores.gcs_fake --port 0``: serve until killed; the address is printed."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from aiohttp import web

from tests.stores.gcs_fake.bucket import Bucket
from tests.stores.gcs_fake.control import Control
from tests.stores.gcs_fake.identity import Identity
from tests.stores.gcs_fake.server import GoogleStorage


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="gcs_fake")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--bucket", default="tusbucket")
    parser.add_argument("--directory", type=Path, help="a new one that is left behind, by default")
    parser.add_argument("--key", type=Path, help="PEM file of the one service account's key")
    parser.add_argument("--auth", action="store_true", help="ask for tokens")
    parser.add_argument("--page", type=int, default=1000, help="names in a page of a list")
    return parser.parse_args()


async def _serve(arguments: argparse.Namespace) -> None:
    bucket = Bucket(arguments.directory or Path(tempfile.mkdtemp(prefix="gcs-fake-")))
    identity = Identity(arguments.key, required=arguments.auth)
    storage = GoogleStorage(arguments.bucket, bucket, identity, arguments.page)
    application = web.Application(client_max_size=1 << 32)
    control = Control(storage.faults, bucket, identity)
    application.add_subapp("/_fake", control.application())
    application.router.add_route("*", "/{path:.*}", storage.serve)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", arguments.port, reuse_address=True)
    await site.start()
    port = runner.addresses[0][1]
    sys.stdout.write(f"http://127.0.0.1:{port}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(_serve(_arguments()))
