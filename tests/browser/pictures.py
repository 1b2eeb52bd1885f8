"""``python -m tests.browser.pictures``: the pictures of the status page in the docs, made anew.

Takes six minutes: the plot shows five.
"""

from __future__ import annotations

import math
import shutil
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from playwright.sync_api import expect, sync_playwright

from tests.browser.conftest import FLAGS
from tests.endpoint import Endpoint
from tests.pages.listening import KEY
from tests.server import Server
from tests.stores.seaweedfs import SeaweedFS
from tests.unit.guards.house import ROOT
from tests.wire import render_request

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PICTURES: Final = ROOT / "docs/guide/images"
MB: Final = 1_000_000
LONG: Final = ((4000 * MB, 5 * MB), (1500 * MB, 3 * MB), (800 * MB, MB), (90 * MB, 200_000))
"""Uploads that run until the end: bytes, bytes a second."""


def load(tus: Endpoint, length: int, rate: int, over: threading.Event) -> None:
    """Upload *length* bytes at about *rate* bytes a second, more or less in waves."""
    upload = tus.create(length)
    sent = 0
    with tus.connect() as wire:
        wire.send(tus.render_append(upload, 0, b"", {"Content-Length": str(length)}))
        while sent < length and not over.wait(0.1):
            wave = 1 + 0.7 * math.sin(time.monotonic() / (11 + rate % 7))
            piece = bytes(min(length - sent, int(rate * wave / 10)))
            wire.send(piece)
            sent += len(piece)


def load_in_turn(tus: Endpoint, over: threading.Event) -> None:
    """Upload something every few seconds and read it again."""
    while not over.wait(3.0):
        upload = tus.finish(bytes(6 * MB))
        tus.ask("GET", upload)
        tus.exchange(render_request("HEAD", "/files/nothing", {}))


def take(browser: Browser, server: Server, scheme: str, path: Path) -> None:
    """Take a picture of the page."""
    context = browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": 1100, "height": 900},
    )
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{server.address[1]}/ui/status")
    page.keyboard.type(KEY)
    page.keyboard.press("Enter")
    expect(page.locator("#uploads tbody tr")).not_to_have_count(0, timeout=20_000)
    expect(page.get_by_text("Ready for uploads")).to_be_visible(timeout=20_000)
    page.wait_for_timeout(3000)  # until there are rates
    page.screenshot(path=path, full_page=True)
    context.close()


def main() -> None:
    """Make the pictures; the first argument is for how many seconds the server is loaded."""
    load_s = float(sys.argv[1]) if len(sys.argv) > 1 else 320.0
    chromium = shutil.which("chromium")
    over = threading.Event()
    with TemporaryDirectory() as folder, SeaweedFS(Path(folder, "store")) as store:
        own = {"FILELOFT_STATUS_KEY": KEY, "FILELOFT_ENABLE_DOWNLOAD": "1"}
        with Server(Path(folder, "data"), store.settings | own) as server:
            tus = Endpoint(server)
            work = [threading.Thread(target=load, args=(tus, *each, over)) for each in LONG]
            work.append(threading.Thread(target=load_in_turn, args=(tus, over)))
            for each in work:
                each.start()
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
                take(browser, server, "light", Path(folder, "first.png"))
                watching = browser.new_context().new_page()  # else nothing is remembered
                watching.goto(f"http://127.0.0.1:{server.address[1]}/ui/status")
                watching.keyboard.type(KEY)
                watching.keyboard.press("Enter")
                watching.wait_for_timeout(load_s * 1000)
                for scheme in ("light", "dark"):
                    take(browser, server, scheme, PICTURES / f"status-{scheme}.png")
                browser.close()
            over.set()
            for each in work:
                each.join()


if __name__ == "__main__":
    main()
