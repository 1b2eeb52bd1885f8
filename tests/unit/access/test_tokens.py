"""Tokens: which algorithms count with which keys, and what is remembered of a token."""

from __future__ import annotations

import asyncio
import base64
import hmac
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fileloft_fast.access import tokens as module
from fileloft_fast.access.bearer import token_of
from fileloft_fast.access.keys import Key, KeySet
from fileloft_fast.access.tokens import Issuer, Secrets, Tokens, grant_issuer
from fileloft_fast.errors import UnauthorizedError
from fileloft_fast.model import Operation, Quota, RequestHead
from tests.tokens import (
    FORMER_SECRET,
    GRANT_SECRET,
    JWT_SECRET,
    claims,
    forged,
    grant,
    jwks,
    private_key,
    shared,
    signed,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Counted(Secrets):
    """Secrets that count how often they are asked for."""

    def __init__(self, *secrets: str) -> None:
        super().__init__(secrets)
        self.asked = 0
        self.version = 0

    async def candidates(self, header: dict[str, Any]) -> Sequence[Key]:
        self.asked += 1
        return await super().candidates(header)


def users(keys: Any, **more: Any) -> Tokens:
    return Tokens(Issuer(keys=keys, **more), None, Quota(bytes=7, uploads=8, rate=9))


@pytest.mark.parametrize("key", ["rsa-1", "ec-1", "ed-1"])
def test_every_kind_of_key_verifies(tmp_path: Path, key: str) -> None:
    async def scene() -> None:
        (tmp_path / "jwks").write_bytes(jwks("rsa-1", "ec-1", "ed-1"))
        keys = KeySet(str(tmp_path / "jwks"), 300)
        await keys.start()
        tokens = users(keys, audience=("uploads",))
        assert (await tokens.permit(signed(claims(), key), by_query=False)).subject == "alice"
        if key == "rsa-1":
            pss = jwt.encode(claims(), private_key(key), "PS256", headers={"kid": key})
            assert (await tokens.permit(pss, by_query=False)).subject == "alice"
            sha512 = jwt.encode(claims(), private_key(key), "RS512", headers={"kid": key})
            with pytest.raises(UnauthorizedError):
                await tokens.permit(sha512, by_query=False)

    asyncio.run(scene())


def test_a_token_is_verified_once() -> None:
    async def scene() -> None:
        keys = Counted(JWT_SECRET)
        tokens = users(keys)
        token = shared()
        permits = [await tokens.permit(token, by_query=False) for _ in range(5)]
        assert keys.asked == 1
        assert all(permit is permits[0] for permit in permits)

    asyncio.run(scene())


def test_a_permit_ends_with_its_token(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        tokens = users(Counted(JWT_SECRET), leeway_s=5.0)
        now = time.time()
        token = shared(exp=int(now) + 10)
        await tokens.permit(token, by_query=False)
        monkeypatch.setattr(time, "time", lambda: now + 14)
        await tokens.permit(token, by_query=False)
        monkeypatch.setattr(time, "time", lambda: now + 16)
        with pytest.raises(UnauthorizedError):
            await tokens.permit(token, by_query=False)

    asyncio.run(scene())


def test_a_permit_ends_with_its_key() -> None:
    async def scene() -> None:
        keys = Counted(JWT_SECRET)
        tokens = users(keys)
        token = shared()
        await tokens.permit(token, by_query=False)
        keys._keys, keys.version = Secrets(["another secret of 32 bytes or more"])._keys, 1
        with pytest.raises(UnauthorizedError):
            await tokens.permit(token, by_query=False)

    asyncio.run(scene())


def test_no_more_permits_are_kept_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        monkeypatch.setattr(module, "_KEPT", 3)
        tokens = users(Counted(JWT_SECRET))
        for name in ("a", "b", "c", "d"):
            await tokens.permit(shared(name), by_query=False)
        assert len(tokens._known) == 3
        assert not any(isinstance(key, str) for key in tokens._known), "no token is kept"

    asyncio.run(scene())


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # other work may run
@given(
    st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jwk"]), json_values),
    st.dictionaries(
        st.sampled_from(["exp", "nbf", "iat", "aud", "iss", "sub", "jti", "fileloft"]), json_values
    ),
    st.binary(max_size=8),
)
def test_whatever_a_token_says_it_is_refused_or_right(
    header: dict[str, Any], told: dict[str, Any], signature: bytes
) -> None:
    async def scene() -> None:
        tokens = Tokens(Issuer(keys=Secrets([JWT_SECRET])), grant_issuer([GRANT_SECRET]), Quota())
        with pytest.raises(UnauthorizedError):
            await tokens.permit(forged(header, told, signature), by_query=False)
        with suppress(UnauthorizedError):
            token = forged({"alg": "HS256"}, {**claims(aud=None), **told}, b"").rpartition(".")[0]
            digest = hmac.digest(JWT_SECRET.encode(), token.encode(), "sha256")
            signed_too = f"{token}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"
            permit = await tokens.permit(signed_too, by_query=False)
            assert permit.expires_at > time.time()
            assert permit.subject

    asyncio.run(scene())


@given(st.text(max_size=60), st.text(max_size=60))
def test_whatever_a_request_carries_is_no_token_or_one(field: str, query: str) -> None:
    for value in (field, f"Bearer {field}", f"bearer {field}.{field}.{field}"):
        head = RequestHead("GET", "/", {"authorization": value}, query=query)
        with suppress(UnauthorizedError):
            token, by_query = token_of(head)
            assert token.count(".") == 2
            assert not by_query


def test_secrets_are_changed_without_a_gap() -> None:
    async def scene() -> None:
        tokens = Tokens(None, grant_issuer([GRANT_SECRET, FORMER_SECRET]), Quota())
        for secret in (GRANT_SECRET, FORMER_SECRET):
            assert (await tokens.permit(grant(secret), by_query=True)).by_query
        with pytest.raises(UnauthorizedError):
            await tokens.permit(grant("x" * 32), by_query=False)

    asyncio.run(scene())


def test_a_token_says_what_it_allows() -> None:
    async def scene() -> None:
        tokens = users(Secrets([JWT_SECRET]), subject_claim="email")
        plain = await tokens.permit(shared("x", email="a@example.org"), by_query=False)
        assert plain.subject == "a@example.org"
        assert plain.operations == frozenset(Operation) - {Operation.ADMIN}
        assert plain.quota == Quota(bytes=7, uploads=8, rate=9)
        limits = {
            "ops": ["create"],
            "max_size": 5,
            "metadata": {"a": "ü"},
            "prefix": "p",
            "uploads": 2,
            "quota_bytes": 1,
            "quota_rate": 0.5,
        }
        token = shared("x", email="e", jti="name", fileloft=limits)
        permit = await tokens.permit(token, by_query=False)
        assert permit.operations == {Operation.CREATE}
        assert (permit.max_size, permit.prefix, permit.uploads) == (5, "p", 2)
        assert permit.metadata == (("a", "ü".encode()),)
        assert permit.token_id == "name"
        assert permit.quota == Quota(bytes=1, uploads=8, rate=0.5)

    asyncio.run(scene())
