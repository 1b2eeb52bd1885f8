"""Tokens that are none, by name: each as a query and fields of a request."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Final

from tests import tokens
from tests.tokens import bearer, claims, forged, grant, signed, user


def in_field(token: str) -> tuple[str, dict[str, str]]:
    return "", bearer(token)


def in_query(token: str) -> tuple[str, dict[str, str]]:
    return f"?token={token}", {}


def hs256(key: bytes, told: dict[str, object], **header: object) -> str:
    """Sign with HMAC and whatever key: PyJWT would refuse to."""
    token = forged({"alg": "HS256", "typ": "JWT", "kid": "rsa-1", **header}, told, b"")
    signing = token.rpartition(".")[0].encode()
    digest = hmac.new(key, signing, hashlib.sha256).digest()
    return f"{signing.decode()}.{urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def deep_header() -> str:
    deep = urlsafe_b64encode(b'{"alg":' + b"[" * 4000).rstrip(b"=").decode()
    return f"{deep}.e30.AAAA"


def flipped(token: str) -> str:
    head, _, signature = token.rpartition(".")
    return f"{head}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"


def other_payload(token: str) -> str:
    head, _, signature = token.split(".")
    admin = claims("alice", fileloft={"ops": ["admin", "read"]})
    payload = urlsafe_b64encode(json.dumps(admin).encode()).rstrip(b"=").decode()
    return f"{head}.{payload}.{signature}"


def own_key(**header: object) -> str:
    """Return a token that brings its own key."""
    return signed(claims(), "rsa-stranger", {"kid": "rsa-1", **header})


NONE: Final = {"alg": "none", "typ": "JWT"}
NOW: Final = int(time.time())

BAD: Final[dict[str, Callable[[], tuple[str, dict[str, str]]]]] = {
    "no-token": lambda: ("", {}),
    "empty-field": lambda: ("", {"Authorization": ""}),
    "scheme-alone": lambda: ("", {"Authorization": "Bearer"}),
    "empty-query": lambda: ("?token=", {}),
    "token-without-scheme": lambda: ("", {"Authorization": user()}),
    "basic": lambda: ("", {"Authorization": "Basic YWxpY2U6YWxpY2U="}),
    "token-as-basic": lambda: ("", {"Authorization": f"Basic {user()}"}),
    "wrong-signature": lambda: in_field(flipped(user())),
    "no-signature": lambda: in_field(user().rpartition(".")[0] + "."),
    "two-parts": lambda: in_field(user().rpartition(".")[0]),
    "five-parts": lambda: in_field(user() + ".AAAA.AAAA"),
    "other-payload": lambda: in_field(other_payload(user())),
    "stranger's-key": lambda: in_field(signed(claims(), "rsa-stranger", {"kid": "rsa-1"})),
    "stranger's-key-of-another-kind": lambda: in_field(signed(claims(), "ec-x", {"kid": "rsa-1"})),
    "alg-none": lambda: in_field(forged(NONE, claims(), b"x")),
    "alg-none-unsigned": lambda: in_field(forged(NONE, claims(), b"")),
    "alg-none-in-odd-case": lambda: in_field(forged({**NONE, "alg": "nOnE"}, claims(), b"x")),
    "alg-none-with-a-grant's-typ": lambda: in_field(
        forged({"alg": "none", "typ": "fileloft-grant+jwt"}, claims(), b"x")
    ),
    "alg-missing": lambda: in_field(forged({"typ": "JWT", "kid": "rsa-1"}, claims(), b"x")),
    "alg-is-a-list": lambda: in_field(forged({"alg": ["RS256"], "kid": "rsa-1"}, claims(), b"x")),
    "hs256-by-the-public-key": lambda: in_field(hs256(tokens.public_pem("rsa-1"), claims())),
    "hs256-by-the-public-key-trimmed": lambda: in_field(
        hs256(tokens.public_pem("rsa-1").strip(), claims())
    ),
    "hs256-by-the-modulus": lambda: in_field(hs256(tokens.jwk("rsa-1")["n"].encode(), claims())),
    "hs256-by-nothing": lambda: in_field(hs256(b"", claims())),
    "hs256-user-token-by-the-grants'-secret": lambda: in_field(
        hs256(tokens.GRANT_SECRET.encode(), claims())
    ),
    "another-key's-algorithm": lambda: in_field(
        forged({"alg": "ES256", "kid": "rsa-1"}, claims(), b"x" * 64)
    ),
    "own-key-in-jwk": lambda: in_field(own_key(jwk=tokens.jwk("rsa-stranger"))),
    "own-key-by-jku": lambda: in_field(own_key(jku="http://127.0.0.1:9/jwks.json")),
    "own-key-by-x5u": lambda: in_field(own_key(x5u="http://127.0.0.1:9/c.pem")),
    "unknown-kid": lambda: in_field(signed(claims(), "rsa-1", {"kid": "rsa-9"})),
    "kid-is-a-path": lambda: in_field(signed(claims(), "rsa-stranger", {"kid": "../../dev/null"})),
    "no-kid": lambda: in_field(signed(claims(), "rsa-1", {"kid": None})),
    "crit": lambda: in_field(signed(claims(), "rsa-1", {"crit": ["exp"]})),
    "expired": lambda: in_field(user(exp=NOW - 60)),
    "exp-missing": lambda: in_field(user(exp=None)),
    "exp-is-a-word": lambda: in_field(user(exp="never")),
    "exp-is-infinite": lambda: in_field(user(exp=float("inf"))),
    "exp-is-true": lambda: in_field(user(exp=True)),
    "exp-is-far-beyond-time": lambda: in_field(user(exp=10**30)),
    "not-yet": lambda: in_field(user(nbf=NOW + 3600)),
    "issued-in-the-future": lambda: in_field(user(iat=NOW + 3600)),
    "other-audience": lambda: in_field(user(aud="mail")),
    "no-audience": lambda: in_field(user(aud=None)),
    "other-issuer": lambda: in_field(user(iss="https://other.example")),
    "no-issuer": lambda: in_field(user(iss=None)),
    "no-subject": lambda: in_field(user(None)),
    "empty-subject": lambda: in_field(user("")),
    "endless-subject": lambda: in_field(user("a" * 300)),
    "subject-is-a-list": lambda: in_field(user(["alice"])),
    "typ-of-a-logout": lambda: in_field(signed(claims(), "rsa-1", {"typ": "logout+jwt"})),
    "user-token-with-a-grant's-typ": lambda: in_field(
        signed(claims(), "rsa-1", {"typ": "fileloft-grant+jwt"})
    ),
    "grant-with-a-user's-typ": lambda: in_field(
        hs256(tokens.GRANT_SECRET.encode(), claims(aud="fileloft-fast/grant"), kid=None)
    ),
    "grant-for-another-audience": lambda: in_field(
        hs256(tokens.GRANT_SECRET.encode(), claims(), typ="fileloft-grant+jwt")
    ),
    "grant-by-another-secret": lambda: in_field(grant("x" * 32, subject="alice")),
    "grant-by-the-list-of-secrets": lambda: in_field(
        grant(f"{tokens.GRANT_SECRET},{tokens.FORMER_SECRET}")
    ),
    "expired-grant": lambda: in_field(grant(subject="alice", now=NOW - tokens.LIFE_S - 60)),
    "limit-of-another-version": lambda: in_field(user(fileloft={"speed": 1})),
    "unknown-operation": lambda: in_field(user(fileloft={"ops": ["everything"]})),
    "limits-are-a-word": lambda: in_field(user(fileloft="none")),
    "prefix-that-escapes": lambda: in_field(user(fileloft={"prefix": "../up"})),
    "prefix-with-a-slash": lambda: in_field(user(fileloft={"prefix": "a/b"})),
    "counted-without-a-name": lambda: in_field(user(fileloft={"uploads": 1})),
    "user-token-in-the-query": lambda: in_query(user()),
    "both-places": lambda: (f"?token={grant(subject='alice')}", bearer(user())),
    "two-in-the-query": lambda: (f"?token={grant()}&token={grant()}", {}),
    "encoded-name-in-the-query": lambda: (f"?%74oken={grant()}", {}),
    "other-case-in-the-query": lambda: (f"?Token={grant()}", {}),
    "two-in-one-field": lambda: ("", {"Authorization": f"Bearer {user()}, Bearer {user()}"}),
    "two-fields": lambda: (
        "",
        {"Authorization": f"Bearer {user()}", "authorization": f"Bearer {user('bob')}"},
    ),
    "tab-after-the-scheme": lambda: ("", {"Authorization": f"Bearer\t{user()}"}),
    "space-in-the-token": lambda: in_field(user().replace(".", ". ", 1)),
    "quoted": lambda: ("", {"Authorization": f'Bearer "{user()}"'}),
    "garbage": lambda: in_field("!!!.@@@.###"),
    "garbage-in-base64": lambda: in_field("AAAA.BBBB.CCCC"),
    "not-ascii": lambda: in_field("é.ü.ß"),
    "huge": lambda: in_field(user(padding="x" * 9000)),
    "huge-and-nested": lambda: in_field(deep_header()),
}
