"""Those whom an app server sends to the storages: who uploads, and who only looks."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.storages.dart import upload
from tests.wire import Answer, Wire, render_request

if TYPE_CHECKING:
    from fileloft_fast.storage import UploadDescription
    from tests.proxy import Proxy
    from tests.server import Server


def url_of(server: Server | Proxy) -> str:
    """Return where *server* is."""
    return "http://{}:{}".format(*server.address)


def send(description: UploadDescription, data: bytes, *, length_known: bool = True) -> Answer:
    """Upload *data* as FileUploader does, and return the answer, of which it reads the status."""
    return ask(description.url, upload(description.to_json(), data, length_known=length_known))


def ask(url: str, request: bytes) -> Answer:
    """Send *request* to the server of *url* on a connection of its own."""
    place = urlsplit(url)
    assert place.hostname is not None
    assert place.port is not None
    with Wire((place.hostname, place.port)) as wire:
        wire.send_pieces([request])
        return wire.read(head=request.startswith(b"HEAD"))


def fetch(url: str, method: str = "GET") -> Answer:
    """Ask for *url* as a browser does, which has no key."""
    place = urlsplit(url)
    target = place.path + (f"?{place.query}" if place.query else "")
    fields = {"Host": place.netloc, "Tus-Resumable": None}
    return ask(url, render_request(method, target, fields))
