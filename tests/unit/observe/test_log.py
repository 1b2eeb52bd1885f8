"""The log: one line an event, whatever a client managed to put into it."""

from __future__ import annotations

import io
import logging
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileloft_fast.config import LOG_LEVELS
from fileloft_fast.observe.access_log import AccessLog
from fileloft_fast.observe.log import LineFormatter, configure_log, fields, render_pair

if TYPE_CHECKING:
    from collections.abc import Iterator

LOG = logging.getLogger("fileloft_fast.uploads")


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Return what is logged from here on; the root logger is put back afterwards."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_log("info", stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)


def test_a_record_is_one_line_of_pairs(lines: io.StringIO) -> None:
    LOG.info("upload created", extra=fields(id="a1", size=12))
    line = lines.getvalue()
    assert line.startswith("time=2")
    assert line.endswith('level=info at=uploads msg="upload created" id=a1 size=12\n')


def test_a_traceback_stays_on_the_line(lines: io.StringIO) -> None:
    try:
        int("two\nlines")
    except ValueError:
        LOG.exception("bug")
    assert lines.getvalue().count("\n") == 1
    assert 'trace="Traceback' in lines.getvalue()


def test_what_is_below_the_level_is_left_out(lines: io.StringIO) -> None:
    LOG.debug("detail")
    assert lines.getvalue() == ""


def test_configuring_again_does_not_log_twice(lines: io.StringIO) -> None:
    configure_log("info", lines)
    LOG.info("once")
    assert lines.getvalue().count("once") == 1


@pytest.mark.parametrize("level", LOG_LEVELS)
def test_every_level_of_the_settings_can_be_set(lines: io.StringIO, level: str) -> None:
    configure_log(level, lines)
    LOG.error("failure")
    assert bool(lines.getvalue()) is (level != "off")


@given(st.text())
def test_a_value_cannot_break_out_of_its_pair(text: str) -> None:
    pair = render_pair("name", text)
    assert pair.isascii()
    assert pair.isprintable()
    value = pair.removeprefix("name=")
    if not (value.startswith('"') and value.endswith('"') and len(value) > 1):
        assert value == text
        assert not set(value) & set(' "=\\')
    else:
        assert '"' not in value[1:-1].replace("\\\\", "").replace('\\"', "")


@given(st.text(), st.text())
def test_a_message_from_a_client_is_still_one_line(message: str, value: str) -> None:
    record = logging.LogRecord("x", logging.WARNING, "", 0, message, None, None)
    record.fields = {"value": value}
    assert LineFormatter().format(record).isprintable()


def test_an_access_log_that_nobody_reads_is_no_failure() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    access = AccessLog(writer)
    access._lines.append("line\n")
    try:
        access.flush()
    finally:
        os.close(writer)
    assert access._lines == []
