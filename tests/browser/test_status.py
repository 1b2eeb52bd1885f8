"""The status page in a browser: what it shows beside uploads, and how it bears losses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pytest
from playwright.sync_api import expect

from tests.deadline import eventually
from tests.endpoint import Endpoint
from tests.pages.listening import KEY
from tests.server import Server

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.conftest import Fleet

KIB: Final = 1024
PATIENCE_MS: Final = 20_000


@pytest.fixture
def watched(fleet: Fleet) -> Iterator[Endpoint]:
    with fleet.start(STATUS_KEY=KEY) as server:
        yield Endpoint(server)


def url(endpoint: Endpoint) -> str:
    return f"http://127.0.0.1:{endpoint.server.address[1]}/ui/status"


def enter(page: Page, key: str = KEY) -> None:
    """Type *key* and send it off, by the keyboard alone."""
    expect(page.get_by_label("Key of the status page")).to_be_focused()
    page.keyboard.type(key)
    page.keyboard.press("Enter")


def state(page: Page) -> Locator:
    """Return what a screen reader is told of the connection."""
    return page.get_by_role("status")


def figure(page: Page, name: str) -> Locator:
    return page.locator("#now div", has=page.get_by_text(name, exact=True)).locator("dd")


@contextmanager
def uploading(tus: Endpoint, upload: str, length: int) -> Iterator[Callable[[bytes], None]]:
    """Hold a PATCH of *length* bytes open, to be sent by what is returned."""
    head = tus.render_append(upload, 0, b"", {"Content-Length": str(length)})
    with tus.connect() as wire:
        wire.send(head)
        yield wire.send


def test_uploads_that_run_appear_beside_the_plot(page: Page, watched: Endpoint) -> None:
    foreign: list[str] = []
    page.on("request", lambda asked: foreign.append(asked.url))
    page.goto(url(watched))
    enter(page)
    expect(state(page)).to_have_text("Connected", timeout=PATIENCE_MS)
    expect(page.get_by_text("Ready for uploads")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_text("No upload is running.")).to_be_visible()
    upload = watched.create(1000 * KIB)
    with uploading(watched, upload, 1000 * KIB) as send:
        send(bytes(500 * KIB))
        row = page.get_by_role("row", name=upload.rsplit("/", 1)[1])
        expect(row).to_be_visible(timeout=PATIENCE_MS)
        expect(row).to_contain_text("50 %", timeout=PATIENCE_MS)
        expect(row).to_contain_text("receiving")
        expect(row).to_contain_text("512 kB of 1.0 MB")
        expect(figure(page, "Uploads worked on")).to_have_text("1")
        plot = page.get_by_role("img", name="Throughput")
        expect(plot).to_have_accessible_description(re.compile("In, from clients: .* at most"))
        drawn = plot.locator("path.in").get_attribute("d")
        send(bytes(250 * KIB))
        expect(row).to_contain_text("75 %", timeout=PATIENCE_MS)
        eventually(
            lambda: plot.locator("path.in").get_attribute("d") != drawn, within_s=PATIENCE_MS / 1000
        )
        page.get_by_text("As a table").click()
        expect(page.get_by_role("columnheader", name="In, from clients")).to_be_visible()
        expect(page.locator("#means tbody tr")).not_to_have_count(0)
    expect(page.get_by_text("No upload is running.")).to_be_visible(timeout=PATIENCE_MS)
    assert {each.split("/ui/status")[0] for each in foreign} == {url(watched).split("/ui/")[0]}
    assert not any(KEY in each for each in foreign)


def test_a_wrong_key_is_refused_and_forgotten(page: Page, watched: Endpoint) -> None:
    page.goto(url(watched))
    enter(page, "wrong")
    expect(page.get_by_role("alert")).to_have_text("This key is wrong.", timeout=PATIENCE_MS)
    assert page.evaluate("sessionStorage.length") == 0
    expect(page.locator("#shown")).to_be_hidden()
    enter(page)
    expect(state(page)).to_have_text("Connected", timeout=PATIENCE_MS)
    expect(page.get_by_role("heading", name="Health")).to_be_visible(timeout=PATIENCE_MS)


def test_the_key_is_kept_in_the_tab_until_it_is_forgotten(page: Page, watched: Endpoint) -> None:
    page.goto(url(watched))
    enter(page)
    expect(state(page)).to_have_text("Connected", timeout=PATIENCE_MS)
    page.reload()
    expect(state(page)).to_have_text("Connected", timeout=PATIENCE_MS)
    assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    page.get_by_role("button", name="Forget the key").click()
    expect(page.get_by_label("Key of the status page")).to_be_focused()
    assert page.evaluate("sessionStorage.length") == 0
    page.reload()
    expect(page.get_by_label("Key of the status page")).to_be_focused()


def test_a_server_that_restarts_is_found_again(page: Page, fleet: Fleet) -> None:
    before = fleet.start(STATUS_KEY=KEY)
    try:
        endpoint = Endpoint(before)
        page.goto(url(endpoint))
        enter(page)
        expect(page.get_by_role("heading", name="Health")).to_be_visible(timeout=PATIENCE_MS)
    finally:
        before.stop()
    expect(state(page)).to_have_text("Connection lost; trying again …", timeout=PATIENCE_MS)
    expect(page.get_by_text(re.compile(r"These figures are \d+ s old"))).to_be_visible(
        timeout=PATIENCE_MS
    )
    bind = {"FILELOFT_BIND": f"127.0.0.1:{before.address[1]}"}
    with Server(before.data, before.settings | bind) as after:
        expect(state(page)).to_have_text("Connected", timeout=2 * PATIENCE_MS)
        expect(page.locator("#about")).to_contain_text(f"process {after.pid}", timeout=PATIENCE_MS)
        expect(page.locator("#old")).to_be_hidden()
