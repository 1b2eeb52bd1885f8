"""Pages of one test: opened, watched for errors and breaches of their policy, and asked."""

from __future__ import annotations

import hashlib
import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from playwright.sync_api import expect

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page

PATIENCE_MS: Final = 90_000
"""How long a state may take to come; on a machine that does nothing else, none takes a second."""

LOST: Final = r"net::ERR_"
"""What a browser logs of a connection that broke."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A file to upload."""

    path: Path
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """The name that people see."""
        return self.path.name


class Watched:
    """The pages of one test, in a context of their own: nothing is kept from another test."""

    def __init__(self, browser: Browser, folder: Path) -> None:
        self._browser = browser
        self.folder = folder
        self._complaints: list[str] = []
        self._allowed: list[str] = []
        self._contexts: list[BrowserContext] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for context in self._contexts:
            context.close()
        if kind is None:
            wrong = [
                text
                for text in self._complaints
                if not any(re.search(pattern, text) for pattern in self._allowed)
            ]
            assert not wrong, "\n".join(wrong)

    def allow(self, *patterns: str) -> None:
        """Let pages complain of what is a part of the test."""
        self._allowed += patterns

    def open(self, address: tuple[str, int], path: str = "/ui/", **options: Any) -> Page:
        """Open a page in a context of its own; *options* are of ``Browser.new_context``."""
        context = self._browser.new_context(**options)
        self._contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self._complaints.append(str(error.error)))
        page = context.new_page()
        page.on("dialog", lambda dialog: dialog.accept())  # "leave this page?"
        host, port = address
        page.goto(f"http://{host}:{port}{path}")
        return page

    def sample(self, name: str, size: int) -> Sample:
        """Write a file of *size* bytes that nobody foresees."""
        content = random.Random(name).randbytes(size)
        path = self.folder / name
        path.write_bytes(content)
        return Sample(path, size, hashlib.sha256(content).hexdigest())

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self._complaints.append(f"{message.type}: {message.text}")


def choose(page: Page, *samples: Sample) -> None:
    """Choose files, as by the dialog that the button opens."""
    page.get_by_label("Choose files").set_input_files([sample.path for sample in samples])


def row(page: Page, sample: Sample) -> Locator:
    """Return the line of a file's upload."""
    named = page.get_by_text(sample.name, exact=True)
    return page.get_by_role("listitem").filter(has=named)


def wait_for(page: Page, sample: Sample, state: str) -> Locator:
    """Wait until the upload of a file is in *state*, and return its line."""
    line = row(page, sample)
    expect(line).to_have_attribute("data-state", state, timeout=PATIENCE_MS)
    return line


def assert_done(page: Page, sample: Sample) -> Locator:
    """Wait until a file is uploaded; assert that the page shows its SHA-256."""
    line = wait_for(page, sample, "done")
    expect(line.locator(".digest")).to_have_text(sample.sha256)
    return line
