"""A folder of objects belongs to one storage and one catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.endpoint import Endpoint
from tests.server import Server
from tests.storages.app_server import KEY, AppServer

if TYPE_CHECKING:
    from pathlib import Path


def test_a_folder_is_of_one_storage_and_of_one_catalogue(tmp_path: Path) -> None:
    """Whoever took its objects for rubbish would delete them."""
    media, data = tmp_path / "media", tmp_path / "data"

    def settings(*storages: str) -> dict[str, str]:
        return {"FILELOFT_STORAGES": ",".join(storages), "FILELOFT_STORAGE_KEYS": KEY}

    with Server(data, settings(f"media={media}")) as server:
        assert AppServer(server).store("a", b"kept", "media").status == 200
    before = sorted(path.name for path in media.iterdir())
    uploads = tmp_path / "uploads"
    with Server(uploads) as server:
        assert Endpoint(server).create(5)
    moved = tmp_path / "moved"
    for place, wanted, why in (
        (data, (f"other={media}",), "has the objects of media"),
        (data, (f"media={media}", f"other={media}"), "has the objects of media"),
        (tmp_path / "second", (f"media={media}",), "belongs to another catalogue"),
        (data, (f"more={uploads}",), "has uploads that are no objects"),
        (data, (f"more={data}/../data",), "is FILELOFT_DATA_DIR"),
    ):
        with pytest.raises(AssertionError, match=why):
            Server(place, settings(*wanted))
        assert sorted(path.name for path in media.iterdir()) == before
    media.rename(moved)
    with Server(data, settings(f"media={moved}")) as server:
        assert AppServer(server).retrieve("a", "media") == b"kept"
