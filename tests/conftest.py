"""Servers that tests share: one process for each set of settings, for the whole session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, settings

from tests.endpoint import Endpoint
from tests.resumption import EVERY, Draft, Resumption
from tests.server import Server

# How long an example takes, and how long it takes to draw one, is the machine's: other tests run.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")


class Fleet:
    """The servers of a test session, started when a test first asks for their settings."""

    def __init__(self, directories: pytest.TempPathFactory, stack: ExitStack) -> None:
        self._directories = directories
        self._stack = stack
        self._servers: dict[frozenset[tuple[str, str]], Server] = {}

    def endpoint(self, **settings: str) -> Endpoint:
        """Return a shared server with these FILELOFT_ settings, their prefix left out."""
        key = frozenset(settings.items())
        server = self._servers.get(key)
        if server is None or not server.running:
            server = self._servers[key] = self._stack.enter_context(self.start(**settings))
        return Endpoint(server)

    def start(self, **settings: str) -> Server:
        """Start a server of its own, which the caller stops."""
        return self.run({f"FILELOFT_{name}": value for name, value in settings.items()})

    def run(self, settings: dict[str, str]) -> Server:
        """Start a server with these variables in a directory of its own."""
        return Server(self._directories.mktemp("data"), settings)

    def restart(self, server: Server) -> Server:
        """Start a server with the settings and the data of one that has ended."""
        assert not server.running
        return Server(server.data, server.settings)


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Return the session's servers."""
    with ExitStack() as stack:
        yield Fleet(tmp_path_factory, stack)


@pytest.fixture(scope="session")
def tus(fleet: Fleet) -> Endpoint:
    """Return a server with every extension and no largest size."""
    return fleet.endpoint(ENABLE_CONCATENATION="1", ENABLE_EXPIRATION="1", EXPIRATION_TTL="3600")


@pytest.fixture(scope="session")
def limited(fleet: Fleet) -> Endpoint:
    """Return a server whose uploads may have 1000 bytes."""
    return fleet.endpoint(MAX_SIZE="1000", ENABLE_CONCATENATION="1")


@pytest.fixture(scope="session")
def bare(fleet: Fleet) -> Endpoint:
    """Return a server with every extension switched off."""
    return fleet.endpoint(
        DISABLE_CREATION="1",
        DISABLE_CREATION_WITH_UPLOAD="1",
        DISABLE_DEFER_LENGTH="1",
        DISABLE_TERMINATION="1",
        DISABLE_CHECKSUM="1",
    )


@pytest.fixture(scope="session")
def plain(fleet: Fleet) -> Endpoint:
    """Return a server that only creates: no other extension."""
    return fleet.endpoint(
        DISABLE_CREATION_WITH_UPLOAD="1",
        DISABLE_DEFER_LENGTH="1",
        DISABLE_TERMINATION="1",
        DISABLE_CHECKSUM="1",
    )


@pytest.fixture(scope="session")
def shop(fleet: Fleet) -> Endpoint:
    """Return a server that gives finished uploads back."""
    return fleet.endpoint(
        ENABLE_DOWNLOAD="1", ENABLE_CONCATENATION="1", ENABLE_CLEANUP_CONCAT_PARTIALS="1"
    )


@pytest.fixture(scope="session")
def hasty(fleet: Fleet) -> Endpoint:
    """Return a server whose patience is a second."""
    return fleet.endpoint(HEAD_TIMEOUT="1", BODY_TIMEOUT="1", IDLE_TIMEOUT="1", MIN_RATE="64")


@pytest.fixture(params=["tus", "interop8"])
def either(tus: Endpoint, request: pytest.FixtureRequest) -> Endpoint:
    """Return one server by tus, and by the IETF's protocol."""
    return tus if request.param == "tus" else Resumption(tus.server)


@pytest.fixture(params=EVERY, ids=str)
def up(fleet: Fleet, request: pytest.FixtureRequest) -> Resumption:
    """Return a server by each draft of the IETF's protocol, and by the final form."""
    draft: Draft = request.param
    return Resumption(fleet.endpoint(RESUMABLE="on", ENABLE_DOWNLOAD="1").server, draft=draft)
