"""tus 1.0, OPTIONS: what a server says of itself (T020 to T028)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.endpoint import Endpoint, checksum

if TYPE_CHECKING:
    from tests.conftest import Fleet
    from tests.wire import Answer

ALGORITHMS = {"sha1", "sha256", "sha512", "md5", "crc32", "crc32c", "xxh3-64", "xxh128"}
EXTENSIONS = {
    "creation",
    "creation-with-upload",
    "creation-defer-length",
    "expiration",
    "checksum",
    "checksum-trailer",
    "termination",
    "concatenation",
}


def options(endpoint: Endpoint, target: str = "/files/", version: str | None = None) -> Answer:
    answer = endpoint.ask("OPTIONS", target, {"Tus-Resumable": version})
    assert answer.status in {200, 204}
    assert answer.body == b""
    return answer


def test_options_needs_no_version_and_tells_it(tus: Endpoint) -> None:
    """T020."""
    answer = options(tus)
    assert answer["Tus-Version"] == "1.0.0"
    assert answer["Tus-Resumable"] == "1.0.0"


def test_options_ignores_a_version(tus: Endpoint) -> None:
    """T021."""
    assert options(tus, version="0.1.0").fields[1:] == options(tus, version="1.0.0").fields[1:]


def test_extensions_are_listed_without_spaces(tus: Endpoint) -> None:
    """T022: tusgo splits at commas and trims nothing."""
    listed = options(tus)["Tus-Extension"]
    assert " " not in listed
    assert set(listed.split(",")) == EXTENSIONS
    assert len(listed.split(",")) == len(EXTENSIONS)


def test_no_extension_means_no_header(bare: Endpoint) -> None:
    """T023."""
    answer = options(bare)
    assert "Tus-Extension" not in answer
    assert "Tus-Checksum-Algorithm" not in answer


@pytest.mark.parametrize(
    ("off", "gone"),
    [
        (("TERMINATION", "CREATION_WITH_UPLOAD"), {"termination", "creation-with-upload"}),
        (
            ("CHECKSUM", "DEFER_LENGTH"),
            {"checksum", "checksum-trailer", "creation-defer-length"},
        ),
    ],
)
def test_an_extension_that_is_off_is_not_listed(
    fleet: Fleet, off: tuple[str, str], gone: set[str]
) -> None:
    """T022 and T023."""
    with fleet.start(**{f"DISABLE_{name}": "true" for name in off}) as server:
        listed = set(options(Endpoint(server))["Tus-Extension"].split(","))
    assert listed == EXTENSIONS - gone - {"concatenation", "expiration"}


def test_the_largest_size_is_told(limited: Endpoint) -> None:
    """T024."""
    assert options(limited)["Tus-Max-Size"] == "1000"


def test_no_largest_size_means_no_header(tus: Endpoint) -> None:
    """T025."""
    assert "Tus-Max-Size" not in options(tus)


def test_the_checksum_algorithms_are_those_that_work(tus: Endpoint) -> None:
    """T026."""
    listed = options(tus)["Tus-Checksum-Algorithm"]
    assert listed == listed.lower()
    assert " " not in listed
    assert set(listed.split(",")) == ALGORITHMS
    upload = tus.create(5)
    sent = {"Upload-Checksum": checksum("sha1", b"hello")}
    assert tus.append(upload, 0, b"hello", sent).status == 204
    tus.assert_holds(upload, b"hello")


def test_creation_with_upload_is_never_listed_without_creation(fleet: Fleet) -> None:
    """T027."""
    with fleet.start(DISABLE_CREATION="1") as server:
        listed = options(Endpoint(server))["Tus-Extension"].split(",")
    assert not {"creation", "creation-with-upload", "creation-defer-length"} & set(listed)


def test_an_upload_and_an_unknown_one_answer_alike(tus: Endpoint) -> None:
    """T028."""
    upload = tus.create(5)
    names = [name for name, _ in options(tus).fields]
    for target in (upload, "/files/0123456789abcdef0123456789abcdef", "/files"):
        answer = options(tus, target)
        assert [name for name, _ in answer.fields] == names
        assert answer["Tus-Version"] == "1.0.0"
    tus.assert_holds(upload, b"")
