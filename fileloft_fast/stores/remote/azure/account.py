"""The storage account, and what lets a request in: its key, a signature, or an identity."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from azure.core.exceptions import AzureError
from azure.storage.blob import BlobSasPermissions, UserDelegationKey, generate_blob_sas
from azure.storage.blob.aio import BlobServiceClient
from msgspec import Struct

from fileloft_fast.errors import ConfigError, RemoteRefusedError
from fileloft_fast.stores.remote.azure.failures import azure_errors

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.core.pipeline.transport import AsyncHttpTransport
    from azure.storage.blob.aio import BlobClient

_SCOPE: Final = "https://storage.azure.com/.default"
_REQUEST: Final = timedelta(hours=1)  # a signature is looked at when its request begins
_SKEW: Final = timedelta(minutes=10)  # this machine's clock may be ahead of Azure's
_DELEGATION: Final = timedelta(days=7) - _SKEW  # no delegation key lives longer than a week
CONNECT_S: Final = 20
READ_S: Final = 60

READ: Final = BlobSasPermissions(read=True)
WRITE: Final = BlobSasPermissions(create=True, write=True)


class Address(Struct, frozen=True):
    """Where a request goes, and what lets it in: a signature in *url*, or *headers*."""

    url: str
    headers: Mapping[str, str] = {}


class Account:
    """One storage account; exactly one of key, signature and identity is used."""

    def __init__(
        self, *, connection_string: str | None, account: str | None, endpoint: str | None
    ) -> None:
        told = _parse_connection_string(connection_string or "")
        self.name = told.get("accountname") or account or ""
        self.url = endpoint or told.get("blobendpoint") or _public_url(self.name, told)
        self._key = told.get("accountkey")
        self._signature = told.get("sharedaccesssignature", "").lstrip("?") or None
        self._identity: AsyncTokenCredential | None = None
        self._delegation: tuple[datetime, UserDelegationKey] | None = None
        if not self.url:
            raise ConfigError(
                "FILELOFT_AZURE_CONNECTION_STRING or FILELOFT_AZURE_ACCOUNT says whose container"
                " it is; neither names an account"
            )
        if self._key is not None and not (self.name and _is_key(self._key)):
            raise ConfigError(
                "FILELOFT_AZURE_CONNECTION_STRING has no AccountName, or no AccountKey in base64"
            )
        if self._key is None and self._signature is None:
            self._identity = _default_identity(self.url)

    async def close(self) -> None:
        """End what the identity has open."""
        if self._identity is not None:
            await self._identity.close()

    def connect(self, transport: AsyncHttpTransport) -> BlobServiceClient:  # type: ignore[type-arg]
        """Return the SDK's client. It tries nothing again: when to do so is the flusher's part."""
        key = None if self._key is None else {"account_name": self.name, "account_key": self._key}
        try:
            return BlobServiceClient(
                self.url,
                credential=key or self._signature or self._identity,
                transport=transport,
                retry_total=0,
                connection_timeout=CONNECT_S,
                read_timeout=READ_S,
            )
        except ValueError as error:
            raise ConfigError(f"the Azure account cannot be used: {error}") from error

    async def address(self, blob: BlobClient, permission: BlobSasPermissions) -> Address:
        """Return where a request of our own for *blob* goes, and what lets it in."""
        if self._identity is not None:
            with azure_errors():
                token = await self._identity.get_token(_SCOPE)
            return Address(blob.url, {"Authorization": f"Bearer {token.token}"})
        if self._key is not None:
            return Address(self._signed(blob, permission, _REQUEST, key=self._key))
        return Address(blob.url)  # which ends in the account's signature

    async def sign(self, service: BlobServiceClient, blob: BlobClient, expires_s: int) -> str:
        """Return a URL by which anyone may read *blob*, with an identity for at most a week."""
        lasting = timedelta(seconds=expires_s)
        if self._signature is not None:
            # What the signature allows, deleting for one, is not everyone's.
            raise RemoteRefusedError("a shared access signature cannot sign URLs: use a key")
        if self._key is not None:
            return self._signed(blob, READ, lasting, key=self._key)
        lasting = min(lasting, _DELEGATION)
        return self._signed(blob, READ, lasting, delegation=await self._delegated(service, lasting))

    def _signed(
        self,
        blob: BlobClient,
        permission: BlobSasPermissions,
        lasting: timedelta,
        *,
        key: str | None = None,
        delegation: UserDelegationKey | None = None,
    ) -> str:
        signature = generate_blob_sas(
            blob.account_name or self.name,
            blob.container_name,
            blob.blob_name,
            account_key=key,
            user_delegation_key=delegation,
            permission=permission,
            expiry=datetime.now(UTC) + lasting,
        )
        return f"{blob.url}?{signature}"

    async def _delegated(self, service: BlobServiceClient, lasting: timedelta) -> UserDelegationKey:
        """Return a key that outlives a signature of *lasting*; asked for about once a day."""
        now = datetime.now(UTC)
        if self._delegation is None or self._delegation[0] < now + lasting:
            until = now + min(lasting + timedelta(days=1), _DELEGATION)
            with azure_errors():
                key = await service.get_user_delegation_key(now - _SKEW, until)
            self._delegation = until, key
        return self._delegation[1]


def _parse_connection_string(text: str) -> dict[str, str]:
    """Return the pairs of ``Name=value;…``, names in lower case. Raises ConfigError."""
    pairs = [pair.partition("=") for pair in text.split(";") if pair.strip()]
    if not all(name and equals for name, equals, _ in pairs):
        raise ConfigError("FILELOFT_AZURE_CONNECTION_STRING is not of the form Name=value;…")
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _is_key(text: str) -> bool:
    try:
        return bool(b64decode(text, validate=True))
    except ValueError:
        return False


def _public_url(account: str, told: Mapping[str, str]) -> str:
    if not account:
        return ""
    scheme = told.get("defaultendpointsprotocol", "https")
    return f"{scheme}://{account}.blob.{told.get('endpointsuffix', 'core.windows.net')}"


def _default_identity(url: str) -> AsyncTokenCredential:
    """Return the chain of identities: environment, workload, managed identity, command line."""
    if not url.startswith("https://"):
        raise ConfigError(f"an identity's token is not sent without TLS: {url}")
    try:
        from azure.identity.aio import DefaultAzureCredential  # noqa: PLC0415 - takes 0.8 s
    except ImportError as missing:
        raise ConfigError(
            "an Azure account without a key needs an extra: pip install 'fileloft-fast[azure]'"
        ) from missing
    try:
        # By itself each asks ten times, for minutes; the flusher asks again.
        return DefaultAzureCredential(retry_total=1)
    except (AzureError, ValueError) as error:
        raise ConfigError(f"no Azure identity can be made: {error}") from error
