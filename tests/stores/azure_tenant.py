"""An authority, a machine's own endpoint and a storage account, and a server that visits them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from tests.certificates import Authority
from tests.stores.azure_stub import TlsStub, failure, path_of, query_of
from tests.stores.stub import Answer, Asked, Stub

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT: Final = Path(__file__).parents[2]
PATIENCE_S: Final = 60
TENANT: Final = "11111111-2222-3333-4444-555555555555"
CLIENT: Final = "66666666-7777-8888-9999-000000000000"
SCOPE: Final = "https://storage.azure.com/.default"
RESOURCE: Final = "https://storage.azure.com"
EXPIRY: Final = "2099-01-01T00:00:00Z"

DELEGATION_KEY: Final = f"""<?xml version="1.0" encoding="utf-8"?><UserDelegationKey>
<SignedOid>{CLIENT}</SignedOid><SignedTid>{TENANT}</SignedTid>
<SignedStart>2026-01-01T00:00:00Z</SignedStart><SignedExpiry>{EXPIRY}</SignedExpiry>
<SignedService>b</SignedService><SignedVersion>2026-01-01</SignedVersion>
<Value>a2V5</Value></UserDelegationKey>""".encode()


def json_answer(status: int = 200, **values: object) -> Answer:
    return Answer(status, json.dumps(values).encode(), {"Content-Type": "application/json"})


class Tenant:
    """An authority, a machine's own endpoint, and an account that takes only their tokens."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        signer = Authority(directory)
        self.certificate, pair = signer.certificate, signer.issue()
        self.authority = TlsStub(self._authority, pair)
        self.machine = Stub(self._machine)
        self.account = TlsStub(self._account, pair)

    @property
    def stubs(self) -> tuple[Stub, ...]:
        return (self.authority, self.machine, self.account)

    def _authority(self, asked: Asked) -> Answer:
        form = dict(parse_qsl(asked.body.decode()))
        right = form.get("client_secret") == "s3cret" or form.get("client_assertion") == "a.b.c"
        if path_of(asked) != f"/{TENANT}/oauth2/v2.0/token" or form.get("client_id") != CLIENT:
            return json_answer(400, error="invalid_request")
        if not right or form.get("scope") != SCOPE:
            return json_answer(401, error="invalid_client", error_description="wrong secret")
        return json_answer(access_token="of-the-authority", expires_in=3600, token_type="Bearer")

    def _machine(self, asked: Asked) -> Answer:
        imds = path_of(asked) == "/metadata/identity/oauth2/token"
        if imds and "metadata" not in asked.headers:
            return json_answer(400, error="invalid_request")
        if not imds and asked.headers.get("x-identity-header") != "header-secret":
            return json_answer(401, error="unauthorized")
        if query_of(asked)["resource"] != RESOURCE:
            return json_answer(400, error="invalid_resource")
        return json_answer(
            access_token="of-the-machine",
            expires_in="3600",
            expires_on="4070908800",
            token_type="Bearer",
            resource=RESOURCE,
        )

    def _account(self, asked: Asked) -> Answer:
        if not asked.headers.get("authorization", "").startswith("Bearer of-the-"):
            return failure(401, "NoAuthenticationInformation")
        if "x-ms-version" not in asked.headers:
            return failure(400, "MissingRequiredHeader")
        match asked.method, query_of(asked).get("comp", ""):
            case "POST", "userdelegationkey":
                return Answer(200, DELEGATION_KEY, {"Content-Type": "application/xml"})
            case "PUT", _:
                return Answer(201, b"", {"ETag": '"1"'})
            case "HEAD", _:
                return Answer(200, b"", {"ETag": '"1"', "Content-Length": "5"})
            case _:
                return Answer(200, b"hello", {"ETag": '"1"'})


def visit(tenant: Tenant, environment: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    """Run a server's calls in *environment* and nothing else; return outcomes, and what it said."""
    nobody = tenant.machine.url.replace("http", "https")  # which speaks no TLS
    ended = subprocess.run(
        [sys.executable, "-m", "tests.stores.azure_visit", tenant.account.url],
        cwd=ROOT,
        env={
            "PATH": str(tenant.directory),
            "HOME": str(tenant.directory),
            "SSL_CERT_FILE": str(tenant.certificate),
            "AZURE_POD_IDENTITY_AUTHORITY_HOST": nobody,
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout), ended.stderr
