"""Object stores as whole servers see them: started for a test, read by other people's clients."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, Self
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import botocore.session
from azure.core.exceptions import ResourceNotFoundError
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.stores.azurite import Azurite
from tests.stores.gcs_fake import GcsFake
from tests.stores.seaweedfs import ACCESS_KEY, REGION, SECRET_KEY, SeaweedFS

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

_PIECE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Kept:
    """An object as somebody else finds it; names of metadata in lower case, with ``-``."""

    content: bytes
    kind: str
    disposition: str
    encoding: str
    metadata: Mapping[str, str]


class Cloud(Protocol):
    """A store with one bucket."""

    @property
    def url(self) -> str:
        """Where it listens."""

    @property
    def settings(self) -> Mapping[str, str]:
        """The environment of a fileloft-fast server that keeps its uploads there."""

    def through(self, url: str) -> Mapping[str, str]:
        """The same by way of a proxy at *url*."""

    def sha256(self, upload: str) -> str:
        """Return the digest of the object of the upload at that path, "" where there is none."""

    def look(self, key: str) -> Kept | None:
        """Return a small object, None where there is none."""

    def put(self, key: str, content: bytes) -> None:
        """Put an object of somebody else's."""

    def sessions(self) -> list[str]:
        """Return the keys of what was begun, and neither completed nor aborted."""

    def keys(self) -> list[str]:
        """Return every key in the bucket."""

    def kill(self) -> None:
        """Kill the store where it stands."""

    def restart(self) -> None:
        """Start it again on what it had stored."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class S3Cloud:
    """SeaweedFS, read by botocore."""

    def __init__(self, directory: Path) -> None:
        self._weed = SeaweedFS(directory)
        self._client = botocore.session.Session().create_client(
            "s3",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(s3={"addressing_style": "path"}),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        return self._weed.url

    @property
    def bucket(self) -> str:
        """The name of the bucket."""
        return self._weed.bucket

    @property
    def settings(self) -> Mapping[str, str]:
        return self._weed.settings

    def through(self, url: str) -> Mapping[str, str]:
        return {**self.settings, "FILELOFT_S3_ENDPOINT": url}

    def sha256(self, upload: str) -> str:
        try:
            found = self._client.get_object(Bucket=self._weed.bucket, Key=key_of(upload))
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
            return ""
        digest = hashlib.sha256()
        with found["Body"] as body:
            while data := body.read(_PIECE):
                digest.update(data)
        return digest.hexdigest()

    def look(self, key: str) -> Kept | None:
        try:
            found = self._client.get_object(Bucket=self._weed.bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
            return None
        with found["Body"] as body:
            content = body.read()
        return Kept(
            content,
            found["ContentType"],
            found.get("ContentDisposition", ""),
            found.get("ContentEncoding", ""),
            _plain(found["Metadata"]),
        )

    def put(self, key: str, content: bytes) -> None:
        self._client.put_object(Bucket=self._weed.bucket, Key=key, Body=content)

    def sessions(self) -> list[str]:
        found = self._client.list_multipart_uploads(Bucket=self._weed.bucket)
        return [each["Key"] for each in found.get("Uploads", [])]

    def keys(self) -> list[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._weed.bucket)
        return [each["Key"] for page in pages for each in page.get("Contents", [])]

    def kill(self) -> None:
        self._client.close()  # it connects again by itself
        self._weed.kill()

    def restart(self) -> None:
        self._weed.restart()


class GcsCloud:
    """The fake of Google Cloud Storage, read by plain HTTP."""

    def __init__(self, directory: Path) -> None:
        self._fake = GcsFake(directory)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        return self._fake.url

    @property
    def settings(self) -> Mapping[str, str]:
        return self._fake.settings

    def through(self, url: str) -> Mapping[str, str]:
        return {**self.settings, "STORAGE_EMULATOR_HOST": url}

    def sha256(self, upload: str) -> str:
        try:
            with urlopen(f"{self._address(key_of(upload))}?alt=media", timeout=60) as answer:
                return hashlib.file_digest(answer, "sha256").hexdigest()
        except HTTPError as error:
            error.close()
            if error.code != 404:
                raise
            return ""

    def look(self, key: str) -> Kept | None:
        try:
            with urlopen(self._address(key), timeout=60) as answer:
                told = json.load(answer)
        except HTTPError as error:
            error.close()
            if error.code != 404:
                raise
            return None
        with urlopen(f"{self._address(key)}?alt=media", timeout=60) as answer:
            content = answer.read()
        return Kept(
            content,
            told.get("contentType", ""),
            told.get("contentDisposition", ""),
            told.get("contentEncoding", ""),
            _plain(told.get("metadata", {})),
        )

    def put(self, key: str, content: bytes) -> None:
        uploads = f"{self.url}/upload/storage/v1/b/{self._fake.bucket}/o"
        target = f"{uploads}?uploadType=media&name={quote(key, safe='')}"
        urlopen(Request(target, content, method="POST"), timeout=60).close()

    def sessions(self) -> list[str]:
        return self._fake.open_keys()

    def keys(self) -> list[str]:
        return self._fake.keys()

    def kill(self) -> None:
        self._fake.kill()

    def restart(self) -> None:
        self._fake.restart()

    def _address(self, key: str) -> str:
        return f"{self.url}/storage/v1/b/{self._fake.bucket}/o/{quote(key, safe='')}"


class AzureCloud:
    """Azurite, read by Azure's own client."""

    def __init__(self, directory: Path) -> None:
        self._azurite = Azurite(directory)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        return self._azurite.url

    @property
    def settings(self) -> Mapping[str, str]:
        return self._azurite.settings

    def through(self, url: str) -> Mapping[str, str]:
        way = self._azurite.through(url)
        return {**self.settings, "FILELOFT_AZURE_CONNECTION_STRING": way}

    def sha256(self, upload: str) -> str:
        digest = hashlib.sha256()
        with self._azurite.client() as client:
            try:
                for data in client.download_blob(key_of(upload)).chunks():
                    digest.update(data)
            except ResourceNotFoundError:
                return ""
        return digest.hexdigest()

    def look(self, key: str) -> Kept | None:
        with self._azurite.client() as client:
            try:
                found = client.download_blob(key)
            except ResourceNotFoundError:
                return None
            settings = found.properties.content_settings
            return Kept(
                found.readall(),
                settings.content_type or "",
                settings.content_disposition or "",
                settings.content_encoding or "",
                _plain(found.properties.metadata),
            )

    def put(self, key: str, content: bytes) -> None:
        with self._azurite.client() as client:
            client.upload_blob(key, content)

    def sessions(self) -> list[str]:
        """Return nothing: blocks belong to no session, and vanish by themselves."""
        return []

    def keys(self) -> list[str]:
        with self._azurite.client() as client:
            return list(client.list_blob_names())

    def kill(self) -> None:
        self._azurite.kill()

    def restart(self) -> None:
        self._azurite.restart()


def key_of(upload: str) -> str:
    """Return the key of the upload at that path."""
    return upload.rsplit("/", 1)[1]


def _plain(metadata: Mapping[str, str]) -> Mapping[str, str]:
    return {name.lower().replace("_", "-"): value for name, value in metadata.items()}


CLOUDS: Final[Mapping[str, Callable[[Path], Cloud]]] = {
    "s3": S3Cloud,
    "gcs": GcsCloud,
    "azure": AzureCloud,
}


class Clouds:
    """The stores of a test module, each started when it is first asked for."""

    def __init__(self, directories: pytest.TempPathFactory) -> None:
        self._directories = directories
        self._ending = ExitStack()
        self._running: dict[str, Cloud] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()

    def __getitem__(self, name: str) -> Cloud:
        if name not in self._running:
            cloud = CLOUDS[name](self._directories.mktemp(name))
            self._running[name] = self._ending.enter_context(cloud)
        return self._running[name]
