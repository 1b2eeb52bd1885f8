"""The TLS context of the settings; built anew where a certificate was renewed."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fileloft_fast.config import TlsMode
from fileloft_fast.errors import ConfigError

if TYPE_CHECKING:
    from fileloft_fast.config import Settings

_STRONG_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Forward secrecy and authenticated encryption; of TLS 1.3 every suite is. The groups are those of
OpenSSL's default, X25519 before P-256, among which there is no weak one."""


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """Return what new connections shake hands with, None where they are plain.

    Blocks. Raises ConfigError naming the variable whose file is not fit.
    """
    if settings.tls_cert is None:
        return None
    assert settings.tls_key is not None, "refused with the settings"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls13 = settings.tls_mode is TlsMode.TLS13
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if tls13 else ssl.TLSVersion.TLSv1_2
    if settings.tls_mode is TlsMode.TLS12_STRONG:
        context.set_ciphers(_STRONG_CIPHERS)
    # A client that negotiates again and again makes the server work for nothing (TLS 1.2).
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    _load_authorities(
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), "FILELOFT_TLS_CERT", settings.tls_cert
    )
    _load_pair(context, settings.tls_cert, settings.tls_key)
    if settings.tls_client_ca is not None:
        _load_authorities(context, "FILELOFT_TLS_CLIENT_CA", settings.tls_client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _load_authorities(context: ssl.SSLContext, variable: str, path: str) -> None:
    try:
        context.load_verify_locations(path)
    except ssl.SSLError as wrong:
        raise ConfigError(f"{variable}: {path} holds no certificate") from wrong
    except OSError as error:
        raise ConfigError(f"{variable}: {path}: {error.strerror}") from error


def _load_pair(context: ssl.SSLContext, certificate: str, key: str) -> None:
    def refuse() -> str:  # else OpenSSL would ask the terminal
        raise ConfigError("FILELOFT_TLS_KEY: the key is encrypted")

    try:
        Path(key).read_bytes()
        context.load_cert_chain(certificate, key, refuse)
    except ssl.SSLError as wrong:
        raise ConfigError(_why(wrong, certificate, key)) from wrong
    except OSError as error:
        raise ConfigError(f"FILELOFT_TLS_KEY: {key}: {error.strerror}") from error


def _why(wrong: ssl.SSLError, certificate: str, key: str) -> str:
    match wrong.reason:
        case "KEY_VALUES_MISMATCH" | "KEY_TYPE_MISMATCH":
            return f"FILELOFT_TLS_KEY: {key} is not the key of FILELOFT_TLS_CERT"
        case "EE_KEY_TOO_SMALL" | "CA_KEY_TOO_SMALL" | "CA_MD_TOO_WEAK":
            return f"FILELOFT_TLS_CERT: {certificate} is too weak: {wrong.reason}"
        case _:
            return f"FILELOFT_TLS_KEY: {key} holds no key"
