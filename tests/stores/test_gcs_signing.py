"""Signed URLs: the text that is signed, to the byte, and that only what was signed is let in."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

import pytest
import uvloop

from fileloft_fast.errors import RemoteRefusedError, RemoteUnavailableError
from fileloft_fast.stores.remote.gcs import GcsObjects
from fileloft_fast.stores.remote.gcs.client import Client
from fileloft_fast.stores.remote.gcs.credentials import Account, Credentials
from fileloft_fast.stores.remote.gcs.signing import UnsignedUrl, UrlSigner, sign_blob
from fileloft_fast.stores.remote.objects import Attributes
from tests.stores.gcs_fake import GcsFake
from tests.stores.gcs_fake.account import google_environment, write_account, write_key
from tests.stores.gcs_fake.identity import EMAIL

NOW: Final = datetime(2026, 11, 22, 3, 4, 5, tzinfo=UTC)
KEY: Final = "a b~ü"


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GcsFake]:
    """Return a fake that has one object, and lets in whom it knows."""
    directory = tmp_path_factory.mktemp("gcs")
    key = write_key(directory / "key.pem")
    with GcsFake(directory / "fake", key=str(key), auth=True) as fake:
        write_account(directory / "account.json", key, fake.url)
        yield fake


def signed(fake: GcsFake, expires_s: int) -> str:
    """Store an object as the service account; return a URL by which anyone may get it."""
    home = fake.directory.parent

    async def scene() -> str:
        objects = GcsObjects(bucket=fake.bucket, endpoint=fake.url)
        account = str(home / "account.json")
        with google_environment(home, GOOGLE_APPLICATION_CREDENTIALS=account):
            await objects.start()
        try:
            attributes = Attributes(content_type="x/y", disposition='inline; filename="z"')
            await objects.put(KEY, b"12345", attributes)
            return await objects.sign(KEY, expires_s)
        finally:
            await objects.close()

    return uvloop.run(scene())


def status_of(url: str, method: str = "GET") -> int:
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, method=method), timeout=10
        ) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_the_text_and_the_url_are_those_of_googles_own_library() -> None:
    # google-cloud-storage 3.17.1, generate_signed_url_v4, for the same account, key and time
    url = UnsignedUrl(
        endpoint="https://storage.googleapis.com",
        path="/tus-bucket/uploads/a%20b~%C3%BC%26%3D%3F%2B.bin",
        email=EMAIL,
        now=NOW,
        expires_s=3600,
    )
    assert url.text == (
        b"GOOG4-RSA-SHA256\n20261122T030405Z\n20261122/auto/storage/goog4_request\n"
        b"a98fa74c9c47098fc7f81e34097ed62a4339cb10899090b2c7fe2f881073317a"
    )
    assert url.url(b"\x01\x02\xff") == (
        "https://storage.googleapis.com/tus-bucket/uploads/a%20b~%C3%BC%26%3D%3F%2B.bin"
        "?X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=fileloft%40project.iam."
        "gserviceaccount.com%2F20261122%2Fauto%2Fstorage%2Fgoog4_request"
        "&X-Goog-Date=20261122T030405Z&X-Goog-Expires=3600&X-Goog-SignedHeaders=host"
        "&X-Goog-Signature=0102ff"
    )


def test_anyone_may_get_what_was_signed_with_its_type_and_name(fake: GcsFake) -> None:
    with urllib.request.urlopen(signed(fake, 60), timeout=10) as answer:
        assert answer.read() == b"12345"
        assert answer.headers["Content-Type"] == "x/y"
        assert answer.headers["Content-Disposition"] == 'inline; filename="z"'


TAMPERED: Final[dict[str, Callable[[str], str]]] = {
    "another object": lambda url: url.replace("/a%20b", "/a%20c"),
    "for longer": lambda url: url.replace("Expires=60", "Expires=600"),
    "no signature": lambda url: url.partition("&X-Goog-Signature")[0],
    "another signature": lambda url: url[:-2] + ("00" if url[-2:] != "00" else "01"),
    "one more parameter": lambda url: url.replace("?", "?response-content-type=text/html&"),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_what_was_not_signed_is_let_in_nowhere(fake: GcsFake, how: str) -> None:
    url = signed(fake, 60)
    assert status_of(url) == 200
    assert status_of(TAMPERED[how](url)) == 403


def test_a_url_holds_for_its_time_only(fake: GcsFake) -> None:
    assert status_of(signed(fake, 0)) == 400


def test_no_url_is_made_for_longer_than_google_takes(fake: GcsFake) -> None:
    url = signed(fake, 10**9)
    assert "X-Goog-Expires=604800&" in url
    assert status_of(url) == 200


@pytest.mark.parametrize(
    ("status", "error"), [(403, RemoteRefusedError), (503, RemoteUnavailableError)]
)
def test_iam_that_does_not_sign_says_who_has_to_act(
    fake: GcsFake, status: int, error: type[Exception]
) -> None:
    async def scene() -> None:
        iam = Client(fake.url, Credentials.anonymous())
        await iam.start()
        try:
            with pytest.raises(error, match=f"signBlob for {EMAIL}: {status}"):
                await sign_blob(iam, Account(EMAIL, None), b"text")
        finally:
            await iam.close()

    fake.identify(fails_with=status)
    uvloop.run(scene())
    fake.identify(fails_with=0)


def test_without_credentials_nothing_is_signed() -> None:
    async def scene() -> None:
        signer = UrlSigner(Client("https://127.0.0.1:1", Credentials.anonymous()))
        await signer.start()
        assert await signer.sign("/bucket/key", 60) is None
        await signer.close()

    uvloop.run(scene())
