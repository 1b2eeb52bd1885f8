"""The status page's events over TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.pages.listening import KEY, listening

if TYPE_CHECKING:
    from tests.conftest import Fleet


def test_a_listener_is_told_and_keeps_no_server_from_stopping(fleet: Fleet) -> None:
    with fleet.start(STATUS_KEY=KEY) as server:
        with listening(server.address, tls=server.tls) as listener:
            assert listener.snapshot()["process"] == server.pid
            server.terminate()
            listener.read_to_end()
        assert server.wait() == 0
        assert not any("drain timed out" in line for line in server.log)
