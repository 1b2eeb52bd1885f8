"""URLs by which anyone may read an object for a while (V4 signatures)."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Struct

from fileloft_fast.errors import RemoteUnavailableError
from fileloft_fast.stores.remote.gcs.client import Client, failure
from fileloft_fast.stores.remote.gcs.resources import render_query

if TYPE_CHECKING:
    from fileloft_fast.stores.remote.gcs.credentials import Account

LONGEST_S: Final = 7 * 24 * 3600
"""Google takes no signature that lasts longer."""

IAM: Final = "https://iamcredentials.googleapis.com"

_ALGORITHM: Final = "GOOG4-RSA-SHA256"


class SignedBlob(Struct, frozen=True, rename="camel"):
    """What IAM answers."""

    signed_blob: str


class UnsignedUrl(Struct, frozen=True):
    """A GET of *path* by *email*, from *now* on, before it is signed."""

    endpoint: str
    path: str
    email: str
    now: datetime
    expires_s: int

    @property
    def text(self) -> bytes:
        """What is signed."""
        host = urlsplit(self.endpoint).netloc
        request = f"GET\n{self.path}\n{self._query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"
        digest = hashlib.sha256(request.encode()).hexdigest()
        return f"{_ALGORITHM}\n{self._date}\n{self._scope}\n{digest}".encode()

    def url(self, signed: bytes) -> str:
        """Return the URL with the signature."""
        return f"{self.endpoint}{self.path}?{self._query}&X-Goog-Signature={signed.hex()}"

    @property
    def _date(self) -> str:
        return f"{self.now:%Y%m%dT%H%M%SZ}"

    @property
    def _scope(self) -> str:
        return f"{self.now:%Y%m%d}/auto/storage/goog4_request"

    @property
    def _query(self) -> str:
        """The query, whose names must be in order."""
        pairs = {
            "X-Goog-Algorithm": _ALGORITHM,
            "X-Goog-Credential": f"{self.email}/{self._scope}",
            "X-Goog-Date": self._date,
            "X-Goog-Expires": str(self.expires_s),
            "X-Goog-SignedHeaders": "host",
        }
        return render_query(**pairs)


async def sign_blob(iam: Client, account: Account, text: bytes) -> bytes:
    """Have IAM sign for an account whose key nobody has; its role has to allow that."""
    answer = await iam.ask(
        "POST",
        f"/v1/projects/-/serviceAccounts/{quote(account.email)}:signBlob",
        headers={"Content-Type": "application/json"},
        body=msgspec.json.encode({"payload": base64.b64encode(text).decode()}),
    )
    if answer.status != 200:
        raise failure(answer, f"IAM signBlob for {account.email}")
    try:
        return base64.b64decode(msgspec.json.decode(answer.body, type=SignedBlob).signed_blob)
    except ValueError as error:
        raise RemoteUnavailableError(f"an answer that is not IAM's: {error}") from error


class UrlSigner:
    """Signs for whoever the credentials are of."""

    def __init__(self, client: Client, iam: str = IAM) -> None:
        self._client = client
        self._iam = Client(iam, client.credentials)

    async def start(self) -> None:
        """Open the way to IAM. Connects to nothing."""
        await self._iam.start()

    async def close(self) -> None:
        """End every connection."""
        await self._iam.close()

    async def sign(self, path: str, expires_s: int) -> str | None:
        """Return a URL for a GET of *path* (``/bucket/key``); None without credentials."""
        account = await self._client.credentials.account()
        if account is None:
            return None
        url = UnsignedUrl(
            endpoint=self._client.endpoint,
            path=path,
            email=account.email,
            now=datetime.now(UTC),
            expires_s=min(expires_s, LONGEST_S),
        )
        if account.sign is None:
            return url.url(await sign_blob(self._iam, account, url.text))
        return url.url(await account.sign(url.text))
