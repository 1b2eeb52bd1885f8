"""Requests whose bodies the SDK would hold in memory: Put Blob and Get Blob, streamed.

The SDK's ``upload_blob`` reads what it puts in one request into one bytes object, its
``download_blob`` gives ranges of megabytes, each a request of its own.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from aiohttp import ClientResponse, ClientSession, ClientTimeout
from yarl import URL

from fileloft_fast.stores.remote.azure.account import CONNECT_S, READ, READ_S, WRITE, Account
from fileloft_fast.stores.remote.azure.failures import answer_error, azure_errors

if TYPE_CHECKING:
    from azure.storage.blob.aio import BlobClient

    from fileloft_fast.stores.remote.body import PieceBody

_TIMEOUT: Final = ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=READ_S)


class Wire:
    """Sends requests on the connections that the SDK uses too."""

    def __init__(self, session: ClientSession, account: Account) -> None:
        self._session = session
        self._account = account

    @asynccontextmanager
    async def request(
        self,
        method: str,
        blob: BlobClient,
        headers: Mapping[str, str],
        *,
        expected: int,
        body: PieceBody | None = None,
    ) -> AsyncGenerator[ClientResponse, None]:
        """Send one request and give its answer to be read; any status but *expected* is an error.

        Errors of the network are those of ``Objects``, also while the answer is read.
        """
        address = await self._account.address(blob, READ if body is None else WRITE)
        whole = {
            "x-ms-version": str(blob.api_version),
            "Accept-Encoding": "identity",  # bytes as they are stored
            **headers,
            **address.headers,
        }
        with azure_errors():
            async with self._session.request(
                method,
                URL(address.url, encoded=True),
                headers=whole,
                data=body,
                timeout=_TIMEOUT,
                allow_redirects=False,
            ) as answer:
                if answer.status != expected:
                    raise answer_error(answer.status, answer.headers.get("x-ms-error-code", ""))
                yield answer
