"""What the guide to storages shows works: its commands, its file, its apps."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import django
import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.test import Client, override_settings
from fastapi.testclient import TestClient

from docs import tables
from docs.recipes.django_files import files
from docs.recipes.fastapi_app import create_app
from fileloft_fast.config import read_storages
from fileloft_fast.storage import Storage, make_path
from fileloft_fast.storages.description import parse_description
from tests.storages.app_server import KEY
from tests.storages.visitors import fetch, send, url_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server import Server

GUIDE: Final = tables.DOCS / "guide" / "storages.md"
PICTURE: Final = b"\x89PNG and more"
MUCH: Final = bytes(3_000_000)


def blocks(language: str) -> list[str]:
    """Return the guide's blocks of *language*."""
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)


def test_an_app_server_and_its_client_are_two_shells(folder_server: Server, tmp_path: Path) -> None:
    (script,) = (block for block in blocks("bash") if "/v1/tickets" in block)
    assert "http://127.0.0.1:8080" in script
    ended = subprocess.run(
        [
            "bash",
            "-euo",
            "pipefail",
            "-c",
            script.replace("http://127.0.0.1:8080", url_of(folder_server)),
        ],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "FILELOFT_STORAGE_KEYS": KEY},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == '{"verified":true}\nhello\n'


def test_storages_are_declared_in_a_file(tmp_path: Path) -> None:
    (file := tmp_path / "storages.toml").write_text(*blocks("toml"))
    assert [each.name for each in read_storages(str(file))] == ["public", "private", "media"]


@pytest.fixture
def fastapi(folder_server: Server) -> Iterator[TestClient]:
    """Return a browser at the app of the recipe."""
    with TestClient(create_app(url_of(folder_server), KEY), follow_redirects=False) as client:
        yield client


def test_an_avatar_is_uploaded_past_the_app(fastapi: TestClient) -> None:
    user = {"X-User": make_path("")}
    shown = f"/avatar/{user['X-User']}"
    assert fastapi.post("/avatar/done", headers=user).status_code == 409
    for picture in (PICTURE, PICTURE * 2):
        description = parse_description(fastapi.post("/avatar", headers=user).content)
        assert send(description, MUCH).status == 413
        assert send(description, picture).status == 204
        assert fastapi.post("/avatar/done", headers=user).status_code == 204
        answer = fetch(fastapi.get(shown).headers["Location"])
        assert (answer.body, answer["Content-Type"]) == (picture, "image/png")
    assert fastapi.post("/avatar/done", headers=user).status_code == 409
    assert fastapi.get("/avatar/nobody").status_code == 404


def test_an_invoice_is_for_whom_it_is(fastapi: TestClient, folder_server: Server) -> None:
    user = {"X-User": make_path("")}
    with Storage(url_of(folder_server), KEY, "private") as storage:
        storage.store(f"invoices/{user['X-User']}/7", b"%PDF", content_type="application/pdf")
    through = fastapi.get("/invoice/7/through", headers=user)
    assert (through.content, through.headers["Content-Type"]) == (b"%PDF", "application/pdf")
    signed = fastapi.get("/invoice/7", headers=user).headers["Location"]
    assert fetch(signed).body == b"%PDF"
    assert fetch(signed.partition("?")[0]).status == 403
    for path in ("/invoice/7", "/invoice/7/through"):
        assert fastapi.get(path, headers={"X-User": "other"}).status_code == 404


@pytest.fixture
def browser(folder_server: Server) -> Iterator[Client]:
    """Return a browser at an app of Django whose files are in a storage with relaxed paths."""
    place = {"url": url_of(folder_server), "key": KEY, "storage": "private"}
    backend = {"BACKEND": "docs.recipes.django_files.FileloftStorage", "OPTIONS": place}
    if not settings.configured:
        settings.configure(
            ALLOWED_HOSTS=["testserver"],
            MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
            ROOT_URLCONF="docs.recipes.django_files",
            SECRET_KEY="of this test alone",
            SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        )
        django.setup()
    with override_settings(STORAGES={"default": backend}):
        yield Client()
        files().close()


@pytest.mark.usefixtures("browser")
def test_a_file_of_django_is_kept_in_a_storage() -> None:
    kept = storages["default"]
    folder = make_path("reports")
    name = kept.save(f"{folder}/The year 2026.txt", ContentFile(b"all well"))
    assert name.startswith(f"{folder}/")
    assert name.endswith(".txt")
    assert kept.exists(name)
    assert kept.size(name) == 8
    with kept.open(name) as opened:
        assert opened.read() == b"all well"
    answer = fetch(kept.url(name))
    assert (answer.body, answer["Content-Type"]) == (b"all well", "text/plain")
    other = kept.save(f"{folder}/inner/The year 2026.txt", ContentFile(b""))
    assert kept.listdir(folder) == (["inner"], [name.removeprefix(f"{folder}/")])
    for saved in (name, other):
        kept.delete(saved)
    assert not kept.exists(name)
    assert kept.listdir(folder) == ([], [])


def test_an_upload_past_an_app_of_django_is_of_its_session(browser: Client) -> None:
    assert browser.post("/avatar/done").status_code == 409
    description = parse_description(browser.post("/avatar").content)
    assert browser.post("/avatar/done").status_code == 409
    description = parse_description(browser.post("/avatar").content)
    assert send(description, PICTURE).status == 204
    told = browser.post("/avatar/done")
    assert told.status_code == 200
    assert fetch(told.json()["url"]).body == PICTURE
