"""Google's credentials, each kind in an environment of its own: files, gcloud, a machine, none."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final
from unittest import mock

import pytest
import uvloop

from fileloft_fast.errors import ConfigError, RemoteRefusedError, RemoteUnavailableError
from fileloft_fast.stores.remote.gcs import GcsObjects
from fileloft_fast.stores.remote.gcs.credentials import Credentials
from tests.stores.gcs_fake import GcsFake
from tests.stores.gcs_fake.account import google_environment, write_account, write_key
from tests.stores.gcs_fake.identity import EMAIL, SECRET
from tests.stores.pieces import PLAIN, Source, fresh_key, read, upload

if TYPE_CHECKING:
    from fileloft_fast.stores.remote.objects import Objects

ROOT: Final = Path(__file__).parents[2]
ADC: Final = "application_default_credentials.json"


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_key(tmp_path_factory.mktemp("key") / "key.pem")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, key: Path) -> Iterator[GcsFake]:
    with GcsFake(tmp_path_factory.mktemp("gcs"), key=str(key), auth=True) as fake:
        yield fake


@pytest.fixture
def fake(running: GcsFake) -> Iterator[GcsFake]:
    running.heal()
    yield running
    running.identify(lifetime_s=3600, fails_with=0)


@pytest.fixture
def account(fake: GcsFake, key: Path, tmp_path: Path) -> Path:
    """Return the credentials file of a service account."""
    return write_account(tmp_path / "account.json", key, fake.url)


def play(
    fake: GcsFake, home: Path, scene: Callable[[Objects], Awaitable[None]], **variables: str
) -> None:
    """Run *scene* with a driver that was started where only *variables* are set."""

    async def played() -> None:
        objects = GcsObjects(bucket=fake.bucket, endpoint=fake.url)
        with google_environment(home, **variables):
            await objects.start()
        try:
            await scene(objects)
        finally:
            await objects.close()

    uvloop.run(played())


async def use(objects: Objects) -> None:
    """Put, and get."""
    name = fresh_key()
    head = await objects.put(name, b"12345", PLAIN)
    assert await objects.fetch(name) == (b"12345", head.tag)


# -- a service account's file -------------------------------------------------------------------


def test_one_token_serves_many_requests(
    fake: GcsFake, account: Path, tmp_path: Path, source: Source
) -> None:
    content = source.fill(2_000_000)
    before = fake.tokens_issued

    async def scene(objects: Objects) -> None:
        await asyncio.gather(*(use(objects) for _ in range(10)))
        name = fresh_key()
        await upload(objects, name, source)
        assert await read(objects, name, 0, 2_000_000) == content

    play(fake, tmp_path, scene, GOOGLE_APPLICATION_CREDENTIALS=str(account))
    assert fake.tokens_issued == before + 1


def test_a_token_that_is_not_taken_any_more_is_renewed_once(
    fake: GcsFake, account: Path, tmp_path: Path, source: Source
) -> None:
    source.fill(1_000_000)

    async def scene(objects: Objects) -> None:
        await use(objects)
        before = fake.tokens_issued
        fake.revoke_tokens()
        await objects.put(fresh_key(), source.piece(0, 1_000_000), PLAIN)
        assert fake.tokens_issued == before + 1
        fake.revoke_tokens()
        await upload(objects, fresh_key(), source)
        assert fake.tokens_issued == before + 2
        fake.fail("put", status=401, times=2)
        with pytest.raises(RemoteRefusedError, match="401"):
            await use(objects)
        assert fake.tokens_issued == before + 3

    play(fake, tmp_path, scene, GOOGLE_APPLICATION_CREDENTIALS=str(account))


def test_a_token_is_renewed_ahead_of_its_end_while_requests_go_on(
    fake: GcsFake, account: Path, tmp_path: Path
) -> None:
    fake.identify(lifetime_s=120)  # google-auth renews 225 s ahead

    async def scene(objects: Objects) -> None:
        before = fake.tokens_issued
        await use(objects)
        async with asyncio.timeout(10):
            while fake.tokens_issued == before + 1:
                await use(objects)
        # Where it cannot be renewed yet, what is left of it is used.
        fake.identify(fails_with=400)
        for _ in range(5):
            await use(objects)

    play(fake, tmp_path, scene, GOOGLE_APPLICATION_CREDENTIALS=str(account))


def test_a_token_that_has_ended_is_not_sent(fake: GcsFake, account: Path, tmp_path: Path) -> None:
    fake.identify(lifetime_s=-1)

    async def scene(objects: Objects) -> None:
        before = fake.tokens_issued
        await use(objects)
        await use(objects)
        assert fake.tokens_issued == before + 4

    play(fake, tmp_path, scene, GOOGLE_APPLICATION_CREDENTIALS=str(account))


def test_google_that_refuses_the_account_is_the_operators_matter(
    fake: GcsFake, account: Path, tmp_path: Path
) -> None:
    fake.identify(fails_with=400)

    async def scene(objects: Objects) -> None:
        with pytest.raises(RemoteRefusedError, match="refuses the credentials"):
            await use(objects)
        fake.identify(fails_with=0)
        await use(objects)

    play(fake, tmp_path, scene, GOOGLE_APPLICATION_CREDENTIALS=str(account))


def test_a_token_service_that_is_down_is_waited_for(
    fake: GcsFake, key: Path, tmp_path: Path
) -> None:
    account = write_account(tmp_path / "account.json", key, "http://127.0.0.1:1")

    async def scene(objects: Objects) -> None:
        with pytest.raises(RemoteUnavailableError, match="no Google token now"):
            await use(objects)

    play(fake, tmp_path, scene, GOOGLE_APPLICATION_CREDENTIALS=str(account))


# -- a user, and who comes from elsewhere -------------------------------------------------------


def write_user(home: Path, **fields: str) -> None:
    """Make the file of ``gcloud auth application-default login``."""
    user = {
        "type": "authorized_user",
        "client_id": "1",
        "client_secret": "2",
        "refresh_token": SECRET,
        "quota_project_id": "3",
        **fields,
    }
    (home / ADC).write_text(json.dumps(user))


def test_the_users_file_of_gcloud_is_found_and_cannot_sign(fake: GcsFake, tmp_path: Path) -> None:
    write_user(tmp_path)

    async def scene(objects: Objects) -> None:
        await use(objects)
        with pytest.raises(RemoteRefusedError, match="only a service account can sign"):
            await objects.sign("key", 60)

    with mock.patch("google.oauth2.credentials._GOOGLE_OAUTH2_TOKEN_ENDPOINT", f"{fake.url}/token"):
        play(fake, tmp_path, scene)


def write_federation(home: Path, token_url: str) -> Path:
    """Make the file of a workload that has its identity elsewhere."""
    (home / "token").write_text(SECRET)
    pool = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x"
    file = home / "federation.json"
    file.write_text(
        json.dumps(
            {
                "type": "external_account",
                "audience": pool,
                "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
                "token_url": token_url,
                "credential_source": {"file": str(home / "token")},
            }
        )
    )
    return file


def test_a_workload_from_elsewhere_changes_its_token_for_one_of_googles(
    fake: GcsFake, tmp_path: Path
) -> None:
    file = write_federation(tmp_path, f"{fake.url}/token")
    play(
        fake,
        tmp_path,
        use,
        GOOGLE_APPLICATION_CREDENTIALS=str(file),
        GOOGLE_CLOUD_PROJECT="project",
    )


def test_a_server_starts_before_google_can_be_asked_who_it_is(
    fake: GcsFake, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # Without a project named, google-auth asks for a token at once to find it out.
    file = write_federation(tmp_path, "http://127.0.0.1:1/token")

    async def scene(objects: Objects) -> None:
        assert "cannot be had yet" in caplog.text
        with (
            google_environment(tmp_path, GOOGLE_APPLICATION_CREDENTIALS=str(file)),
            pytest.raises(RemoteUnavailableError),
        ):
            await use(objects)
        write_federation(tmp_path, f"{fake.url}/token")
        variables = {"GOOGLE_CLOUD_PROJECT": "project"}
        with google_environment(tmp_path, GOOGLE_APPLICATION_CREDENTIALS=str(file), **variables):
            await use(objects)

    play(fake, tmp_path, scene, GOOGLE_APPLICATION_CREDENTIALS=str(file))


# -- a machine in Google's cloud ----------------------------------------------------------------


def environment_of_machine(fake: GcsFake, home: Path) -> dict[str, str]:
    """Return the environment in which the fake is the metadata server."""
    host = fake.url.removeprefix("http://")
    return {
        "GCE_METADATA_HOST": host,
        "GCE_METADATA_IP": host,
        "HOME": str(home),
        "CLOUDSDK_CONFIG": str(home),
        "PYTHONPATH": str(ROOT),
    }


def test_a_machine_has_its_token_from_the_metadata_server_and_iam_signs_for_it(
    fake: GcsFake, tmp_path: Path
) -> None:
    before = fake.tokens_issued
    visit = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.stores.gcs_account_visit", fake.url],
        env=environment_of_machine(fake, tmp_path),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert visit.returncode == 0, visit.stderr.decode()
    told = json.loads(visit.stdout)
    assert told["statuses"] == [200, 200, 200]
    assert (told["email"], told["has a key"]) == (EMAIL, False)
    assert fake.tokens_issued == before + 1
    with urllib.request.urlopen(told["url"], timeout=10) as answer:
        assert answer.read() == b"12345"


def test_no_machines_token_is_sent_in_the_clear(fake: GcsFake, tmp_path: Path) -> None:
    before = fake.tokens_issued

    async def scene(objects: Objects) -> None:
        with pytest.raises(RemoteRefusedError, match="401"):
            await use(objects)

    host = fake.url.removeprefix("http://")
    with mock.patch("google.auth.compute_engine._metadata._GCE_METADATA_HOST", host):
        play(fake, tmp_path, scene, GCE_METADATA_IP=host)
    assert fake.tokens_issued == before


# -- none ---------------------------------------------------------------------------------------


def find(home: Path, *, optional: bool, **variables: str) -> dict[str, str]:
    """Return the header fields of credentials that are found where only *variables* are set."""

    async def found() -> dict[str, str]:
        credentials = Credentials(optional=optional, machine=False)
        try:
            with google_environment(home, **variables):
                return await credentials.fields()
        finally:
            await credentials.close()

    return asyncio.run(found())


def test_without_credentials_google_is_not_even_asked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="FILELOFT_GCS_BUCKET needs credentials"):
        find(tmp_path, optional=False)


def test_without_credentials_another_endpoint_is_asked_with_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    assert find(tmp_path, optional=True) == {}
    assert "no Google credentials" in caplog.text


@pytest.mark.parametrize("contents", [None, "", "{}", '{"type": "service_account"}'])
@pytest.mark.parametrize("optional", [True, False])
def test_credentials_that_are_named_and_broken_are_never_passed_over(
    tmp_path: Path, contents: str | None, *, optional: bool
) -> None:
    file = tmp_path / "account.json"
    if contents is not None:
        file.write_text(contents)
    with pytest.raises(ConfigError):
        find(tmp_path, optional=optional, GOOGLE_APPLICATION_CREDENTIALS=str(file))


def test_a_driver_that_cannot_start_leaves_nothing_open(tmp_path: Path) -> None:
    async def scene() -> None:
        objects = GcsObjects(bucket="bucket", endpoint="https://127.0.0.1:1")
        with (
            google_environment(tmp_path, GOOGLE_APPLICATION_CREDENTIALS=str(tmp_path / "none")),
            pytest.raises(ConfigError),
        ):
            await objects.start()

    asyncio.run(scene())


def test_an_emulator_gets_nobodys_token(fake: GcsFake, account: Path, tmp_path: Path) -> None:
    before = fake.tokens_issued

    async def scene() -> None:
        objects = GcsObjects(bucket=fake.bucket, endpoint=fake.url, anonymous=True)
        with google_environment(tmp_path, GOOGLE_APPLICATION_CREDENTIALS=str(account)):
            await objects.start()
            with pytest.raises(RemoteRefusedError, match="401"):
                await objects.head("key")
        assert (await objects.sign("a key", 60)).endswith("/o/a%20key?alt=media")
        await objects.close()

    asyncio.run(scene())
    assert fake.tokens_issued == before
