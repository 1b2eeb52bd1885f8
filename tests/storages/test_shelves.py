"""What is the same whether objects lie in a folder or in a bucket, small or in parts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from tests.storages.app_server import AppServer

SMALL: Final = os.urandom(100_000)
LARGE: Final = os.urandom(11 * 1024 * 1024)  # three parts
SIZES: Final = pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])


def fresh(folder: str = "") -> str:
    return f"{folder}{uuid4().hex}"


def bring(app: AppServer, path: str, content: bytes, **wanted: object) -> int:
    return app.upload(app.ticket(path, "public", max_size=0, **wanted), content).status


def fields_of(app: AppServer, path: str, **fields: str) -> Any:
    return app.call("HEAD", f"/v1/objects/public/{path}", **fields).fields


@pytest.mark.parametrize(
    "content", [b"", b"x", SMALL, LARGE], ids=["none", "byte", "small", "large"]
)
def test_what_was_stored_is_retrieved(app: AppServer, content: bytes) -> None:
    path = fresh("a/")
    assert not app.exists(path)
    told = app.store(path, content, Content_Type="image/png")
    assert (told.status, told.json["size"]) == (200, len(content))
    assert app.exists(path)
    assert app.retrieve(path) == content
    fields = fields_of(app, path)
    assert fields["content-type"] == "image/png"
    assert fields["etag"] == f'"{told.json["etag"]}"'
    target = f"/v1/objects/public/{path}"
    assert app.call("DELETE", target).status == 204
    assert app.call("DELETE", target).status == 404
    assert app.call("GET", target).status == 404
    assert not app.exists(path)


@pytest.mark.parametrize("content", [b"", SMALL, LARGE], ids=["none", "small", "large"])
def test_what_a_client_brings_is_there_once_it_is_verified(app: AppServer, content: bytes) -> None:
    path = fresh("a/")
    assert bring(app, path, content, content_type="image/png") == 204
    assert not app.exists(path)
    assert app.paths(prefix=path) == []
    assert app.verify(path)
    assert not app.verify(path)
    assert app.retrieve(path) == content
    assert fields_of(app, path)["content-type"] == "image/png"
    assert app.paths(prefix=path) == [path]


@SIZES
def test_a_part_is_retrieved_by_its_range(app: AppServer, content: bytes) -> None:
    path = fresh()
    app.store(path, content)
    target, size = f"/v1/objects/public/{path}", len(content)
    tag = fields_of(app, path)["etag"]
    for start, end in ((0, 0), (5, 99_998), (size - 1, size - 1)):
        told = app.call("GET", target, Range=f"bytes={start}-{end}")
        assert (told.status, told.body) == (206, content[start : end + 1])
        assert told.fields["content-range"] == f"bytes {start}-{end}/{size}"
        assert told.fields["etag"] == tag
    assert app.call("GET", target, Range=f"bytes={size}-").status == 416
    assert app.call("GET", target, If_None_Match=tag).status == 304


@SIZES
def test_an_object_is_replaced_unless_that_is_refused(app: AppServer, content: bytes) -> None:
    path = fresh()
    app.store(path, b"old")
    tag = fields_of(app, path)["etag"]
    target = f"/v1/objects/public/{path}"
    assert app.call("PUT", f"{target}?overwrite=0", content).status == 409
    assert bring(app, path, content, overwrite=False) == 409
    assert app.retrieve(path) == b"old"
    assert app.call("PUT", f"{target}?overwrite=1", content).status == 200
    assert app.retrieve(path) == content
    assert fields_of(app, path)["etag"] != tag


@SIZES
def test_what_came_meanwhile_is_not_replaced_by_verifying(app: AppServer, content: bytes) -> None:
    path = fresh()
    assert bring(app, path, content, overwrite=False) == 204
    app.store(path, b"meanwhile")
    told = app.call("POST", "/v1/verify", {"storage": "public", "path": path})
    assert told.status == 409
    assert app.retrieve(path) == b"meanwhile"


def test_a_list_goes_on_from_page_to_page(app: AppServer) -> None:
    folder = fresh()
    paths = [f"{folder}/{name}" for name in ("A", "Z/z", "a", "a/b", "a/b/c", "aa", "b0")]
    for path in paths:
        app.store(path, path.encode())
    for limit in (1, 2, 3, 7, 1000):
        found: list[dict[str, Any]] = []
        after: str | None = ""
        while after is not None:
            query = f"prefix={folder}/&after={after}&limit={limit}"
            page = app.call("GET", f"/v1/objects/public?{query}").json
            assert len(page["objects"]) <= limit
            found += page["objects"]
            after = page["next"]
        assert [each["path"] for each in found] == paths
        assert [each["size"] for each in found] == [len(path) for path in paths]
        assert f'"{found[0]["etag"]}"' == fields_of(app, paths[0])["etag"]
    assert app.paths(prefix=fresh()) == []


def test_storages_of_one_server_do_not_share_objects(app: AppServer) -> None:
    path = fresh()
    app.store(path, b"public")
    assert not app.exists(path, "private")
    assert not app.exists(path, "other")


@pytest.mark.parametrize(
    ("storage", "path"),
    [
        ("public", "abcdefghijklmnopqrstuvwxyz/ABCDEFGHIJKLMNOPQRSTUVWXYZ/0123456789"),
        ("public", "/".join(["a"] * 100)),
        ("public", "a" * 255),
        ("private", "abcdefghijklmnopqrstuvwxyz/ABCDEFGHIJKLMNOPQRSTUVWXYZ/0123456789"),
        ("private", "-/_/.../.a/-.-/_a-b.c/..d/e../archive.tar.gz"),
    ],
)
def test_every_path_that_is_allowed_works(app: AppServer, storage: str, path: str) -> None:
    assert app.store(path, path.encode(), storage).status == 200
    assert app.retrieve(path, storage) == path.encode()
    assert app.paths(storage, prefix=path) == [path]
    assert app.call("DELETE", f"/v1/objects/{storage}/{path}").status == 204
    assert not app.exists(path, storage)
