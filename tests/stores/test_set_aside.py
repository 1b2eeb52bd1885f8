"""A server whose spool is not what it was: what it tells its clients, and its operator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pytest

from tests.deadline import eventually
from tests.endpoint import Endpoint
from tests.server import Server
from tests.stores.gcs_fake import GcsFake

if TYPE_CHECKING:
    from pathlib import Path

BIG: Final = bytes(range(256)) * 4 * 1024


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GcsFake]:
    with GcsFake(tmp_path_factory.mktemp("gcs")) as running:
        yield running


@contextmanager
def serving(fake: GcsFake, directory: Path, **settings: str) -> Iterator[Endpoint]:
    """Run a server of its own in *directory*, with small parts."""
    own = {f"FILELOFT_{name}": value for name, value in settings.items()}
    base = {"FILELOFT_ENABLE_DOWNLOAD": "1", "FILELOFT_PART_SIZE": "256K"}
    with Server(directory, {**fake.settings, **base, **own}) as server:
        yield Endpoint(server)


def begun(endpoint: Endpoint, directory: Path) -> tuple[str, Path]:
    """Return an upload of which parts have left, and its journal."""
    upload = endpoint.create_holding(BIG[:900_000], len(BIG))
    eventually(lambda: any(b'"part"' in path.read_bytes() for path in directory.glob("*.journal")))
    (journal,) = directory.glob("*.journal")
    return upload, journal


def test_an_upload_whose_journal_is_damaged_is_500_until_it_is_mended(
    fake: GcsFake, tmp_path: Path
) -> None:
    with serving(fake, tmp_path) as endpoint:
        upload, journal = begun(endpoint, tmp_path)
    contents = journal.read_bytes()
    assert b'"bucket":"gcs:tusbucket"' in contents
    journal.write_bytes(contents.replace(b'"owner"', b'"0wner"'))
    with serving(fake, tmp_path) as endpoint:
        for method in ("HEAD", "GET", "DELETE"):
            assert endpoint.ask(method, upload, {"Tus-Resumable": "1.0.0"}).status == 500
        assert endpoint.append(upload, 900_000, BIG[900_000:]).status == 500
        assert endpoint.finish(b"another one")
    assert len([line for line in endpoint.server.log if "set aside: its files" in line]) == 1
    journal.write_bytes(contents)
    with serving(fake, tmp_path) as endpoint:
        assert endpoint.append(upload, 900_000, BIG[900_000:]).status == 204


def test_uploads_that_chunk_mode_does_not_ship_are_told_of(fake: GcsFake, tmp_path: Path) -> None:
    with serving(fake, tmp_path) as endpoint:
        for _ in range(3):
            endpoint.create_holding(b"some", 9)
    with serving(fake, tmp_path, ACK="chunk") as endpoint:
        pass
    (line,) = [line for line in endpoint.server.log if "neither serves nor ships" in line]
    assert "uploads=3" in line
    assert len(list(tmp_path.glob("*.info"))) == 3
    with serving(fake, tmp_path) as endpoint:
        pass
    assert not any("neither serves nor ships" in line for line in endpoint.server.log)
