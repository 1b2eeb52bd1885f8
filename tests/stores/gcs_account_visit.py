"""What a server does with a bucket, as a program: its environment is the operator's.

``python -m tests.stores.gcs_account_visit ENDPOINT`` finds credentials as in Google's cloud, uses
the bucket at ENDPOINT with them, and prints one JSON value: what came of it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime

from fileloft_fast.stores.remote.gcs.client import Client
from fileloft_fast.stores.remote.gcs.credentials import Credentials
from fileloft_fast.stores.remote.gcs.signing import UrlSigner


async def visit(endpoint: str) -> dict[str, object]:
    credentials = Credentials(machine=True)
    client = Client(endpoint, credentials)
    signer = UrlSigner(client, iam=endpoint)
    await client.start()
    await signer.start()
    try:
        began = datetime.now(UTC)
        upload = "/upload/storage/v1/b/tusbucket/o?uploadType=media&name=key"
        statuses = [(await client.ask("POST", upload, body=b"12345")).status for _ in range(3)]
        account = await credentials.account()
        assert account is not None
        return {
            "statuses": statuses,
            "email": account.email,
            "has a key": account.sign is not None,
            "url": await signer.sign("/tusbucket/key", 60),
            "took": (datetime.now(UTC) - began).total_seconds(),
        }
    finally:
        await client.close()
        await signer.close()
        await credentials.close()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(visit(sys.argv[1]))))
