"""The client of aiobotocore: how it is set up, and where its credentials come from."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from typing import Any, Final

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession, get_session
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    MetadataRetrievalError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as NoConnectionError

from fileloft_fast.errors import ConfigError, RemoteRefusedError, RemoteUnavailableError

_CONNECT_S: Final = 10

_NO_CREDENTIALS: Final = (
    "no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; "
    "no role of a container, a web identity or an instance was found either"
)

# The source is there, and fails: it may answer later.
_LATER: Final = (
    CredentialRetrievalError,
    HTTPClientError,
    MetadataRetrievalError,
    NoConnectionError,
    TokenRetrievalError,
)


class Connection:
    """One client for the whole process: making one takes a good part of a second.

    Credentials, where no *keys* are given, are botocore's chain: environment, profile, web
    identity, container, instance metadata; they are renewed by it too.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        region: str,
        path_style: bool,
        keys: tuple[str, str] | None,
        answer_s: float,
    ) -> None:
        self._endpoint = endpoint or None
        self._region = region
        self._keys = keys
        self._config = _config(path_style=path_style, answer_s=answer_s)
        self._stack = AsyncExitStack()
        self._making = asyncio.Lock()
        self._client: Any = None

    async def start(self) -> None:
        """Make the client, once. ConfigError where there are no credentials, nor may they come."""
        if self._client is not None:
            return
        with suppress(RemoteUnavailableError):  # who gives credentials is asked again at each use
            self._client = await self._make()

    async def close(self) -> None:
        """Close what is open."""
        await self._stack.aclose()

    async def client(self) -> Any:  # noqa: ANN401 - botocore makes its classes at run time
        """Return the client. Raises RemoteUnavailableError while there are no credentials."""
        async with self._making:
            if self._client is None:
                try:
                    self._client = await self._make()
                except ConfigError as error:
                    raise RemoteRefusedError(str(error)) from error
        return self._client

    async def _make(self) -> Any:  # noqa: ANN401
        try:
            session = get_session()
            if self._keys is None:
                await _find_credentials(session)
            else:
                session.set_credentials(*self._keys)
            client = await self._stack.enter_async_context(
                session.create_client(
                    "s3",
                    endpoint_url=self._endpoint,
                    region_name=self._region
                    or session.get_config_variable("region")
                    or "us-east-1",
                    config=self._config,
                )
            )
        except _LATER as error:
            raise RemoteUnavailableError(f"AWS credentials: {error}") from error
        except (BotoCoreError, ClientError, ValueError) as error:  # ValueError: no URL
            raise ConfigError(f"S3: {error}") from error
        client.meta.events.register_last("before-call.s3", _expect_nothing)
        return client


def _expect_nothing(params: dict[str, Any], **_: object) -> None:
    """Take ``Expect: 100-continue`` back, which botocore adds to every body that is no bytes.

    aiohttp would wait for the answer without a limit. It stops sending anyway where an error comes
    before the body has left.
    """
    params["headers"].pop("Expect", None)


async def _find_credentials(session: AioSession) -> None:
    """Raise ConfigError where the chain ends without any.

    An instance's metadata that was named, but does not answer, may do so later; unnamed it is only
    where one looks last, on every machine.
    """
    if await session.get_credentials() is not None:
        return
    if session.get_config_variable("ec2_metadata_service_endpoint"):
        raise RemoteUnavailableError("no AWS credentials from the instance's metadata yet")
    raise ConfigError(_NO_CREDENTIALS)


def _config(*, path_style: bool, answer_s: float) -> AioConfig:
    return AioConfig(
        signature_version="s3v4",
        s3={
            "addressing_style": "path" if path_style else "auto",
            "payload_signing_enabled": False,  # no SHA-256 of bodies: CRC-32C and TLS do that job
        },
        # Else botocore adds a CRC-32 of its own to every body, which others than AWS may refuse.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        parameter_validation=False,
        retries={"mode": "standard", "total_max_attempts": 1},  # the caller knows when to try again
        connect_timeout=_CONNECT_S,
        read_timeout=answer_s,
        # Every download that is passed on holds one; it is the server that limits those.
        max_pool_connections=65_536,
        tcp_keepalive=True,
    )
