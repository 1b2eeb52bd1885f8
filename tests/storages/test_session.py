"""A session as an app of Serverpod has it: description, upload, verification, URL, removal.

The app server is either client of ``fileloft_fast.storage``, the uploads are byte for byte what a
Dart client sends, and the storages are folders or a bucket.
"""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import pytest
from msgspec.structs import replace

from fileloft_fast.storage import (
    BinaryUpload,
    ForbiddenError,
    MultipartUpload,
    NotFoundError,
    ObjectExistsError,
    Storage,
    StorageError,
    issue_ticket,
    make_path,
    sign_url,
)
from tests.clients.commands import Client, tus_js_client, tuspy
from tests.clients.conftest import Sample
from tests.proxy import Break, End, Proxy
from tests.storages.app_server import KEY
from tests.storages.dart import upload
from tests.storages.visitors import fetch, send, url_of
from tests.unit.storage.sides import SIDES, open_side
from tests.wire import Wire

if TYPE_CHECKING:
    from pathlib import Path

    from fileloft_fast.storage import UploadDescription
    from tests.server import Server

KIB: Final = 1024
DATA: Final = random.Random("session").randbytes(300 * KIB + 4321)
PATIENCE_S: Final = 60
KINDS: Final = ("binary", "multipart")


@pytest.fixture(params=SIDES)
def public(request: pytest.FixtureRequest, storage_server: Server) -> Iterator[Storage]:
    """Return either client, of the storage that everybody may read."""
    with open_side(request.param, url_of(storage_server), KEY) as storage:
        yield storage


@pytest.fixture
def private(storage_server: Server) -> Iterator[Storage]:
    """Return a client of the storage that nobody may read without a signed URL."""
    with Storage(url_of(storage_server), KEY, "private") as storage:
        yield storage


@pytest.mark.parametrize("length_known", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_goes_the_whole_way(public: Storage, kind: str, length_known: bool) -> None:  # noqa: FBT001
    path = make_path("profile/1")
    description = public.create_ticket(
        path, kind="binary" if kind == "binary" else "multipart", content_type="image/png"
    )
    assert isinstance(description, BinaryUpload if kind == "binary" else MultipartUpload)
    assert send(description, DATA, length_known=length_known).status == 204
    assert not public.exists(path)
    assert public.public_url(path) is None
    assert public.verify(path)
    assert not public.verify(path)
    assert public.exists(path)
    url = public.public_url(path)
    assert url is not None
    answer = fetch(url)
    assert (answer.status, answer.body) == (200, DATA)
    assert answer["Content-Type"] == "image/png"
    assert public.retrieve(path) == DATA
    assert public.delete(path)
    assert not public.delete(path)
    assert not public.exists(path)
    assert fetch(url).status == 404
    assert public.public_url(path) is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_description_made_without_the_server_is_as_good(
    public: Storage, storage_server: Server, kind: str
) -> None:
    path = make_path("")
    description = issue_ticket(
        KEY,
        url=url_of(storage_server),
        path=path,
        kind="binary" if kind == "binary" else "multipart",
        content_type="image/png",
    )
    asked = public.create_ticket(
        path, kind="binary" if kind == "binary" else "multipart", content_type="image/png"
    )
    assert without_token(description) == without_token(asked)
    assert send(description, DATA).status == 204
    assert public.verify(path)
    assert public.retrieve(path) == DATA


def without_token(description: UploadDescription) -> dict[str, object]:
    """Return what *description* says, but for the permission itself."""
    told: dict[str, object] = json.loads(description.to_json())
    return {**told, "url": str(told["url"]).partition("=")[0]}


@pytest.mark.parametrize("kind", KINDS)
def test_an_upload_that_was_cut_off_leaves_nothing_and_can_be_sent_again(
    public: Storage, kind: str
) -> None:
    folder = make_path("cut")
    path = make_path(folder)
    description = public.create_ticket(path, kind="binary" if kind == "binary" else "multipart")
    request = upload(description.to_json(), DATA)
    place = urlsplit(description.url)
    assert place.hostname is not None
    assert place.port is not None
    with Wire((place.hostname, place.port)) as wire:
        wire.send(request[: len(request) // 2])
        wire.reset()
    assert not public.verify(path)
    assert not public.exists(path)
    assert list(public.list(folder)) == []
    assert send(description, DATA).status == 204
    assert public.verify(path)
    assert public.retrieve(path) == DATA


@pytest.mark.parametrize("kind", KINDS)
def test_a_ticket_is_good_once(private: Storage, kind: str) -> None:
    path = make_path("once")
    description = private.create_ticket(path, kind="binary" if kind == "binary" else "multipart")
    assert send(description, b"first").status == 204
    assert send(description, b"second").status == 403
    assert private.verify(path)
    assert private.retrieve(path) == b"first"


@pytest.mark.parametrize("kind", KINDS)
def test_a_ticket_is_good_until_it_expires(
    private: Storage, storage_server: Server, kind: str
) -> None:
    path = make_path("late")
    description = issue_ticket(
        KEY,
        url=url_of(storage_server),
        storage="private",
        path=path,
        kind="binary" if kind == "binary" else "multipart",
        now=1.0,
    )
    assert send(description, b"late").status == 403
    assert not private.verify(path)


@pytest.mark.parametrize("kind", KINDS)
def test_what_must_not_be_overwritten_stays(private: Storage, kind: str) -> None:
    path = make_path("kept")
    private.store(path, b"there first")
    description = private.create_ticket(
        path, kind="binary" if kind == "binary" else "multipart", overwrite=False
    )
    assert send(description, b"second").status == 409
    with pytest.raises(ObjectExistsError):
        private.store(path, b"third", overwrite=False)
    assert private.retrieve(path) == b"there first"


@pytest.mark.parametrize("length_known", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_no_more_comes_than_the_ticket_allows(
    private: Storage,
    kind: str,
    length_known: bool,  # noqa: FBT001
) -> None:
    path = make_path("large")
    description = private.create_ticket(
        path, kind="binary" if kind == "binary" else "multipart", max_size=256 * KIB
    )
    assert send(description, DATA, length_known=length_known).status == 413
    assert not private.verify(path)


def test_a_private_object_is_for_who_has_a_signed_address(
    private: Storage, storage_server: Server
) -> None:
    path = make_path("secret")
    private.store(path, DATA, content_type="application/pdf")
    assert private.public_url(path) is None
    assert private.signed_url(make_path("none")) is None
    bare = f"{url_of(storage_server)}/private/{path}"
    assert fetch(bare).status == 403
    asked = private.signed_url(path, expires_in=60)
    assert asked is not None
    made = sign_url(KEY, url=url_of(storage_server), storage="private", path=path)
    for url in (asked, made):
        answer = fetch(url)
        assert (answer.status, answer.body) == (200, DATA)
        assert answer["Content-Type"] == "application/pdf"
    late = sign_url(KEY, url=url_of(storage_server), storage="private", path=path, now=1.0)
    assert fetch(late).status == 403
    assert fetch(made.replace(path, make_path("secret"))).status == 403


def test_an_object_is_read_by_pieces_and_ranges(public: Storage, tmp_path: Path) -> None:
    path = make_path("pieces")
    file = tmp_path / "file"
    file.write_bytes(b"not this" + DATA)
    with file.open("rb") as opened:
        opened.seek(8)
        made = public.store(path, opened, content_type="text/plain")
    assert (made.path, made.size, made.content_type) == (path, len(DATA), "text/plain")
    with public.open(path) as download:
        assert download.object.size == len(DATA)
        assert download.object.etag == made.etag
        digest = hashlib.sha256()
        for piece in download:
            digest.update(piece)
    assert digest.digest() == hashlib.sha256(DATA).digest()
    with public.open(path, start=256 * KIB, length=1000) as download:
        assert download.object.size == len(DATA)
        assert b"".join(download) == DATA[256 * KIB : 256 * KIB + 1000]
    assert b"".join(public.stream(path, start=len(DATA) - 7)) == DATA[-7:]
    with pytest.raises(StorageError) as caught, public.open(path, start=len(DATA)):
        pass
    assert caught.value.status == 416
    told = public.stat(path)
    assert (told.size, told.etag, told.content_type) == (made.size, made.etag, "text/plain")
    assert abs(told.modified_at - made.modified_at) <= 1.0  # HTTP has whole seconds


def test_objects_are_listed_in_the_order_of_their_paths(public: Storage) -> None:
    folder = make_path("listed")
    for name in ("b", "a", "c/d"):
        assert public.store(f"{folder}/{name}", iter([b"by", b"tes"])).size == 5
    listed = list(public.list(f"{folder}/", page_size=2))
    assert [found.path for found in listed] == [f"{folder}/{name}" for name in ("a", "b", "c/d")]
    assert {found.size for found in listed} == {5}


def test_refusals_have_their_names(storage_server: Server, public: Storage) -> None:
    with pytest.raises(NotFoundError):
        public.retrieve(make_path("none"))
    with pytest.raises(StorageError, match="letters and digits") as caught:
        public.retrieve("relaxed.path")
    assert caught.value.status == 400
    with Storage(url_of(storage_server), KEY, "attic") as unknown, pytest.raises(NotFoundError):
        unknown.verify("a")
    with (
        Storage(url_of(storage_server), "x" * 32, "public") as stranger,
        pytest.raises(ForbiddenError),
    ):
        stranger.retrieve("a")


RESUMING: Final[dict[str, Client]] = {
    "tuspy": tuspy(),
    "tus-js-client": tus_js_client("chunked"),
    "tus-js-client-creation": tus_js_client("creation", "chunked"),
}


@pytest.mark.e2e
@pytest.mark.parametrize("name", RESUMING)
def test_a_client_of_tus_resumes_by_a_ticket(
    storage_server: Server, name: str, tmp_path: Path
) -> None:
    content = DATA * 8
    sample = Sample(tmp_path / "sample", hashlib.sha256(content).hexdigest())
    sample.path.write_bytes(content)
    path = make_path("resumed")
    breaks = (Break(at=600 * KIB, end=End.RESET), Break(at=1500 * KIB, end=End.CLOSE))
    with Proxy(storage_server.address, breaks=breaks) as rough:
        description = issue_ticket(KEY, url=url_of(rough), path=path)
        words = RESUMING[name](description.url, sample, tmp_path / "kept")
        ended = subprocess.run(
            words, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        assert ended.returncode == 0, ended.stderr
        assert not rough.breaks, "the way was not rough enough"
    with Storage(url_of(storage_server), KEY) as storage:
        assert not storage.exists(path)
        assert storage.verify(path)
        assert storage.retrieve(path) == content
    direct = description.url.replace(url_of(rough), url_of(storage_server))
    assert send(replace(description, url=direct), b"again").status == 403
