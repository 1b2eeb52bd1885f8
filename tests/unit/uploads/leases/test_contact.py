"""The log of an outage: one line when it begins, one when it ends."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from fileloft_fast.uploads.leases.contact import Contact

if TYPE_CHECKING:
    import pytest


def test_an_outage_is_two_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    contact = Contact("post")
    contact.made()
    contact.lost(OSError("no"))
    contact.lost(OSError("no"))
    contact.made()
    contact.made()
    assert caplog.messages == ["post: lost", "post: back"]


def test_a_failure_now_and_then_is_no_outage(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    contact = Contact("post", patience_s=0.05)
    for _ in range(3):
        contact.lost(OSError("no"))
        contact.made()
    assert contact.lost_s == 0
    assert caplog.messages == []
    contact.lost(OSError("no"))
    time.sleep(0.06)
    contact.lost(OSError("no"))
    assert contact.lost_s > 0.05
    assert caplog.messages == ["post: lost"]
