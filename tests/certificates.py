"""Certificates for loopback, and the authorities that sign them."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from pathlib import Path

_LOOPBACK: Final = x509.SubjectAlternativeName(
    [
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
        x509.DNSName("localhost"),
    ]
)


@dataclass(frozen=True, slots=True)
class Pair:
    """The files of a certificate and of its key."""

    certificate: Path
    key: Path

    def settings(self) -> dict[str, str]:
        """Return what a server of ours needs to speak TLS with them."""
        return {
            "FILELOFT_TLS_CERT": str(self.certificate),
            "FILELOFT_TLS_KEY": str(self.key),
        }

    def server(self) -> ssl.SSLContext:
        """Return what another server needs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context

    def client(self, trusted: Path) -> ssl.SSLContext:
        """Return what a client needs that shows this certificate and trusts another."""
        context = ssl.create_default_context(cafile=trusted)
        context.load_cert_chain(self.certificate, self.key)
        return context


class Authority:
    """Signs certificates, and writes them and itself into *directory*."""

    def __init__(self, directory: Path, name: str = "loopback authority") -> None:
        self._directory = directory
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._made = 0
        own = self._signed(self._name, self._key, x509.BasicConstraints(ca=True, path_length=0))
        self.certificate = directory / f"{name.replace(' ', '-')}.pem"
        self.certificate.write_bytes(own)

    @classmethod
    def made(cls, directory: Path) -> Self:
        """Return an authority in a directory that may have to be made."""
        directory.mkdir(parents=True, exist_ok=True)
        return cls(directory)

    def issue(self, name: str = "127.0.0.1", **parts: str) -> Pair:
        """Return a new certificate for loopback; *parts* are further ones of its subject."""
        self._made += 1
        key = ec.generate_private_key(ec.SECP256R1())
        attributes = [
            x509.NameAttribute(getattr(x509.NameOID, kind.upper()), value)
            for kind, value in [*parts.items(), ("common_name", name)]
        ]
        subject = x509.Name(attributes)
        basic = x509.BasicConstraints(ca=False, path_length=None)
        pair = Pair(
            self._directory / f"certificate-{self._made}.pem",
            self._directory / f"key-{self._made}.pem",
        )
        pair.certificate.write_bytes(self._signed(subject, key, basic))
        pair.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return pair

    def client(self) -> ssl.SSLContext:
        """Return what a client needs that trusts this authority alone."""
        return ssl.create_default_context(cafile=self.certificate)

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, basic: x509.BasicConstraints
    ) -> bytes:
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(_LOOPBACK, critical=False)
            .add_extension(basic, critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM)
