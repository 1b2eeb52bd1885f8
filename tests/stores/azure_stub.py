"""Azure's side of a test, where Azurite cannot: failures as it spells them, and TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from tests.stores.stub import Answer, Asked, Script, Stub

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.certificates import Pair


def failure(status: int, code: str) -> Answer:
    """Return an error as Azure spells it."""
    body = f"<Error><Code>{code}</Code><Message>No.</Message></Error>"
    headers = {"x-ms-error-code": code, "Content-Type": "application/xml"}
    return Answer(status, body.encode(), headers)


def path_of(asked: Asked) -> str:
    """Return the path that was asked for."""
    return urlsplit(asked.target).path


def query_of(asked: Asked) -> Mapping[str, str]:
    """Return the parameters that were sent."""
    return dict(parse_qsl(urlsplit(asked.target).query, keep_blank_values=True))


class TlsStub(Stub):
    """A stub that speaks TLS."""

    def __init__(self, script: Script, pair: Pair) -> None:
        super().__init__(script)
        self._server.socket = pair.server().wrap_socket(self._server.socket, server_side=True)
        self.url = self.url.replace("http", "https")
