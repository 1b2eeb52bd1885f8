"""A server with every hook switched on, and who it asks and tells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pytest

from tests.hooks.listener import HookServer

if TYPE_CHECKING:
    from tests.conftest import Fleet
    from tests.endpoint import Endpoint

EVERY_EVENT: Final = (
    "pre-access,pre-create,post-create,post-receive,pre-finish,post-finish,pre-terminate,"
    "post-terminate,stored"
)


@pytest.fixture(scope="session")
def hook_server() -> Iterator[HookServer]:
    """Return the session's hook server."""
    with HookServer() as server:
        yield server


@pytest.fixture
def hooks(hook_server: HookServer) -> Iterator[HookServer]:
    """Return the hook server, which says nothing and has heard nothing."""
    hook_server.clear()
    yield hook_server
    hook_server.clear()


@pytest.fixture(scope="session")
def hooked(fleet: Fleet, hook_server: HookServer) -> Endpoint:
    """Return a server that asks about everything and tells everything."""
    return fleet.endpoint(
        HOOKS_HTTP=hook_server.url,
        HOOKS_EVENTS=EVERY_EVENT,
        HOOKS_TIMEOUT="2",
        HOOKS_RETRY="1",
        HOOKS_BACKOFF="0.05",
        HOOKS_PROGRESS_INTERVAL="0.05",
        HOOKS_FORWARD_HEADERS="X-Trace",
        HOOK_SECRET="between us",
        ENABLE_CONCATENATION="1",
        ENABLE_DOWNLOAD="1",
    )
