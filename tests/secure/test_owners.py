"""Whose an upload is, where a certificate says who somebody is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.certificates import Authority
from tests.endpoint import Endpoint
from tests.server import Server
from tests.tokens import bearer, grant

if TYPE_CHECKING:
    import ssl
    from pathlib import Path


def seen_by(server: Server, context: ssl.SSLContext) -> Endpoint:
    """Return *server* as a client with this certificate sees it."""
    server.tls = context
    return Endpoint(server)


def test_an_upload_is_its_certificates(tmp_path: Path) -> None:
    authority = Authority.made(tmp_path / "authority")
    alice = authority.issue("alice", organization_name="Example").client(authority.certificate)
    bob = authority.issue("bob", organization_name="Example").client(authority.certificate)
    settings = authority.issue().settings() | {
        "FILELOFT_TLS_CLIENT_CA": str(authority.certificate),
        "FILELOFT_AUTH": "certificate",
        "FILELOFT_QUOTA_UPLOADS": "1",
    }
    with Server(tmp_path / "data", settings, tls=alice) as server:
        upload = seen_by(server, alice).create(10, None, b"hello")
        assert seen_by(server, alice).info(upload)["fast"]["subject"] == "CN=alice,O=Example"
        assert seen_by(server, alice).post({"Upload-Length": "1"}).status == 429
        assert seen_by(server, bob).head(upload).status == 404
        assert seen_by(server, bob).append(upload, 5, b"world").status == 404
        assert seen_by(server, bob).post({"Upload-Length": "1"}).status == 201
        assert seen_by(server, alice).head(upload, bearer(grant())).status == 401
        assert seen_by(server, alice).append(upload, 5, b"world").status == 204
        answer = seen_by(server, alice).ask("POST", "/files/?x=1", {"Upload-Length": "1"})
        assert (answer.status, "?" in answer["Location"]) == (201, False)
