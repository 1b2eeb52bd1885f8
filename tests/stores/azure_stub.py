"""Azure's side of a test, where Azurite cannot: failures as it spells them, and TLS."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.stores.stub import Answer, Asked, Script, Stub

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def failure(status: int, code: str) -> Answer:
    """Return an error as Azure spells it."""
    body = f"<Error><Code>{code}</Code><Message>No.</Message></Error>"
    headers = {"x-ms-error-code": code, "Content-Type": "application/xml"}
    return Answer(status, body.encode(), headers)


def path_of(asked: Asked) -> str:
    """Return the path that was asked for."""
    return urlsplit(asked.target).path


def query_of(asked: Asked) -> Mapping[str, str]:
    """Return the parameters that were sent."""
    return dict(parse_qsl(urlsplit(asked.target).query, keep_blank_values=True))


class TlsStub(Stub):
    """A stub that speaks TLS, with the key and the certificate in one file."""

    def __init__(self, script: Script, certificate: Path) -> None:
        super().__init__(script)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = self.url.replace("http", "https")


def make_certificate(directory: Path) -> Path:
    """Write a key and a certificate for 127.0.0.1 that vouches for itself; return the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = directory / "certificate.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file
