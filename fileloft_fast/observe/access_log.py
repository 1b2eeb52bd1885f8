"""The access log: one line a request, made of text at once and written a few lines at a time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import time
from typing import TYPE_CHECKING, Final

from fileloft_fast.observe.log import render_json, render_pair, render_time
from fileloft_fast.observe.request import request_of

if TYPE_CHECKING:
    from fileloft_fast.model import Response
    from fileloft_fast.observe.request import Request, Served

_PIPE_BYTES: Final = 4096  # pipe(7): so much is written in one piece, whoever else writes
_FLUSH_S: Final = 0.2
_is_plain: Final = re.compile(r"[!#-<>-\[\]-~]*").fullmatch


class AccessLog:
    """Writes to *descriptor*, standard error by default. Belongs to the loop that runs.

    Never the query: grants travel in it. A line leaves within a fifth of a second.
    """

    def __init__(self, descriptor: int = 2, *, as_json: bool = False) -> None:
        self._descriptor = descriptor
        self._render = _render_json if as_json else _render_plain
        self._lines: list[str] = []
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._second = -1
        self._time = ""

    def write(self, served: Served, response: Response, spent_s: float) -> None:
        """Take note of a request that is over."""
        now = time.time()
        if int(now * 1000) != self._second:
            self._second = int(now * 1000)
            self._time = render_time(now)
        line = self._render(self._time, served, response, spent_s)
        if self._bytes + len(line) > _PIPE_BYTES:
            self.flush()
        self._lines.append(line)
        self._bytes += len(line)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_FLUSH_S, self._on_due)

    def flush(self) -> None:
        """Write what waits."""
        data, self._bytes = "".join(self._lines).encode(), 0
        self._lines.clear()
        with contextlib.suppress(OSError):  # nobody reads, as with any line of the log: it is lost
            while data:
                data = data[os.write(self._descriptor, data) :]

    def _on_due(self) -> None:
        self._timer = None
        self.flush()


def upload_of(request: Request, response: Response) -> str:
    """Return the upload that *request* was about or has made, "" where there is none."""
    if response.status == 404:  # what the URL names is not there
        return ""
    if request.upload or response.status not in {201, 204}:
        return request.upload
    place = next((value for name, value in response.own if name == "Location"), "")
    return place.rpartition("/")[2]


def _sent(response: Response) -> int:
    body = response.body
    return len(body) if isinstance(body, bytes) else body.length or 0


def _render_plain(at: str, served: Served, response: Response, spent_s: float) -> str:
    head, request = served.head, request_of(served)
    path = head.path if _is_plain(head.path) else render_pair("path", head.path)[5:]
    upload = upload_of(request, response)
    shown = f" id={upload}" if _is_plain(upload) and upload else ""
    if request.subject:
        shown += " " + render_pair("subject", request.subject)
    return (
        f"time={at} level=info at=access msg=request client={head.peer.address or '-'}"
        f" method={head.method} path={path} status={response.status}"
        f" in={served.received} out={_sent(response)} seconds={spent_s:.6f}"
        f" request={request.id}{shown}\n"
    )


def _render_json(at: str, served: Served, response: Response, spent_s: float) -> str:
    head, request = served.head, request_of(served)
    pairs: dict[str, object] = {
        "time": at,
        "level": "info",
        "at": "access",
        "msg": "request",
        "client": head.peer.address or "-",
        "method": head.method,
        "path": head.path,
        "status": response.status,
        "in": served.received,
        "out": _sent(response),
        "seconds": round(spent_s, 6),
        "request": request.id,
    }
    upload = upload_of(request, response)
    if upload:
        pairs["id"] = upload
    if request.subject:
        pairs["subject"] = request.subject
    return render_json(pairs) + "\n"
