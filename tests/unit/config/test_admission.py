"""Settings of access: what they come to, and what does not go together."""

from __future__ import annotations

from typing import Final

import pytest

from fileloft_fast.config import AuthMode, read_settings
from fileloft_fast.errors import ConfigError

SECRET: Final = "s" * 32
OTHER: Final = "o" * 32


def test_nobody_is_asked_by_default() -> None:
    assert read_settings({}).auth == ()


def test_both_kinds_of_tokens_may_be_taken() -> None:
    env = {
        "FILELOFT_AUTH": "grant, jwt",
        "FILELOFT_JWT_SECRET": SECRET,
        "FILELOFT_GRANT_SECRET": f"{OTHER}, {'p' * 40}",
    }
    settings = read_settings(env)
    assert settings.auth == (AuthMode.JWT, AuthMode.GRANT)
    assert settings.grant_secrets == (OTHER, "p" * 40)


@pytest.mark.parametrize(
    ("env", "variable"),
    [
        ({"AUTH": "jwt"}, "JWT_SECRET"),
        ({"AUTH": "jwt", "JWT_SECRET": SECRET, "JWT_JWKS": "/keys"}, "JWT_JWKS"),
        ({"AUTH": "grant"}, "GRANT_SECRET"),
        ({"AUTH": "grant", "GRANT_SECRET": "short"}, "GRANT_SECRET"),
        ({"AUTH": "grant", "GRANT_SECRET": f"{SECRET},short"}, "GRANT_SECRET"),
        ({"AUTH": "jwt", "JWT_SECRET": "ä" * 15}, "JWT_SECRET"),
        ({"AUTH": "jwt,grant", "JWT_SECRET": SECRET, "GRANT_SECRET": SECRET}, "GRANT_SECRET"),
        ({"AUTH": "grant", "GRANT_SECRET": OTHER, "JWT_SECRET": SECRET}, "JWT_SECRET"),
        ({"AUTH": "certificate"}, "AUTH"),
        ({"JWT_SECRET": SECRET}, "JWT_SECRET"),
        ({"JWT_JWKS": "/keys"}, "JWT_JWKS"),
        ({"QUOTA_BYTES": "1G"}, "QUOTA_BYTES"),
        ({"QUOTA_UPLOADS": "1"}, "QUOTA_UPLOADS"),
        ({"QUOTA_RATE": "0.5"}, "QUOTA_RATE"),
        ({"QUOTA_RATE": "fast"}, "QUOTA_RATE"),
        ({"JWT_LEEWAY": "3600"}, "JWT_LEEWAY"),
        ({"AUTH": "jwt", "JWT_JWKS": "http://10.0.0.1/keys"}, "JWT_JWKS"),
        ({"AUTH": "jwt", "JWT_JWKS": "ftp://example.org/keys"}, "JWT_JWKS"),
        ({"AUTH": "jwt", "JWT_JWKS": "http://localhost.example.org/k"}, "JWT_JWKS"),
    ],
)
def test_what_would_not_guard_is_refused(env: dict[str, str], variable: str) -> None:
    with pytest.raises(ConfigError, match=f"^FILELOFT_{variable}: ") as refused:
        read_settings({f"FILELOFT_{name}": value for name, value in env.items()})
    assert SECRET not in str(refused.value)
    assert "short" not in str(refused.value)


@pytest.mark.parametrize(
    "source",
    [
        "/etc/keys.json",
        "https://login.example.org/.well-known/jwks.json?v=1",
        "http://127.0.0.1:8000/keys",
        "http://[::1]/keys",
        "http://localhost/keys",
    ],
)
def test_keys_come_from_a_file_or_a_safe_url(source: str) -> None:
    env = {"FILELOFT_AUTH": "jwt", "FILELOFT_JWT_JWKS": source}
    assert read_settings(env).jwt_jwks == source
