"""The stores that tests of drivers share, each started when a test first asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.stores.backend import Backend, find_openers
from tests.stores.pieces import Source, part_bytes_of
from tests.stores.seaweedfs import SeaweedFS

if TYPE_CHECKING:
    from pathlib import Path

    from fileloft_fast.stores.remote.objects import Limits, Objects

_OPENERS = find_openers()


@pytest.fixture(scope="session", params=sorted(_OPENERS))
def backend(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Backend]:
    """Return a store that is held to the contract."""
    with ExitStack() as stack:
        directory = tmp_path_factory.mktemp(request.param)
        yield stack.enter_context(_OPENERS[request.param](directory))


@pytest.fixture(scope="session")
def limits(backend: Backend) -> Limits:
    """Return what the store takes."""

    async def ask(objects: Objects) -> Limits:
        return objects.limits

    return backend.play(ask)


@pytest.fixture(scope="session")
def part(limits: Limits) -> int:
    """Return the size of a part that the store takes."""
    return part_bytes_of(limits)


@pytest.fixture(scope="session")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """Return an S3 server with one bucket."""
    with SeaweedFS(tmp_path_factory.mktemp("weed")) as server:
        yield server


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Source]:
    """Return an open file, of which pieces are sent."""
    with Source(tmp_path / "spool") as file:
        yield file
