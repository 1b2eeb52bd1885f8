"""Structured log: one line an event on standard error, ``key=value`` or JSON, client text escaped.

Every room logs through the standard module: ``LOG.info("upload created", extra=fields(id=id))``. A
line that is written while a request is served says which, and of which upload.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Final, TextIO

import msgspec

from fileloft_fast.observe.request import current_request

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


_TALKATIVE: Final = ("asyncio", "aiohttp", "aiobotocore", "azure", "botocore", "google", "urllib3")
"""Libraries whose debug lines tell of every request they make, signatures included."""


def configure_log(level: str, stream: TextIO | None = None, *, as_json: bool = False) -> None:
    """Send everything from *level* up to *stream*, standard error by default; may be repeated.

    What libraries have to say below info is left out, but at ``trace``.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else LineFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[level])
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.INFO if level == "debug" else logging.NOTSET)


def fields(**pairs: object) -> dict[str, dict[str, object]]:
    """Return *pairs* in the form that ``extra=`` of a log call takes."""
    return {"fields": pairs}


def render_pair(key: str, value: object) -> str:
    """Return ``key=value`` on one line of printable ASCII, quoted where the value needs it."""
    text = str(value)
    if not _PLAIN.fullmatch(text):
        text = json.dumps(text).replace("\x7f", "\\u007f")
    return f"{key}={text}"


def render_time(seconds: float) -> str:
    """Return a time since the epoch as lines begin with it, in milliseconds."""
    time = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return time.replace("+00:00", "Z")


class LineFormatter(logging.Formatter):
    """One line a record: time, level, where, message, then the record's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of *record*; a traceback becomes one quoted field."""
        return " ".join(render_pair(key, value) for key, value in self._pairs(record).items())

    def _pairs(self, record: logging.LogRecord) -> dict[str, object]:
        pairs: dict[str, object] = {
            "time": render_time(record.created),
            "level": _NAMES.get(record.levelno, record.levelname.lower()),
            "at": record.name.removeprefix("fileloft_fast."),
            "msg": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        _add_request(pairs)
        if record.exc_info:
            pairs["trace"] = self.formatException(record.exc_info)
        return pairs


class JsonFormatter(LineFormatter):
    """The same, as one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of *record*; numbers stay numbers, whatever else there is is text."""
        return render_json(self._pairs(record))


def render_json(pairs: dict[str, object]) -> str:
    """Return *pairs* as a JSON object on one line of printable ASCII."""
    values = {
        key: value if isinstance(value, int | float | None) else str(value)
        for key, value in pairs.items()
    }
    try:
        text = msgspec.json.encode(values).decode()
    except UnicodeEncodeError:  # half a surrogate pair: nothing that UTF-8 could hold
        return json.dumps(values)
    return text if text.isascii() and text.isprintable() else json.dumps(values)


def _add_request(pairs: dict[str, object]) -> None:
    """Say which request a line belongs to: not one about another upload than the request's."""
    request = current_request()
    if request is None or pairs.get("id", request.upload) != request.upload:
        return
    pairs["request"] = request.id
    if request.upload:
        pairs["id"] = request.upload
