"""tus 1.0, core: the version of the protocol and what holds for every answer (T001 to T010)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.endpoint import Endpoint
from tests.wire import OCTETS, Answer

if TYPE_CHECKING:
    from tests.conftest import Fleet

WRONG = "0.2.2"


def assert_version_refused(answer: Answer) -> None:
    assert answer.status == 412
    assert answer["Tus-Version"] == "1.0.0"
    assert answer["Tus-Resumable"] == "1.0.0"
    assert "Location" not in answer
    assert "Upload-Offset" not in answer


def test_every_answer_names_the_version_once(tus: Endpoint) -> None:
    """T001."""
    upload = tus.create_holding(b"12345", 10)
    octets = {"Upload-Offset": "5"}
    answers = {
        201: tus.post({"Upload-Length": "1"}),
        204: tus.append(upload, 5, b"67"),
        200: tus.head(upload),
        409: tus.append(upload, 3, b"x"),
        415: tus.ask("PATCH", upload, {**octets, "Content-Type": "text/plain"}, b"x"),
        413: tus.append(upload, 7, b"far too long"),
        460: tus.append(upload, 7, b"x", {"Upload-Checksum": "sha1 " + "A" * 27 + "="}),
        400: tus.ask("PATCH", upload, {"Content-Type": OCTETS}, b"x"),
        404: tus.head("/files/00000000000000000000000000000000"),
        405: tus.ask("GET", upload),
    }
    for status, answer in answers.items():
        assert answer.status == status
        assert answer.values("Tus-Resumable") == ["1.0.0"]
        assert answer["X-Content-Type-Options"] == "nosniff"
    deleted = tus.ask("DELETE", upload)
    assert deleted.status == 204
    assert deleted.values("Tus-Resumable") == ["1.0.0"]


@pytest.mark.parametrize(
    "version", [WRONG, "1", "1.0", "1.0.1", "1.0.0, 1.0.0", "", "\u0661.0.0", None]
)
def test_patch_of_another_version_is_412_and_stores_nothing(
    tus: Endpoint, version: str | None
) -> None:
    """T002 and T005."""
    upload = tus.create(5)
    sent = None if version is None else version.encode().decode("latin-1")
    assert_version_refused(tus.append(upload, 0, b"hello", {"Tus-Resumable": sent}))
    tus.assert_holds(upload, b"")


@pytest.mark.parametrize("version", ["2.0.0", WRONG, None])
def test_post_of_another_version_is_412_and_creates_nothing(
    tus: Endpoint, version: str | None
) -> None:
    """T003 and T005."""
    before = tus.files()
    assert_version_refused(tus.post({"Tus-Resumable": version, "Upload-Length": "5"}))
    assert tus.files() == before


@pytest.mark.parametrize("version", ["9.9", None])
def test_delete_of_another_version_is_412_and_deletes_nothing(
    tus: Endpoint, version: str | None
) -> None:
    """T004 and T005."""
    upload = tus.create_holding(b"abc", 5)
    assert_version_refused(tus.ask("DELETE", upload, {"Tus-Resumable": version}))
    tus.assert_holds(upload, b"abc")


def test_head_without_a_version_is_answered(tus: Endpoint) -> None:
    """T006: a browser may visit an upload."""
    upload = tus.create_holding(b"abc", 5)
    answer = tus.head(upload, {"Tus-Resumable": None})
    assert (answer.status, answer["Upload-Offset"]) == (200, "3")


def test_get_without_a_version_is_answered(shop: Endpoint) -> None:
    """T006."""
    upload = shop.finish(b"content")
    answer = shop.ask("GET", upload, {"Tus-Resumable": None})
    assert (answer.status, answer.body) == (200, b"content")


def test_head_of_another_version_is_412(tus: Endpoint) -> None:
    """T007."""
    upload = tus.create_holding(b"abc", 5)
    assert_version_refused(tus.head(upload, {"Tus-Resumable": "0.0.1"}))


def test_versions_are_listed_with_the_preferred_first(tus: Endpoint) -> None:
    """T008."""
    assert tus.ask("OPTIONS", tus.base)["Tus-Version"].split(",")[0] == "1.0.0"


@pytest.mark.parametrize("spelling", [str.lower, str.upper, str.title, str.swapcase])
def test_header_names_are_read_in_any_case(tus: Endpoint, spelling: object) -> None:
    """T009: tuspy sends them in lower case."""
    assert callable(spelling)
    upload = tus.create(5)
    fields = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": OCTETS}
    answer = tus.ask(
        "PATCH", upload, {str(spelling(name)): value for name, value in fields.items()}, b"hello"
    )
    assert (answer.status, answer["Upload-Offset"]) == (204, "5")
    tus.assert_holds(upload, b"hello")


@pytest.mark.parametrize("target", ["/files", "/files/", "/files/?x=1", "/files?x=1"])
def test_the_creation_url_works_with_and_without_its_slash(tus: Endpoint, target: str) -> None:
    """T010."""
    answer = tus.ask("POST", target, {"Upload-Length": "3"})
    assert answer.status == 201
    tus.assert_holds(tus.path_of(answer), b"")


@pytest.mark.parametrize("target", ["/", "/file", "/filesystem", "/files/a/b", "/x/files/"])
def test_nothing_is_created_elsewhere(tus: Endpoint, target: str) -> None:
    """T010."""
    before = tus.files()
    assert tus.ask("POST", target, {"Upload-Length": "3"}).status in {404, 405}
    assert tus.files() == before


def test_a_base_path_of_the_root_works(fleet: Fleet) -> None:
    """T010: fileloft panics at start with this setting."""
    root = Endpoint(fleet.endpoint(BASE_PATH="/").server, "/")
    upload = root.finish(b"hello")
    assert upload.count("/") == 1
    root.assert_holds(upload, b"hello")
