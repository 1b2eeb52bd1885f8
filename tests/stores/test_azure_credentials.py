"""Every way in which an operator lets a server into a storage account, each by its own stub."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

import pytest
from azure.storage.blob import (
    AccountSasPermissions,
    ContainerSasPermissions,
    ResourceTypes,
    generate_account_sas,
    generate_container_sas,
)

from fileloft_fast.errors import ConfigError, RemoteRefusedError
from fileloft_fast.stores.remote.azure import AzureObjects
from fileloft_fast.stores.remote.objects import ABSENT, Attributes
from tests.stores.azure_backend import connected
from tests.stores.azure_stub import query_of
from tests.stores.azure_tenant import CLIENT, TENANT, Tenant, visit
from tests.stores.azurite import ACCOUNT, KEY, Azurite
from tests.stores.pieces import Source, fresh_key, read, upload

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tenant(tmp_path: Path) -> Iterator[Tenant]:
    made = Tenant(tmp_path)
    with made.authority, made.machine, made.account:
        yield made


# -- identities -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Identity:
    environment: Callable[[Tenant], Mapping[str, str]]
    token: str


def in_environment(tenant: Tenant) -> Mapping[str, str]:
    return {
        "AZURE_AUTHORITY_HOST": tenant.authority.url,
        "AZURE_TENANT_ID": TENANT,
        "AZURE_CLIENT_ID": CLIENT,
        "AZURE_CLIENT_SECRET": "s3cret",
    }


def of_a_workload(tenant: Tenant) -> Mapping[str, str]:
    file = tenant.directory / "federated-token"
    file.write_text("a.b.c")
    return {
        "AZURE_AUTHORITY_HOST": tenant.authority.url,
        "AZURE_TENANT_ID": TENANT,
        "AZURE_CLIENT_ID": CLIENT,
        "AZURE_FEDERATED_TOKEN_FILE": str(file),
    }


def of_a_virtual_machine(tenant: Tenant) -> Mapping[str, str]:
    return {"AZURE_POD_IDENTITY_AUTHORITY_HOST": tenant.machine.url}


def of_an_app_service(tenant: Tenant) -> Mapping[str, str]:
    return {
        "IDENTITY_ENDPOINT": f"{tenant.machine.url}/msi/token",
        "IDENTITY_HEADER": "header-secret",
    }


def of_the_command_line(tenant: Tenant) -> Mapping[str, str]:
    token = {"accessToken": "of-the-person", "expiresOn": "2099-01-01 00:00:00.000000"}
    program = tenant.directory / "az"
    program.write_text(f"#!/bin/sh\necho '{json.dumps(token | {'expires_on': 4070908800})}'\n")
    program.chmod(0o755)
    return {"PATH": f"{tenant.directory}:/usr/bin:/bin"}


IDENTITIES: Final = {
    "client secret": Identity(in_environment, "of-the-authority"),
    "workload": Identity(of_a_workload, "of-the-authority"),
    "virtual machine": Identity(of_a_virtual_machine, "of-the-machine"),
    "app service": Identity(of_an_app_service, "of-the-machine"),
    "az login": Identity(of_the_command_line, "of-the-person"),
}


@pytest.mark.parametrize("name", IDENTITIES)
def test_an_identity_that_azures_own_tools_find_lets_a_server_in(name: str, tenant: Tenant) -> None:
    identity = IDENTITIES[name]
    found, said = visit(tenant, identity.environment(tenant))
    assert (found["fetch"], found["head"], found["put"]) == ("hello", 5, 5)
    assert found["join"] == 5
    sent = {asked.headers["authorization"] for asked in tenant.account.asked}
    assert sent == {f"Bearer {identity.token}"}
    assert said == ""
    # Once for the chain of identities, and once where a probe goes before it.
    assert sum(len(stub.asked) for stub in (tenant.authority, tenant.machine)) <= 2


def test_an_identity_signs_by_a_key_that_is_asked_for_once(tenant: Tenant) -> None:
    found, _ = visit(tenant, in_environment(tenant))
    for url in found["sign"]:
        target = urlsplit(url)
        assert url.startswith(f"{tenant.account.url}/uploads/key?")
        signed = dict(parse_qsl(target.query))
        assert (signed["sp"], signed["skoid"], signed["sktid"]) == ("r", CLIENT, TENANT)
        assert signed["sig"]
    keys = [a for a in tenant.account.asked if query_of(a).get("comp") == "userdelegationkey"]
    assert len(keys) == 2  # the second for a signature that outlives the first


def test_no_signature_of_an_identity_asks_for_more_than_a_week(tenant: Tenant) -> None:
    found, _ = visit(tenant, in_environment(tenant))
    assert found["sign for long"].startswith(tenant.account.url)
    for asked in tenant.account.asked:
        if query_of(asked).get("comp") == "userdelegationkey":
            start, expiry = asked.body.decode().split("<Start>")[1].split("</Start><Expiry>")
            assert days_between(start, expiry.split("<")[0]) <= 7


def days_between(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() / 86_400


def test_a_join_lets_azure_read_the_sources_by_the_same_identity(tenant: Tenant) -> None:
    visit(tenant, in_environment(tenant))
    (copy,) = [asked for asked in tenant.account.asked if "x-ms-copy-source" in asked.headers]
    assert copy.headers["x-ms-copy-source"] == f"{tenant.account.url}/uploads/key"
    assert copy.headers["x-ms-copy-source-authorization"] == "Bearer of-the-authority"


@pytest.mark.parametrize(
    ("changes", "tried"),
    [
        ({"AZURE_CLIENT_SECRET": "wrong"}, "wrong secret"),
        ({"AZURE_AUTHORITY_HOST": "https://127.0.0.1:1"}, "EnvironmentCredential"),
        ({}, "ManagedIdentityCredential"),
    ],
    ids=["wrong secret", "no authority", "nothing set"],
)
def test_where_no_identity_gives_a_token_every_call_says_what_was_tried(
    changes: Mapping[str, str], tried: str, tenant: Tenant
) -> None:
    found, said = visit(tenant, {**in_environment(tenant), **changes} if changes else {})
    for name in ("fetch", "head", "put", "join"):
        assert tried in found[name]
        assert found[name].startswith("RemoteUnavailableError")
        assert "\n" not in found[name]
    assert tenant.account.asked == []
    assert said == ""


def test_an_identity_that_is_half_told_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in (("TENANT_ID", TENANT), ("CLIENT_ID", CLIENT), ("CLIENT_SECRET", "")):
        monkeypatch.setenv(f"AZURE_{name}", value)
    assert "client secret" in refused(account="acme")


def test_a_token_is_not_sent_without_tls() -> None:
    assert "TLS" in refused(account=ACCOUNT, endpoint="http://127.0.0.1:1/devstoreaccount1")


# -- keys and signatures --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with Azurite(tmp_path_factory.mktemp("azurite")) as server:
        yield server


def by_key(azurite: Azurite) -> str:
    return azurite.connection_string


def by_key_in_another_spelling(azurite: Azurite) -> str:
    return f" blobendpoint={azurite.url}; ACCOUNTNAME={ACCOUNT} ;AccountKey={KEY};"


def by_account_signature(azurite: Azurite) -> str:
    signature = generate_account_sas(
        ACCOUNT,
        KEY,
        ResourceTypes(container=True, object=True),
        AccountSasPermissions(read=True, write=True, create=True, delete=True, list=True),
        "2099-01-01T00:00:00Z",
    )
    return f"BlobEndpoint={azurite.url};SharedAccessSignature={signature}"


def by_container_signature(azurite: Azurite) -> str:
    signature = generate_container_sas(
        ACCOUNT,
        azurite.container,
        KEY,
        permission=ContainerSasPermissions(
            read=True, write=True, create=True, delete=True, list=True
        ),
        expiry="2099-01-01T00:00:00Z",
    )
    return f"AccountName={ACCOUNT};BlobEndpoint={azurite.url};SharedAccessSignature=?{signature}"


@pytest.mark.parametrize(
    "manner", [by_key, by_key_in_another_spelling, by_account_signature, by_container_signature]
)
def test_a_connection_string_lets_a_server_in(
    manner: Callable[[Azurite], str], azurite: Azurite, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with connected(manner(azurite), azurite.container) as objects:
            key = fresh_key()
            with Source(tmp_path / "spool") as source:
                content = source.fill(20_000)
                await upload(objects, key, source)
                await objects.put(f"{key}.info", b"{}", Attributes(), ABSENT)
                assert await read(objects, key, 0, 20_000) == content
            assert await objects.fetch(f"{key}.info") is not None
            assert [name async for name in objects.list_keys(key)] == [key, f"{key}.info"]
            await objects.delete(key)
            assert await objects.head(key) is None

    asyncio.run(scene())


def test_the_account_signature_of_a_server_is_never_handed_out(azurite: Azurite) -> None:
    async def scene() -> None:
        async with connected(by_account_signature(azurite), azurite.container) as objects:
            with pytest.raises(RemoteRefusedError, match="cannot sign"):
                await objects.sign("key", 60)

    asyncio.run(scene())


def test_a_wrong_key_is_the_operators_to_mend(azurite: Azurite) -> None:
    wrong = azurite.connection_string.replace(KEY, "d3Jvbmc=")

    async def scene() -> None:
        async with connected(wrong, azurite.container) as objects:
            for call in (objects.head("key"), objects.fetch("key"), objects.delete("key")):
                with pytest.raises(RemoteRefusedError, match="403"):
                    await call

    asyncio.run(scene())


def refused(
    connection_string: str | None = None, account: str | None = None, endpoint: str | None = None
) -> str:
    """Return why a driver that is told this does not start."""

    async def scene() -> str:
        objects = AzureObjects(
            container="uploads",
            connection_string=connection_string,
            account=account,
            endpoint=endpoint,
        )
        try:
            await objects.start()
        except ConfigError as error:
            return str(error)
        finally:
            await objects.close()
        raise AssertionError("it started")

    return asyncio.run(scene())


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "AccountKey=a2V5",
        "BlobEndpoint=https://127.0.0.1:1/account;AccountKey=a2V5",
        "AccountName=account;AccountKey=not base64",
        "AccountName=account;=",
        "",
    ],
)
def test_a_connection_string_that_says_too_little_is_refused_at_the_start(text: str) -> None:
    assert "FILELOFT_AZURE" in refused(connection_string=text)


def test_the_endpoint_follows_from_the_account() -> None:
    async def scene() -> str:
        objects = AzureObjects(
            container="uploads",
            connection_string="AccountName=acme;AccountKey=a2V5;EndpointSuffix=core.chinacloudapi.cn",
        )
        await objects.start()
        try:
            return await objects.sign("key", 60)
        finally:
            await objects.close()

    assert asyncio.run(scene()).startswith("https://acme.blob.core.chinacloudapi.cn/uploads/key?")
