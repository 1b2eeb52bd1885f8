"""The TLS context of the settings, and the one line that says what is wrong with its files."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from fileloft_fast.config import Settings, read_settings
from fileloft_fast.errors import ConfigError
from fileloft_fast.listen.tls import tls_context
from tests.certificates import Authority, Pair

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def settings(pair: Pair, **more: str) -> Settings:
    return read_settings(
        pair.settings() | {f"FILELOFT_TLS_{key}": text for key, text in more.items()}
    )


def test_without_a_certificate_there_is_no_tls() -> None:
    assert tls_context(Settings()) is None


@pytest.mark.parametrize(
    ("mode", "least"),
    [
        ("tls12", ssl.TLSVersion.TLSv1_2),
        ("tls12-strong", ssl.TLSVersion.TLSv1_2),
        ("tls13", ssl.TLSVersion.TLSv1_3),
    ],
)
def test_a_mode_is_the_least_version(
    mode: str, least: ssl.TLSVersion, authority: Authority
) -> None:
    context = tls_context(settings(authority.issue(), MODE=mode))
    assert context is not None
    assert context.minimum_version is least
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_COMPRESSION
    assert context.verify_mode is ssl.CERT_NONE


def test_strong_ciphers_are_forward_secret_and_authenticated(authority: Authority) -> None:
    context = tls_context(settings(authority.issue(), MODE="tls12-strong"))
    assert context is not None
    ciphers = context.get_ciphers()
    assert ciphers
    for cipher in ciphers:
        assert cipher["aead"], cipher
        assert cipher["protocol"] == "TLSv1.3" or cipher["kea"] == "kx-ecdhe", cipher


def test_clients_must_show_a_certificate_where_an_authority_is_named(authority: Authority) -> None:
    context = tls_context(settings(authority.issue(), CLIENT_CA=str(authority.certificate)))
    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_files_that_are_not_fit_are_named_in_one_line(authority: Authority, tmp_path: Path) -> None:
    good, other = authority.issue(), authority.issue()
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    encrypted = tmp_path / "encrypted.pem"
    secret = load_pem_private_key(good.key.read_bytes(), None)
    encrypted.write_bytes(
        secret.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"pass"),
        )
    )
    missing = tmp_path / "missing.pem"
    cases = [
        (Pair(missing, good.key), {}, "FILELOFT_TLS_CERT"),
        (Pair(junk, good.key), {}, "FILELOFT_TLS_CERT"),
        (Pair(tmp_path, good.key), {}, "FILELOFT_TLS_CERT"),
        (Pair(good.certificate, missing), {}, "FILELOFT_TLS_KEY"),
        (Pair(good.certificate, junk), {}, "FILELOFT_TLS_KEY"),
        (Pair(good.certificate, tmp_path), {}, "FILELOFT_TLS_KEY"),
        (Pair(good.certificate, encrypted), {}, "FILELOFT_TLS_KEY"),
        (Pair(good.certificate, other.key), {}, "FILELOFT_TLS_KEY"),
        (good, {"CLIENT_CA": str(missing)}, "FILELOFT_TLS_CLIENT_CA"),
        (good, {"CLIENT_CA": str(junk)}, "FILELOFT_TLS_CLIENT_CA"),
    ]
    for pair, more, variable in cases:
        with pytest.raises(ConfigError, match=f"^{variable}: [^\n]+\\Z"):
            tls_context(settings(pair, **more))


@pytest.mark.parametrize(
    ("env", "variable"),
    [
        ({"FILELOFT_TLS_CERT": "c"}, "FILELOFT_TLS_KEY"),
        ({"FILELOFT_TLS_KEY": "k"}, "FILELOFT_TLS_KEY"),
        ({"FILELOFT_TLS_CLIENT_CA": "c"}, "FILELOFT_TLS_CLIENT_CA"),
        ({"FILELOFT_TLS_MODE": "tls13"}, "FILELOFT_TLS_MODE"),
        (
            {"FILELOFT_TLS_CERT": "c", "FILELOFT_TLS_KEY": "k", "FILELOFT_UNIX_SOCKET": "/s"},
            "FILELOFT_TLS_CERT",
        ),
        ({"FILELOFT_TRUSTED_PROXIES": "10.0.0.1"}, "FILELOFT_TRUSTED_PROXIES"),
        ({"FILELOFT_UNIX_SOCKET_MODE": "0600"}, "FILELOFT_UNIX_SOCKET_MODE"),
        ({"FILELOFT_UNIX_SOCKET_OWNER": "root"}, "FILELOFT_UNIX_SOCKET_OWNER"),
        (
            {"FILELOFT_UNIX_SOCKET": "/srv/up/s", "FILELOFT_DATA_DIR": "/srv/up/"},
            "FILELOFT_UNIX_SOCKET",
        ),
        ({"FILELOFT_WORKER_TIMEOUT": "0.5"}, "FILELOFT_WORKER_TIMEOUT"),
    ],
)
def test_settings_that_contradict_are_refused(env: dict[str, str], variable: str) -> None:
    with pytest.raises(ConfigError, match=f"^{variable}: "):
        read_settings(env)
