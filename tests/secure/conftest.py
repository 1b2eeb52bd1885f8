"""The servers of this folder's tests speak TLS; each fixture is the one of the plain tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.certificates import Authority
from tests.conftest import Fleet, bare, hasty, limited, plain, shop, tus
from tests.server import Server

__all__ = ["bare", "hasty", "limited", "plain", "shop", "tus"]


class SecureFleet(Fleet):
    """Servers with a certificate, and clients that trust who has signed it."""

    def __init__(
        self, directories: pytest.TempPathFactory, stack: ExitStack, authority: Authority
    ) -> None:
        super().__init__(directories, stack)
        self._authority = authority
        self._pair = authority.issue()

    def run(self, settings: dict[str, str]) -> Server:
        data = self._directories.mktemp("data")
        secure = self._pair.settings() | settings
        return Server(data, secure, tls=self._authority.client())

    def restart(self, server: Server) -> Server:
        assert not server.running
        return Server(server.data, server.settings, tls=server.tls)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[SecureFleet]:
    with ExitStack() as stack:
        yield SecureFleet(tmp_path_factory, stack, authority)
