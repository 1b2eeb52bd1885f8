"""Where the S3 driver takes its credentials from, and what it says where there are none.

Every source is a stub on loopback; the store is one too, and looks at who signed.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import pytest
import uvloop
from aiobotocore.utils import AioContainerMetadataFetcher

from fileloft_fast.errors import ConfigError, RemoteRefusedError, RemoteUnavailableError
from fileloft_fast.stores.remote.s3 import S3Objects
from tests.stores.stub import Answer, Asked, Stub

if TYPE_CHECKING:
    from pathlib import Path

VARIABLES: Final = (
    "ACCESS_KEY_ID",
    "SECRET_ACCESS_KEY",
    "SESSION_TOKEN",
    "PROFILE",
    "DEFAULT_PROFILE",
    "CONFIG_FILE",
    "SHARED_CREDENTIALS_FILE",
    "DEFAULT_REGION",
    "ROLE_ARN",
    "WEB_IDENTITY_TOKEN_FILE",
    "CONTAINER_CREDENTIALS_FULL_URI",
    "CONTAINER_CREDENTIALS_RELATIVE_URI",
    "ENDPOINT_URL",
    "ENDPOINT_URL_S3",
)
ROLE: Final = "/latest/meta-data/iam/security-credentials/"
STS: Final = """<AssumeRoleWithWebIdentityResponse
  xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
<Credentials><AccessKeyId>WEBKEY</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>
<SessionToken>webtoken</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>
</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Return an environment in which no source of credentials is left."""
    for name in VARIABLES:
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # of the token service
    monkeypatch.setattr(AioContainerMetadataFetcher, "SLEEP_TIME", 0)
    return monkeypatch


@pytest.fixture
def store() -> Iterator[Stub]:
    """Return a store that has nothing, and tells nobody why."""
    with Stub(lambda _: Answer(headers={"ETag": '"tag"'})) as stub:
        yield stub


def test_keys_are_read_from_the_environment(environment: pytest.MonkeyPatch, store: Stub) -> None:
    environment.setenv("AWS_ACCESS_KEY_ID", "ENVKEY")
    environment.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    environment.setenv("AWS_SESSION_TOKEN", "envtoken")
    look_once(store)
    assert signer_of(store.asked[-1]) == ("ENVKEY", "envtoken")


def test_keys_are_read_from_the_profile_that_is_named(
    environment: pytest.MonkeyPatch, store: Stub, tmp_path: Path
) -> None:
    profiles = tmp_path / "credentials"
    profiles.write_text(
        "[default]\naws_access_key_id=OTHER\naws_secret_access_key=secret\n"
        "[edge]\naws_access_key_id=FILEKEY\naws_secret_access_key=secret\n"
    )
    environment.setenv("AWS_SHARED_CREDENTIALS_FILE", str(profiles))
    environment.setenv("AWS_PROFILE", "edge")
    look_once(store)
    assert signer_of(store.asked[-1]) == ("FILEKEY", "")


def test_a_profile_that_is_not_there_is_an_error_of_the_configuration(
    environment: pytest.MonkeyPatch, store: Stub
) -> None:
    environment.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ConfigError, match="nobody"):
        look_once(store)


def test_a_key_without_its_secret_is_an_error_of_the_configuration(
    environment: pytest.MonkeyPatch, store: Stub
) -> None:
    environment.setenv("AWS_ACCESS_KEY_ID", "ENVKEY")
    with pytest.raises(ConfigError, match="AWS_SECRET_ACCESS_KEY"):
        look_once(store)


def test_no_credentials_at_all_are_one_line(environment: pytest.MonkeyPatch, store: Stub) -> None:
    del environment
    with pytest.raises(ConfigError, match=r"^no AWS credentials: set AWS_ACCESS_KEY_ID.*$"):
        look_once(store)
    assert store.asked == []


def test_an_endpoint_that_is_no_url_is_an_error_of_the_configuration(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("AWS_ACCESS_KEY_ID", "ENVKEY")
    environment.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with pytest.raises(ConfigError, match="no url at all"):
        uvloop.run(S3Objects(bucket="bucket", endpoint="no url at all").start())


def test_an_instance_gives_its_role_to_those_that_have_a_token(
    environment: pytest.MonkeyPatch, store: Stub
) -> None:
    with Stub(metadata_service) as metadata:
        _name_metadata(environment, metadata.url)
        look_once(store)
    assert signer_of(store.asked[-1]) == ("ROLEKEY", "roletoken")


def test_an_instance_may_give_its_role_later(environment: pytest.MonkeyPatch, store: Stub) -> None:
    async def scene() -> None:
        async with started(store) as objects:
            with pytest.raises(RemoteUnavailableError):
                await objects.head("key")
            assert store.asked == []
            metadata.script = metadata_service
            await objects.head("key")

    with Stub(lambda _: Answer(500)) as metadata:
        _name_metadata(environment, metadata.url)
        uvloop.run(scene())
    assert signer_of(store.asked[-1]) == ("ROLEKEY", "roletoken")


def test_a_container_gives_its_role_to_those_that_know_the_word(
    environment: pytest.MonkeyPatch, store: Stub
) -> None:
    with Stub(lambda asked: container_service(asked, "TASKKEY", 3600)) as container:
        environment.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{container.url}/keys")
        environment.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "word")
        look_once(store)
    assert signer_of(store.asked[-1]) == ("TASKKEY", "tasktoken")


def test_a_container_may_give_its_role_later(environment: pytest.MonkeyPatch, store: Stub) -> None:
    async def scene() -> None:
        async with started(store) as objects:
            container.script = lambda asked: container_service(asked, "TASKKEY", 3600)
            await objects.head("key")

    with Stub(lambda _: Answer(404)) as container:
        environment.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{container.url}/keys")
        environment.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "word")
        uvloop.run(scene())
    assert signer_of(store.asked[-1]) == ("TASKKEY", "tasktoken")


def test_keys_that_end_soon_are_renewed(environment: pytest.MonkeyPatch, store: Stub) -> None:
    names = iter(["FIRSTKEY", "SECONDKEY", "THIRDKEY"])
    lasts = iter([5, 3600, 3600])

    async def scene() -> None:
        async with started(store) as objects:
            await objects.head("key")
            await objects.head("key")

    with Stub(lambda asked: container_service(asked, next(names), next(lasts))) as container:
        environment.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{container.url}/keys")
        environment.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "word")
        uvloop.run(scene())
    assert [signer_of(asked)[0] for asked in store.asked] == ["SECONDKEY", "SECONDKEY"]


def test_keys_that_cannot_be_renewed_may_be_later(
    environment: pytest.MonkeyPatch, store: Stub
) -> None:
    async def scene() -> None:
        async with started(store) as objects:
            container.script = lambda _: Answer(404)
            with pytest.raises(RemoteUnavailableError):
                await objects.head("key")
            container.script = lambda asked: container_service(asked, "NEXTKEY", 3600)
            await objects.head("key")

    with Stub(lambda asked: container_service(asked, "TASKKEY", 0)) as container:
        environment.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{container.url}/keys")
        environment.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "word")
        uvloop.run(scene())
    assert [signer_of(asked)[0] for asked in store.asked] == ["NEXTKEY"]


def test_a_web_identity_is_changed_into_keys(
    environment: pytest.MonkeyPatch, store: Stub, tmp_path: Path
) -> None:
    with Stub(lambda _: Answer(body=STS.encode())) as tokens:
        _name_web_identity(environment, tmp_path, tokens.url)
        look_once(store)
    assert b"WebIdentityToken=a.web.token" in tokens.asked[-1].body
    assert signer_of(store.asked[-1]) == ("WEBKEY", "webtoken")


def test_a_web_identity_may_be_changed_later(
    environment: pytest.MonkeyPatch, store: Stub, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with started(store) as objects:
            with pytest.raises(RemoteUnavailableError):
                await objects.head("key")
            tokens.script = lambda _: Answer(body=STS.encode())
            await objects.head("key")

    with Stub(lambda _: Answer(503)) as tokens:
        _name_web_identity(environment, tmp_path, tokens.url)
        uvloop.run(scene())
    assert signer_of(store.asked[-1]) == ("WEBKEY", "webtoken")


def test_a_web_identity_that_is_refused_is_refused(
    environment: pytest.MonkeyPatch, store: Stub, tmp_path: Path
) -> None:
    denied = b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"

    async def scene() -> None:
        async with started(store) as objects:
            with pytest.raises(RemoteRefusedError, match="AccessDenied"):
                await objects.head("key")

    with Stub(lambda _: Answer(403, denied)) as tokens:
        _name_web_identity(environment, tmp_path, tokens.url)
        uvloop.run(scene())


@pytest.mark.parametrize(
    ("given", "variable", "signed"),
    [
        ("eu-west-1", "eu-south-2", "eu-west-1"),
        ("", "eu-south-2", "eu-south-2"),
        ("", "", "us-east-1"),
    ],
)
def test_the_region_is_the_one_given_else_amazons_variable(
    environment: pytest.MonkeyPatch, store: Stub, given: str, variable: str, signed: str
) -> None:
    environment.setenv("AWS_ACCESS_KEY_ID", "ENVKEY")
    environment.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    if variable:
        environment.setenv("AWS_DEFAULT_REGION", variable)
    look_once(store, region=given)
    assert f"/{signed}/s3/aws4_request" in store.asked[-1].headers["authorization"]


def metadata_service(asked: Asked) -> Answer:
    """Answer as the metadata service of an instance, version 2: no keys without a token."""
    if asked.method == "PUT":
        return Answer(body=b"imds-token", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"})
    if asked.headers.get("x-aws-ec2-metadata-token") != "imds-token":
        return Answer(401)
    return Answer(body=b"edge") if asked.target == ROLE else Answer(body=_keys("ROLE", 3600))


def container_service(asked: Asked, key: str, minutes: int) -> Answer:
    """Answer as the agent of a container; the keys are good for *minutes*."""
    if asked.headers.get("authorization") != "word":
        return Answer(401)
    keys = json.loads(_keys("TASK", minutes)) | {"AccessKeyId": key}
    return Answer(body=json.dumps(keys).encode())


@asynccontextmanager
async def started(store: Stub, region: str = "") -> AsyncIterator[S3Objects]:
    """Start a driver whose store is *store*."""
    objects = S3Objects(bucket="bucket", endpoint=store.url, region=region, path_style=True)
    try:
        await objects.start()
        yield objects
    finally:
        await objects.close()


def look_once(store: Stub, region: str = "") -> None:
    """Start a driver, and ask the store for something."""

    async def look() -> None:
        async with started(store, region) as objects:
            assert await objects.head("key") is not None

    uvloop.run(look())


def signer_of(asked: Asked) -> tuple[str, str]:
    """Return whose key signed a request, and the session's token."""
    matched = re.search(r"Credential=(\w+)/", asked.headers["authorization"])
    assert matched is not None
    return matched[1], asked.headers.get("x-amz-security-token", "")


def _name_metadata(environment: pytest.MonkeyPatch, url: str) -> None:
    environment.delenv("AWS_EC2_METADATA_DISABLED")
    environment.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)


def _name_web_identity(environment: pytest.MonkeyPatch, directory: Path, url: str) -> None:
    token = directory / "token"
    token.write_text("a.web.token")
    environment.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    environment.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/edge")
    environment.setenv("AWS_ENDPOINT_URL_STS", url)


def _keys(name: str, minutes: int) -> bytes:
    ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)
    return json.dumps(
        {
            "Code": "Success",
            "AccessKeyId": f"{name}KEY",
            "SecretAccessKey": "secret",
            "Token": f"{name.lower()}token",
            "Expiration": ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
    ).encode()
