"""Google's Application Default Credentials: header fields for requests, and signatures.

google-auth blocks, so it runs in threads.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import google.auth
import requests
from google.auth.credentials import Signing, TokenState
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, TransportError
from google.auth.transport.requests import Request

from fileloft_fast.errors import (
    ConfigError,
    RemoteRefusedError,
    RemoteUnavailableError,
    StoreError,
)
from fileloft_fast.observe.log import fields

log = logging.getLogger(__name__)

# What may be done is for the account's roles to say. The narrower scopes of Cloud Storage would not
# let an account without a key of its own sign URLs (IAM signBlob).
_SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform",)
_TIMEOUT_S: Final = 20.0
_T = TypeVar("_T")


class Account(NamedTuple):
    """Who can sign (RSA, SHA-256); without ``sign`` the key is Google's, and IAM has to."""

    email: str
    sign: Callable[[bytes], Awaitable[bytes]] | None


class _Google(Protocol):
    """What is asked of the credentials of google-auth."""

    token: str | None

    @property
    def token_state(self) -> TokenState: ...
    def refresh(self, request: object) -> None: ...
    def apply(self, headers: dict[str, str]) -> None: ...


class Credentials:
    """The credentials of this machine and environment, looked for once and kept fresh.

    *optional*: where there are none, requests go out without any; *machine*: whether the metadata
    server of a machine in Google's cloud is one of the places.
    """

    def __init__(self, *, optional: bool = False, machine: bool = True) -> None:
        self._optional = optional
        self._session = requests.Session()
        transport: Callable[[requests.Session], Any] = Request
        self._transport = functools.partial(transport(self._session), timeout=_TIMEOUT_S)
        self._places: Any = self._transport if machine else self._no_machine
        self._google: _Google | None = None
        self._looked = False
        self._work: asyncio.Task[None] | None = None

    @staticmethod
    def anonymous() -> Credentials:
        """Return what asks nobody, and proves nothing."""
        credentials = Credentials()
        credentials._looked = True
        return credentials

    async def close(self) -> None:
        """Wait for a refresh that is under way, which cannot be stopped."""
        if self._work is not None:
            await asyncio.wait((self._work,))
        self._session.close()

    async def find(self) -> None:
        """Look for the credentials, unless they were found before.

        Raises ConfigError where there are none, or those that are named cannot be used, and
        RemoteUnavailableError where that cannot be told now.
        """
        if not self._looked:
            await self._alone(self._find)

    async def fields(self) -> dict[str, str]:
        """Return the header fields that a request is sent with.

        A token is renewed minutes ahead of its end, while requests go on with it. Raises as
        ``find``; RemoteRefusedError where Google takes the credentials no more.
        """
        await self.find()
        found = self._google
        if found is None:
            return {}
        state = found.token_state
        if state is TokenState.INVALID:
            await self._alone(self._refresh)
        elif state is TokenState.STALE:
            _ = self._begin(self._refresh)
        fields: dict[str, str] = {}
        found.apply(fields)
        return fields

    def reject(self, fields: Mapping[str, str]) -> bool:
        """Renew the token next time, since the store did not take it; False where there is none."""
        found = self._google
        if found is None or found.token is None:
            return found is not None
        if found.token in fields.get("authorization", ""):
            found.token = None
        return True

    async def account(self) -> Account | None:
        """Return who can sign, None without credentials.

        Raises as ``fields``; RemoteRefusedError where the credentials are nobody's who could sign.
        """
        await self.fields()  # by now an account on a machine of Google's knows its own name
        found = self._google
        if found is None:
            return None
        if isinstance(found, Signing):
            return Account(found.signer_email, functools.partial(_in_thread, found.sign_bytes))
        email = getattr(found, "service_account_email", None)
        if not email:
            kind = type(found).__name__
            raise RemoteRefusedError(f"only a service account can sign URLs, not {kind}")
        return Account(email, None)

    async def _alone(self, work: Callable[[], None]) -> None:
        """Wait for *work*, or for what is under way instead of it."""
        await asyncio.shield(self._begin(work))

    def _begin(self, work: Callable[[], None]) -> asyncio.Task[None]:
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(_in_thread(work))
            self._work.add_done_callback(_on_work_done)
        return self._work

    def _find(self) -> None:
        try:
            self._google = google.auth.default(scopes=_SCOPES, request=self._places)[0]
        except DefaultCredentialsError as error:
            # Credentials that are named, but broken, are never passed over in silence.
            if "credentials were not found" not in str(error) or not self._optional:
                raise ConfigError(f"FILELOFT_GCS_BUCKET needs credentials: {error}") from error
            log.warning("no Google credentials, requests to FILELOFT_GCS_ENDPOINT carry none")
        self._looked = True

    def _no_machine(self, *, headers: Mapping[str, str] | None = None, **request: object) -> object:
        """Answer for a metadata server that it is none; pass on what is asked of others."""
        if "metadata-flavor" in (headers or {}):
            return _NoMachine()
        return self._transport(headers=headers, **request)

    def _refresh(self) -> None:
        if self._google is not None:
            self._google.refresh(self._transport)


def _on_work_done(work: asyncio.Task[None]) -> None:
    """Log a failure, which nobody may have waited for."""
    error = None if work.cancelled() else work.exception()
    if error is not None:
        log.warning("no new Google token", extra=fields(reason=error))


async def _in_thread(work: Callable[..., _T], *arguments: bytes) -> _T:
    try:
        return await asyncio.to_thread(work, *arguments)
    except GoogleAuthError as error:
        raise _failure(error) from error


def _failure(error: GoogleAuthError) -> StoreError:
    passing = error.retryable or any(
        isinstance(one, TransportError) for one in (error, error.__cause__)
    )
    if passing:
        return RemoteUnavailableError(f"no Google token now: {error}")
    return RemoteRefusedError(f"Google refuses the credentials: {error}")


class _NoMachine(NamedTuple):
    """The answer of a host that is not a metadata server."""

    status: int = 404
    headers: Mapping[str, str] = {}
    data: bytes = b""
