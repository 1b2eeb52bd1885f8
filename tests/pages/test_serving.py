"""The pages over the wire: where they are, what answers carry, that they are off by default."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from fileloft_fast.pages import people_operations
from tests.wire import render_request

if TYPE_CHECKING:
    from tests.conftest import Fleet
    from tests.endpoint import Endpoint
    from tests.wire import Answer

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " worker-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
PATHS: Final = sorted(people_operations("/files/"))
FILES: Final = [path for path in PATHS if path != "/ui"]


@pytest.fixture(scope="module")
def ui(fleet: Fleet) -> Endpoint:
    return fleet.endpoint(ENABLE_UI="1")


def look(endpoint: Endpoint, path: str, method: str = "GET", **fields: str) -> Answer:
    """Ask without the fields of tus, as a browser does."""
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    return endpoint.exchange(render_request(method, path, {"Tus-Resumable": None, **headers}, b""))


def assert_guarded(answer: Answer) -> None:
    assert answer["Content-Security-Policy"] == POLICY
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "no-referrer"
    assert answer["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("path", FILES)
def test_every_file_is_guarded_and_asked_for_again_each_time(ui: Endpoint, path: str) -> None:
    answer = look(ui, path)
    assert answer.status == 200
    assert_guarded(answer)
    assert answer.body
    headed = look(ui, path, "HEAD")
    assert (headed.status, headed["ETag"], headed.body) == (200, answer["ETag"], b"")
    assert headed["Content-Length"] == str(len(answer.body))
    unchanged = look(ui, path, If_None_Match=f'"other", W/{answer["ETag"]}')
    assert (unchanged.status, unchanged.body) == (304, b"")
    assert_guarded(unchanged)
    assert look(ui, path, If_None_Match='"other"').status == 200


def test_the_name_without_its_slash_leads_to_the_page(ui: Endpoint) -> None:
    answer = look(ui, "/ui")
    assert (answer.status, answer["Location"]) == (308, "ui/")
    assert_guarded(answer)


@pytest.mark.parametrize("path", PATHS)
def test_a_page_is_looked_at_and_nothing_else(ui: Endpoint, path: str) -> None:
    for method in ("POST", "PATCH", "DELETE", "OPTIONS"):
        answer = look(ui, path, method)
        assert (answer.status, answer["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "path",
    ["/ui/none", "/ui/app.js/", "/ui//app.js", "/ui/../files/", "/ui/%2e%2e/served.py"],
)
def test_what_is_no_page_is_not_found(ui: Endpoint, path: str) -> None:
    assert look(ui, path).status == 404


def test_the_page_names_the_endpoint_relative_to_itself(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(ENABLE_UI="1", BASE_PATH="/a/b")
    assert b'content="../a/b/"' in look(endpoint, "/ui/").body


def test_uploads_are_served_beside_the_page(ui: Endpoint) -> None:
    upload = ui.create(5)
    assert ui.append(upload, 0, b"hello").status == 204
    ui.assert_holds(upload, b"hello")
    assert ui.post({"Upload-Length": "1"}).status == 201
    assert ui.ask("POST", "/files", {"Upload-Length": "1"}).status == 201
    assert ui.ask("GET", "/", {}).status == 404


@pytest.mark.parametrize("path", PATHS)
def test_without_the_setting_there_is_no_page(tus: Endpoint, path: str) -> None:
    assert look(tus, path).status == 404


def test_who_serves_no_page_loads_nothing_of_them() -> None:
    asked = (
        "import sys, fileloft_fast.app;"
        "sys.exit(any(name.startswith('fileloft_fast.pages') for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", asked], check=True)


@pytest.mark.parametrize("base", ["/", "/ui", "/ui/files"])
def test_the_page_and_the_uploads_need_paths_of_their_own(base: str) -> None:
    settings = {"FILELOFT_ENABLE_UI": "1", "FILELOFT_BASE_PATH": base}
    told = subprocess.run(
        [sys.executable, "-m", "fileloft_fast", "check"],
        env=settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 1
    assert "FILELOFT_BASE_PATH: must not be / or below /ui/" in told.stdout
