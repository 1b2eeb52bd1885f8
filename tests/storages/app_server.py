"""An app server that uses the storages' API, and a client of its: as they are on the wire."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.server import Server

KEY: Final = "a key of the app server: 32 bytes or more"


class Told(NamedTuple):
    """An answer: status, fields by lower-case name, body."""

    status: int
    fields: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """What the body says."""
        return json.loads(self.body)


class AppServer:
    """Asks the API of *server* with *key*."""

    def __init__(self, server: Server, key: str = KEY) -> None:
        self.server = server
        self._key = key

    def ask(
        self,
        method: str,
        target: str,
        body: bytes | Iterator[bytes] | None = None,
        **fields: Any,
    ) -> Told:
        """Send one request; *target* is a path, or a URL that the server made."""
        parts = urlsplit(target)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection: http.client.HTTPConnection
        if self.server.tls is None:
            connection = http.client.HTTPConnection(*self.server.address, timeout=20)
        else:
            connection = http.client.HTTPSConnection(
                *self.server.address, timeout=20, context=self.server.tls
            )
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        try:
            chunked = body is not None and not isinstance(body, bytes)
            connection.request(method, path, body, headers, encode_chunked=chunked)
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return Told(answer.status, named, answer.read())
        finally:
            connection.close()

    def call(self, method: str, path: str, said: object = None, **fields: str) -> Told:
        """Ask with the key; *said* is sent as JSON, bytes as they are."""
        body = said if isinstance(said, bytes) or said is None else json.dumps(said).encode()
        return self.ask(method, path, body, Authorization=f"Bearer {self._key}", **fields)

    def ticket(self, path: str, storage: str = "public", **wanted: object) -> dict[str, Any]:
        """Return a description for the client."""
        told = self.call("POST", "/v1/tickets", {"storage": storage, "path": path, **wanted})
        assert told.status == 200, told
        description: dict[str, Any] = told.json
        return description

    def upload(self, description: dict[str, Any], data: bytes) -> Told:
        """Do what a client does with a binary description."""
        return self.ask(description["method"], description["url"], data)

    def verify(self, path: str, storage: str = "public") -> bool:
        """Ask for the object to be made permanent."""
        told = self.call("POST", "/v1/verify", {"storage": storage, "path": path})
        assert told.status == 200, told
        verified: bool = told.json["verified"]
        return verified

    def exists(self, path: str, storage: str = "public") -> bool:
        """Ask whether there is such an object."""
        status = self.call("HEAD", f"/v1/objects/{storage}/{path}").status
        assert status in {200, 404}
        return status == 200

    def retrieve(self, path: str, storage: str = "public") -> bytes:
        """Return the bytes of an object."""
        told = self.call("GET", f"/v1/objects/{storage}/{path}")
        assert told.status == 200, told
        return told.body

    def store(self, path: str, data: bytes, storage: str = "public", **fields: str) -> Told:
        """Put an object that is permanent at once."""
        return self.call("PUT", f"/v1/objects/{storage}/{path}", data, **fields)

    def url(self, path: str, storage: str = "public", **wanted: object) -> str | None:
        """Return the URL of an object."""
        told = self.call("POST", "/v1/urls", {"storage": storage, "path": path, **wanted})
        assert told.status == 200, told
        url: str | None = told.json["url"]
        return url

    def paths(self, storage: str = "public", **query: object) -> list[str]:
        """Return what one page of a listing names."""
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        return [
            each["path"]
            for each in self.call("GET", f"/v1/objects/{storage}?{asked}").json["objects"]
        ]
