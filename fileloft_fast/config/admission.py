"""Settings of access: who may do what, and how much of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fileloft_fast.config.access_values import (
    AuthMode,
    parse_auth,
    parse_claim,
    parse_key_source,
    parse_leeway,
    parse_rate,
    parse_secrets,
    parse_words,
)
from fileloft_fast.config.hooking import Hooking
from fileloft_fast.config.rows import setting
from fileloft_fast.config.values import maybe, parse_count, parse_positive_seconds, parse_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission(Hooking):
    """Who is let in."""

    auth: tuple[AuthMode, ...] = setting(
        "FILELOFT_AUTH",
        "",
        parse_auth,
        "what every request needs, one of these by commas: jwt, grant (tokens), certificate (of a"
        " TLS client); unset, nothing",
    )
    jwt_secrets: tuple[str, ...] = setting(
        "FILELOFT_JWT_SECRET",
        "",
        parse_secrets,
        "secrets of HS256, 32 bytes or more each, separated by commas; each is accepted",
        secret=True,
    )
    jwt_jwks: str | None = setting(
        "FILELOFT_JWT_JWKS",
        "",
        maybe(parse_key_source),
        "file or https URL of the public keys of RS256, PS256, ES256 and EdDSA",
    )
    jwt_jwks_refresh_s: float = setting(
        "FILELOFT_JWT_JWKS_REFRESH",
        "300",
        parse_positive_seconds,
        "seconds for which the public keys are taken for new; an unknown key is looked for at most"
        " so often, and every 30 seconds",
    )
    jwt_audience: tuple[str, ...] = setting(
        "FILELOFT_JWT_AUDIENCE",
        "",
        parse_words,
        "what aud must hold, or one of these; unset, tokens with an aud are refused",
    )
    jwt_issuer: tuple[str, ...] = setting(
        "FILELOFT_JWT_ISSUER", "", parse_words, "what iss must be, or one of these"
    )
    jwt_leeway_s: float = setting(
        "FILELOFT_JWT_LEEWAY", "10", parse_leeway, "seconds by which the clocks may differ"
    )
    jwt_subject: str = setting(
        "FILELOFT_JWT_SUBJECT", "sub", parse_claim, "claim that says whose an upload is"
    )
    grant_secrets: tuple[str, ...] = setting(
        "FILELOFT_GRANT_SECRET",
        "",
        parse_secrets,
        "secrets of upload grants, 32 bytes or more each, separated by commas; the first one signs",
        secret=True,
    )
    quota_bytes: int = setting(
        "FILELOFT_QUOTA_BYTES",
        "0",
        parse_size,
        "bytes that one subject may have stored, promised ones included; 0 is no limit",
    )
    quota_uploads: int = setting(
        "FILELOFT_QUOTA_UPLOADS",
        "0",
        parse_count,
        "unfinished uploads that one subject may have; 0 is no limit",
    )
    quota_rate: float = setting(
        "FILELOFT_QUOTA_RATE",
        "0",
        parse_rate,
        "uploads a second that one subject may begin in one process; 0 is no limit",
    )


def admission_contradictions(settings: Admission) -> Iterator[str]:
    """Yield what does not go together, each beginning with a variable."""
    yield from _jwt_contradictions(settings)
    if AuthMode.GRANT in settings.auth and not settings.grant_secrets:
        yield "FILELOFT_GRANT_SECRET: must be set with FILELOFT_AUTH=grant"
    if AuthMode.CERTIFICATE in settings.auth and settings.tls_client_ca is None:
        yield "FILELOFT_AUTH: certificate needs FILELOFT_TLS_CLIENT_CA"
    if set(settings.grant_secrets) & set(settings.jwt_secrets):
        yield "FILELOFT_GRANT_SECRET: must not be a secret of FILELOFT_JWT_SECRET"
    quotas = {
        "BYTES": settings.quota_bytes,
        "UPLOADS": settings.quota_uploads,
        "RATE": settings.quota_rate,
    }
    for name, value in quotas.items():
        if value and not settings.auth:
            yield f"FILELOFT_QUOTA_{name}: needs FILELOFT_AUTH, which says who the subject is"


def _jwt_contradictions(settings: Admission) -> Iterator[str]:
    keys = {
        "FILELOFT_JWT_SECRET": bool(settings.jwt_secrets),
        "FILELOFT_JWT_JWKS": settings.jwt_jwks is not None,
    }
    if AuthMode.JWT not in settings.auth:
        # Whoever sets it thinks that tokens are asked for.
        for variable, is_set in keys.items():
            if is_set:
                yield f"{variable}: needs FILELOFT_AUTH=jwt"
    elif all(keys.values()):
        yield "FILELOFT_JWT_JWKS: not beside FILELOFT_JWT_SECRET: one of them says who signs"
    elif not any(keys.values()):
        yield "FILELOFT_JWT_SECRET: set it, or FILELOFT_JWT_JWKS, with FILELOFT_AUTH=jwt"
