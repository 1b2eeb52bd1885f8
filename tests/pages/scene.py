"""The page for people with an upload in every state, for those who look at it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from playwright.sync_api import expect

from tests.pages.watched import LOST, PATIENCE_MS, choose, wait_for
from tests.proxy import UNHARMED, Course, End, Fate

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.pages.watched import Watched
    from tests.proxy import Proxy

MIB: Final = 1024 * 1024
STUCK: Final = Fate(up=Course(after=2 * MIB, end=End.STALL))
"""A connection on which an upload begins and then stands still, until it is reset."""

BEGUN: Final = re.compile(r"[1-9]\d* %")

SETTINGS: Final = {"ENABLE_UI": "1", "ENABLE_DOWNLOAD": "1", "MAX_SIZE": "20M"}


def show_uploads(watched: Watched, proxy: Proxy, **options: Any) -> Page:
    """Open the page and bring about every state; *proxy* leads to a server with ``SETTINGS``."""
    sound = watched.sample("Interview with the harbour master.wav", 3 * MIB)
    film = watched.sample("Holiday in Norway.mp4", 2 * MIB)
    report = watched.sample("Annual report.pdf", 5 * MIB)
    backup = watched.sample("backup-2026-11.tar", 9 * MIB)
    scans = watched.sample("Scans of the archive.zip", 21 * MIB)
    watched.allow(LOST, "409")

    proxy.otherwise = STUCK
    page = watched.open(proxy.address, **options)
    choose(page, sound)
    line = wait_for(page, sound, "sending")
    expect(line).to_contain_text(BEGUN, timeout=PATIENCE_MS)
    page.reload()

    proxy.otherwise = UNHARMED
    proxy.reset_all()
    choose(page, film)
    wait_for(page, film, "done")
    proxy.otherwise = STUCK
    proxy.reset_all()
    choose(page, report, backup, scans)
    wait_for(page, scans, "failed")
    for sample in (report, backup):
        line = wait_for(page, sample, "sending")
        expect(line).to_contain_text(BEGUN, timeout=PATIENCE_MS)
    page.get_by_role("button", name=f"Pause {backup.name}").click()
    wait_for(page, backup, "paused")
    return page
