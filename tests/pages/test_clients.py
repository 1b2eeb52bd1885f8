"""Uppy and tus-js-client in a browser, from a page of another origin."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import pytest

from tests.deadline import eventually
from tests.pages.conftest import INSECURE_HOST
from tests.pages.scene import STUCK
from tests.pages.watched import LOST, PATIENCE_MS
from tests.proxy import UNHARMED, Proxy

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.conftest import Fleet
    from tests.endpoint import Endpoint
    from tests.pages.watched import Watched

MIB: Final = 1024 * 1024
CLIENTS: Final = Path(__file__).parents[2] / "build" / "pages" / "clients.js"

PAGE: Final = b"""<!doctype html><html lang="en"><title>Elsewhere</title>
<link rel="icon" href="data:,"><input type="file">
<script type="module">window.clients = await import("/clients.js");</script>"""

# Each begins an upload and leaves `begin`, `pause`, `resume` and `ended` behind; `ended` becomes
# the upload's URL.
UPPY: Final = """([endpoint, parallelUploads]) => {
  const { Uppy, UppyTus } = clients;
  const uppy = new Uppy().use(UppyTus, { endpoint, parallelUploads, retryDelays: [50, 50, 50] });
  const file = document.querySelector("input").files[0];
  uppy.addFile({ name: file.name, type: file.type, data: file });
  window.pause = () => uppy.pauseAll();
  window.resume = () => uppy.resumeAll();
  window.ended = uppy.upload().then(({ successful: [done] }) => done.uploadURL);
}"""
TUS: Final = """([endpoint, parallelUploads, protocol]) => {
  const file = document.querySelector("input").files[0];
  window.ended = new Promise((resolve, reject) => {
    const upload = new clients.tus.Upload(file, {
      endpoint,
      parallelUploads,
      protocol,
      retryDelays: [50, 50, 50],
      onError: reject,
      onSuccess: () => resolve(upload.url),
    });
    window.pause = () => upload.abort();
    window.resume = () => upload.start();
    upload.start();
  });
}"""


class Elsewhere(BaseHTTPRequestHandler):
    """Serves a page of another origin."""

    def do_GET(self) -> None:
        script = self.path == "/clients.js"
        body = CLIENTS.read_bytes() if script else PAGE
        self.send_response(200)
        self.send_header("Content-Type", "text/javascript" if script else "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[tuple[str, int]]:
    """Return the address of a server with a page of another origin."""
    assert CLIENTS.exists(), f"{CLIENTS} is missing: run tests/pages/prepare"
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        host, port = server.server_address[:2]
        yield str(host), port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def open_to_it(fleet: Fleet, elsewhere: tuple[str, int]) -> Endpoint:
    """Return a server that lets the page of that origin upload, and no other."""
    host, port = elsewhere
    return fleet.endpoint(
        ENABLE_CONCATENATION="1",
        ENABLE_DOWNLOAD="1",
        CORS_ALLOW_ORIGIN=f"http://{host}:{port}",
    )


@dataclass(frozen=True, slots=True)
class Way:
    """A client's way to upload: the script that begins, and its options."""

    script: str
    parallel: int = 1
    protocol: str = "tus-v1"


WAYS: Final = {
    "uppy": Way(UPPY),
    "uppy-parallel": Way(UPPY, parallel=3),
    "tus-js-client": Way(TUS),
    "tus-js-client-parallel": Way(TUS, parallel=3),
    "tus-js-client-draft-03": Way(TUS, protocol="ietf-draft-03"),
    "tus-js-client-draft-05": Way(TUS, protocol="ietf-draft-05"),
}


def begin(page: Page, way: Way, proxy: Proxy, file: Path) -> None:
    """Choose *file* and begin to upload it on its *way*."""
    page.wait_for_function("window.clients")
    page.locator("input").set_input_files(file)
    host, port = proxy.address
    page.evaluate(way.script, [f"http://{host}:{port}/files/", way.parallel, way.protocol])


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_client_of_another_origin_pauses_and_goes_on(
    elsewhere: tuple[str, int], open_to_it: Endpoint, watched: Watched, way: Way
) -> None:
    parallel = way.parallel
    file = watched.sample(f"elsewhere-{parallel}.bin", 12 * MIB + parallel)
    watched.allow(LOST, "409", "423")
    before = open_to_it.uploads()
    with Proxy(open_to_it.server.address, otherwise=STUCK) as proxy:
        page = watched.open(elsewhere, "/")
        begin(page, way, proxy, file.path)
        within_s = PATIENCE_MS / 1000
        # So many have passed only where every upload has begun: a connection lets 2 MiB through.
        eventually(lambda: proxy.passed_up > (2 * parallel - 1) * MIB, within_s=within_s)
        page.evaluate("pause()")
        begun = open_to_it.uploads() - before
        assert len(begun) == parallel
        proxy.otherwise = UNHARMED
        proxy.reset_all()
        page.evaluate("resume()")
        upload = urlsplit(page.evaluate("ended")).path
    assert hashlib.sha256(open_to_it.stored(upload)).hexdigest() == file.sha256
    assert len(open_to_it.uploads() - before) == (1 if parallel == 1 else parallel + 1)
    # GET is for what is complete alone.
    assert open_to_it.ask("GET", upload).status == 200


def test_a_page_of_an_origin_that_is_not_let_in_gets_nowhere(
    elsewhere: tuple[str, int], open_to_it: Endpoint, watched: Watched
) -> None:
    watched.allow("blocked by CORS policy", LOST)
    page = watched.open((INSECURE_HOST, elsewhere[1]), "/")
    refused = page.evaluate(
        """async (url) => {
          try { await fetch(url, { method: "POST", headers: { "Tus-Resumable": "1.0.0" } }); }
          catch (error) { return String(error); }
        }""",
        f"http://127.0.0.1:{open_to_it.server.address[1]}/files/",
    )
    assert refused == "TypeError: Failed to fetch"
