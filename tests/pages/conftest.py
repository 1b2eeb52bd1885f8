"""A browser, and pages in it that fail their test by anything that they complain of."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.pages.watched import Watched

if TYPE_CHECKING:
    from pathlib import Path

INSECURE_HOST: Final = "uploads.test"
"""This machine by a name that a browser does not trust over plain HTTP, as it does 127.0.0.1."""

ARGUMENTS: Final = (
    "--no-sandbox",  # CI is root in a container of its own, and loads nothing but our pages
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--host-resolver-rules=MAP {INSECURE_HOST} 127.0.0.1",
)


@contextmanager
def launched() -> Iterator[Browser]:
    """Return a browser without a window, ended with the block."""
    program = shutil.which("chromium")
    assert program, "chromium is missing: make setup installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield browser
        browser.close()


# Of the package, not of the session: while it lives, the main thread has a loop that runs, and no
# other test could run one of its own.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Return the browser that the tests of pages share."""
    with launched() as browser:
        yield browser


@pytest.fixture
def watched(browser: Browser, tmp_path: Path) -> Iterator[Watched]:
    """Return what opens pages, and says at the end what they complained of."""
    with Watched(browser, tmp_path) as watched:
        yield watched
