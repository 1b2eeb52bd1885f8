"""The page for people, for everybody: by keyboard, by screen reader, in light and dark."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from playwright.sync_api import expect

from tests.deadline import eventually
from tests.pages.scene import SETTINGS, STUCK, show_uploads
from tests.pages.watched import LOST, assert_done, wait_for
from tests.proxy import UNHARMED, Proxy

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.conftest import Fleet
    from tests.endpoint import Endpoint
    from tests.pages.watched import Watched

MIB: Final = 1024 * 1024
MODULES: Final = Path(__file__).parent / "js" / "node_modules"

FOCUSED: Final = """() => {
  const focused = document.activeElement;
  const style = getComputedStyle(focused.closest("label") ?? focused);
  const name = focused.labels?.[0]?.innerText ?? focused.textContent;
  return [name.trim(), style.outlineStyle !== "none" && style.outlineWidth !== "0px"];
}"""


@pytest.fixture(scope="module")
def ui(fleet: Fleet) -> Endpoint:
    return fleet.endpoint(**SETTINGS)


def violations(page: Page) -> list[str]:
    """Return what axe finds wrong with the page as it is."""
    source = MODULES / "axe-core" / "axe.min.js"
    assert source.exists(), f"{source} is missing: run tests/pages/prepare"
    page.evaluate(source.read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = page.evaluate(
        "axe.run(document, { resultTypes: ['violations'] }).then((found) => found.violations)"
    )
    return [
        f"{each['id']}: {node['html']}: {node['failureSummary']}"
        for each in found
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_state_of_the_page_keeps_anybody_out(
    ui: Endpoint, watched: Watched, scheme: str
) -> None:
    with Proxy(ui.server.address) as proxy:
        page = show_uploads(watched, proxy, color_scheme=scheme, reduced_motion="reduce")
        assert violations(page) == []
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert dark == ("rgb(16, 20, 27)" if scheme == "dark" else "rgb(246, 247, 249)")
        moving = "getComputedStyle(document.querySelector('.bar'), '::-webkit-progress-value')"
        assert page.evaluate(f"{moving}.transitionDuration") in {"0s", ""}


def test_the_check_finds_what_keeps_people_out(ui: Endpoint, watched: Watched) -> None:
    page = watched.open(ui.server.address)
    assert violations(page) == []
    page.evaluate("document.querySelector('label').replaceWith(document.getElementById('files'))")
    assert any(each.startswith("label:") for each in violations(page))


def press(page: Page, name: str, key: str) -> None:
    """Go on by Tab to what is called *name*, which must be seen to have the focus; press *key*."""
    for _ in range(20):
        page.keyboard.press("Tab")
        focused, outlined = page.evaluate(FOCUSED)
        if focused == name:
            assert outlined, f"nobody sees that {name} has the focus"
            page.keyboard.press(key)
            return
    raise AssertionError(f"Tab never comes to {name}")


def test_everything_can_be_done_by_keyboard_alone(ui: Endpoint, watched: Watched) -> None:
    one, other = watched.sample("one.bin", 5 * MIB), watched.sample("other.bin", 5 * MIB)
    watched.allow(LOST, "409", "404")  # a DELETE that broke is repeated by the browser
    with Proxy(ui.server.address, otherwise=STUCK) as proxy:
        page = watched.open(proxy.address)
        with page.expect_file_chooser() as choosing:
            press(page, "Choose files", "Enter")
        choosing.value.set_files([one.path, other.path])
        for file in (one, other):
            wait_for(page, file, "sending")
        press(page, "Pause one.bin", "Space")
        wait_for(page, one, "paused")
        assert page.evaluate(FOCUSED) == ["Resume one.bin", True]
        press(page, "Cancel other.bin", "Enter")
        expect(page.get_by_text("0 of 1 done")).to_be_visible()
        assert page.evaluate(FOCUSED) == ["Cancel one.bin", True]
        proxy.otherwise = UNHARMED
        proxy.reset_all()
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Enter")
        assert_done(page, one)
        # What had the focus is gone; what is left of the upload has it, not the page.
        assert page.evaluate(FOCUSED)[0] == "Remove one.bin"


def test_progress_is_told_in_few_words(ui: Endpoint, watched: Watched) -> None:
    files = [watched.sample(f"told-{n}.bin", MIB) for n in range(4)]
    page = watched.open(ui.server.address)
    page.evaluate(
        """() => {
          window.told = [];
          const news = document.getElementById("news");
          new MutationObserver(() => told.push(news.textContent))
            .observe(news, { childList: true, characterData: true, subtree: true });
        }"""
    )
    page.get_by_label("Choose files").set_input_files([file.path for file in files])
    for file in files:
        assert_done(page, file)
    expect(page.get_by_role("status")).to_contain_text("is uploaded.")
    eventually(lambda: page.evaluate("told.join().match(/is uploaded/g)?.length") == len(files))
    assert page.evaluate("told.length") <= len(files) + 3


def test_the_types_that_the_script_states_hold() -> None:
    compiler = MODULES / ".bin" / "tsc"
    assert compiler.exists(), f"{compiler} is missing: run tests/pages/prepare"
    told = subprocess.run(
        [compiler, "--project", MODULES.parent], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stdout
