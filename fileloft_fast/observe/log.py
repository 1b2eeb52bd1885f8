"""Structured log: one line an event on standard error, ``key=value``, client text escaped.

Every room logs through the standard module: ``LOG.info("upload created", extra=fields(id=id))``.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Final, TextIO

_LEVELS: Final = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "off": logging.CRITICAL + 1,
}
_NAMES: Final = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warn",
    logging.ERROR: "error",
    logging.CRITICAL: "error",
}
_PLAIN: Final = re.compile(r"[!#-<>-\[\]-~]+")  # printable ASCII without space, ", = and backslash


def configure_log(level: str, stream: TextIO | None = None) -> None:
    """Send everything from *level* up to *stream*, standard error by default; may be repeated."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(LineFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[level])


def fields(**pairs: object) -> dict[str, dict[str, object]]:
    """Return *pairs* in the form that ``extra=`` of a log call takes."""
    return {"fields": pairs}


def render_pair(key: str, value: object) -> str:
    """Return ``key=value`` on one line of printable ASCII, quoted where the value needs it."""
    text = str(value)
    if not _PLAIN.fullmatch(text):
        text = json.dumps(text).replace("\x7f", "\\u007f")
    return f"{key}={text}"


class LineFormatter(logging.Formatter):
    """One line a record: time, level, where, message, then the record's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of *record*; a traceback becomes one quoted field."""
        time = datetime.fromtimestamp(record.created, UTC)
        pairs: dict[str, object] = {
            "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": _NAMES.get(record.levelno, record.levelname.lower()),
            "at": record.name.removeprefix("fileloft_fast."),
            "msg": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            pairs["trace"] = self.formatException(record.exc_info)
        return " ".join(render_pair(key, value) for key, value in pairs.items())
