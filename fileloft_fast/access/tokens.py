"""Tokens to permits: signature, time, issuer and audience, by PyJWT; each token only once.

Which algorithm may have signed follows from the key, and the key from the settings; what a token
says of itself only picks among those.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, Protocol

import jwt
from msgspec import MsgspecError, Struct

from fileloft_fast.access.bearer import UNAUTHORIZED
from fileloft_fast.access.claims import GRANT_AUDIENCE, GRANT_TYPE, permit_of
from fileloft_fast.access.keys import Key, KeySet
from fileloft_fast.errors import UnauthorizedError
from fileloft_fast.observe.log import fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fileloft_fast.config import Settings
    from fileloft_fast.model import Permit, Quota

log = logging.getLogger(__name__)

HS256: Final = ("HS256",)

_KEPT: Final = 10_000  # permits of a few hundred bytes each
# RFC 8725 section 3.11: a token of another kind, such as one for a logout, is none of ours.
_USER_TYPES: Final = frozenset({"", "jwt", "at+jwt", "application/jwt", "application/at+jwt"})
_INVALID: Final = (
    jwt.PyJWTError,
    MsgspecError,
    ValueError,
    TypeError,
    OverflowError,
    RecursionError,
)


class Keys(Protocol):
    """The keys of one issuer."""

    @property
    def version(self) -> int:
        """Another number once a key is no longer one."""

    async def start(self) -> None:
        """Have the keys at hand. Raises ConfigError."""

    async def close(self) -> None:
        """End what works on it."""

    def renew(self) -> None:
        """Begin to look whether they have changed, where that was not done for long."""

    async def candidates(self, header: dict[str, Any]) -> Sequence[Key]:
        """Return the keys that may have signed a token with *header*. KeysUnavailableError."""


class Secrets:
    """Secrets that are shared with the issuer."""

    version = 0

    def __init__(self, secrets: Sequence[str]) -> None:
        self._keys = tuple(Key(secret.encode(), HS256) for secret in secrets)

    async def start(self) -> None:
        """Return at once."""

    async def close(self) -> None:
        """Return at once."""

    def renew(self) -> None:
        """Do nothing: they do not change."""

    async def candidates(self, header: dict[str, Any]) -> Sequence[Key]:  # noqa: ARG002 - Keys
        """Return each of them: a token does not say which."""
        return self._keys


class Issuer(Struct, frozen=True, kw_only=True):
    """Whose tokens are believed, by which keys, and what they must say.

    Empty ``audience``: a token for anybody by name is not for us. ``by_query``: its tokens may come
    in a URL.
    """

    keys: Keys
    audience: tuple[str, ...] = ()
    issuer: tuple[str, ...] = ()
    leeway_s: float = 0.0
    subject_claim: str = "sub"
    by_query: bool = False


def grant_issuer(secrets: Sequence[str]) -> Issuer:
    """Return the issuer of grants."""
    return Issuer(keys=Secrets(secrets), audience=(GRANT_AUDIENCE,), by_query=True)


def user_issuer(settings: Settings) -> Issuer:
    """Return the issuer whose tokens users have."""
    keys: Keys = Secrets(settings.jwt_secrets)
    if settings.jwt_jwks is not None:
        keys = KeySet(settings.jwt_jwks, settings.jwt_jwks_refresh_s)
    return Issuer(
        keys=keys,
        audience=settings.jwt_audience,
        issuer=settings.jwt_issuer,
        leeway_s=settings.jwt_leeway_s,
        subject_claim=settings.jwt_subject,
    )


class Tokens:
    """Verifies tokens of *users* and *grants*, None where such tokens are not taken."""

    def __init__(self, users: Issuer | None, grants: Issuer | None, quota: Quota) -> None:
        self._users = users
        self._grants = grants
        self._quota = quota
        self._known: OrderedDict[bytes, Permit] = OrderedDict()
        self._version = 0

    async def start(self) -> None:
        """Have the keys at hand. Raises ConfigError."""
        if self._users is not None:
            await self._users.keys.start()

    async def close(self) -> None:
        """End what works on keys."""
        if self._users is not None:
            await self._users.keys.close()

    async def permit(self, token: str, *, by_query: bool) -> Permit:
        """Return what *token*, from a URL where *by_query*, allows.

        Raises UnauthorizedError, KeysUnavailableError.
        """
        # By its digest: a copy of the memory must not hold tokens that can still be used.
        name = hashlib.sha256(token.encode()).digest()
        self._forget_former_keys()
        permit = self._known.get(name)
        if permit is None:
            permit = self._known[name] = await self._verified(token)
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(name)
        if permit.expires_at <= time.time():
            del self._known[name]
            raise UnauthorizedError(UNAUTHORIZED)
        if by_query and not permit.by_query:  # URLs are kept in logs and histories
            raise UnauthorizedError(UNAUTHORIZED)
        return permit

    def _forget_former_keys(self) -> None:
        """A permit outlives its token's key in nobody's memory."""
        if self._users is None:
            return
        self._users.keys.renew()
        if self._users.keys.version != self._version:
            self._version = self._users.keys.version
            self._known.clear()

    async def _verified(self, token: str) -> Permit:
        try:
            header = jwt.get_unverified_header(token)
            issuer = self._issuer(header)
            claims = _claims(token, issuer, await issuer.keys.candidates(header))
            return permit_of(
                claims,
                subject_claim=issuer.subject_claim,
                by_query=issuer.by_query,
                leeway_s=issuer.leeway_s,
                quota=self._quota,
            )
        except _INVALID as error:
            log.debug("token refused", extra=fields(error=type(error).__name__, why=error))
            raise UnauthorizedError(UNAUTHORIZED) from error

    def _issuer(self, header: dict[str, Any]) -> Issuer:
        """Return whose token it claims to be; no grant passes as another's, nor the reverse."""
        kind = str(header.get("typ", ""))
        if "crit" in header:
            raise ValueError("crit names what is not understood")
        if kind == GRANT_TYPE and self._grants is not None:
            return self._grants
        if kind.lower() in _USER_TYPES and self._users is not None:
            return self._users
        raise ValueError("typ is that of another kind of token")


def _claims(token: str, issuer: Issuer, keys: Sequence[Key]) -> dict[str, Any]:
    for key in keys:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=list(key.algorithms),
                audience=issuer.audience or None,
                issuer=issuer.issuer or None,
                leeway=issuer.leeway_s,
                options={"require": ["exp", issuer.subject_claim]},
            )
        except jwt.InvalidSignatureError:
            continue
        return claims
    raise ValueError("no key of ours signed it")
