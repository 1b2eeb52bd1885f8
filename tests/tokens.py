"""Tokens for tests: right ones, and wrong ones that only their maker would try."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fileloft_fast.access import issue_grant

GRANT_SECRET: Final = "the secret of grants of 32 bytes or more"
JWT_SECRET: Final = "the secret of users of 32 bytes or more"
FORMER_SECRET: Final = "the former secret of grants of 32 bytes"
AUDIENCE: Final = "uploads"
ISSUER: Final = "https://issuer.example"


LIFE_S: Final = 6 * 3600
"""Longer than all tests together: some tokens are made when the tests are collected."""


@cache
def private_key(name: str) -> Any:
    """Return the private key *name*, which says its kind: rsa-…, ec-… or ed-…; made once."""
    if name.startswith("rsa"):
        return rsa.generate_private_key(65537, 2048)
    if name.startswith("ec"):
        return ec.generate_private_key(ec.SECP256R1())
    return Ed25519PrivateKey.generate()


def public_pem(name: str) -> bytes:
    """Return the public key *name* as everybody can have it."""
    pem: bytes = (
        private_key(name).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return pem


def jwk(name: str, **members: str) -> dict[str, Any]:
    """Return the public key *name* as a JWK."""
    public = private_key(name).public_key()
    kinds: dict[str, Any] = {
        "rsa": jwt.algorithms.RSAAlgorithm,
        "ec": jwt.algorithms.ECAlgorithm,
        "ed": jwt.algorithms.OKPAlgorithm,
    }
    entry: dict[str, Any] = kinds[name.partition("-")[0]].to_jwk(public, as_dict=True)
    entry.pop("key_ops", None)
    return {**entry, "kid": name, **members}


def jwks(*names: str) -> bytes:
    """Return a JWKS of the public keys *names*."""
    return json.dumps({"keys": [jwk(name) for name in names]}).encode()


def claims(subject: object = "alice", **changes: object) -> dict[str, Any]:
    """Return the claims of a good token; a change to None leaves a claim away."""
    good = {"sub": subject, "exp": int(time.time()) + LIFE_S, "aud": AUDIENCE, "iss": ISSUER}
    return {key: value for key, value in {**good, **changes}.items() if value is not None}


def signed(
    told: Mapping[str, Any], key: str = "rsa-1", headers: Mapping[str, Any] | None = None
) -> str:
    """Return *told* as a token signed with the private key *key*."""
    algorithm = {"rsa": "RS256", "ec": "ES256", "ed": "EdDSA"}[key.partition("-")[0]]
    fields = {"kid": key, **(headers or {})}
    fields = {name: value for name, value in fields.items() if value is not None}
    return jwt.encode(dict(told), private_key(key), algorithm=algorithm, headers=fields)


def user(subject: object = "alice", *, key: str = "rsa-1", **changes: object) -> str:
    """Return a user's token by a private key; see ``claims``."""
    return signed(claims(subject, **changes), key)


def shared(subject: object = "alice", **changes: object) -> str:
    """Return a user's token by the shared secret, without audience and issuer."""
    told = claims(subject, **{"aud": None, "iss": None, **changes})
    return jwt.encode(told, JWT_SECRET, algorithm="HS256")


def grant(secret: str = GRANT_SECRET, expires_in_s: float = LIFE_S, **limits: Any) -> str:
    """Return a grant; see ``issue_grant``."""
    return issue_grant(secret, expires_in_s=expires_in_s, **limits)


def forged(header: Mapping[str, Any], told: Mapping[str, Any], signature: bytes) -> str:
    """Return a token with whatever header and signature."""
    parts = [json.dumps(header).encode(), json.dumps(told).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def bearer(token: str) -> dict[str, str]:
    """Return the field that carries *token*."""
    return {"Authorization": f"Bearer {token}"}
