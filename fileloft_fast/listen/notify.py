"""Tells systemd how the service is: ready, reloading, stopping, and that its loop still turns.

sd_notify(3) without libsystemd: one datagram a message. Where NOTIFY_SOCKET is unset nothing is
told and nothing is opened, so callers need not ask.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from typing import TYPE_CHECKING

from fileloft_fast.observe.log import fields

if TYPE_CHECKING:
    import asyncio

    from fileloft_fast.config import Settings

log = logging.getLogger(__name__)


class Notifier:
    """One process's line to systemd. ``close`` it at the end."""

    def __init__(self, settings: Settings) -> None:
        self._socket: socket.socket | None = None
        self._address = ""
        self.beat_s = 0.0
        """How often the watchdog wants to hear a beat, 0 where there is none."""
        self._next: asyncio.TimerHandle | None = None
        if settings.notify_socket is None:
            return
        name = settings.notify_socket
        self._address = f"\0{name[1:]}" if name.startswith("@") else name
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(0)  # whoever does not listen must not stop the loop
        if settings.watchdog_pid in {0, os.getpid()}:
            self.beat_s = settings.watchdog_usec / 2e6

    def ready(self, status: str = "") -> None:
        """Say that the service serves, or that a reload is over."""
        self._send("READY=1", *_status(status))

    def reloading(self) -> None:
        """Say that settings or certificates are read again; ``ready`` ends it."""
        # MONOTONIC_USEC tells systemd which of two reloads the READY=1 that follows belongs to.
        now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now_us}")

    def stopping(self, status: str = "") -> None:
        """Say that the service drains and will end."""
        self._send("STOPPING=1", *_status(status))

    def status(self, text: str) -> None:
        """Show *text*, one line, in ``systemctl status``."""
        self._send(*_status(text))

    def main_process(self, pid: int) -> None:
        """Say that another process is the service's main one from now on (an upgrade)."""
        self._send(f"MAINPID={pid}")

    def beat(self) -> None:
        """Tell the watchdog that the caller is not stuck; to be called every ``beat_s``."""
        self._send("WATCHDOG=1")

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Beat from *loop*, twice in the time that systemd allows.

        From the loop itself: one that is stuck says nothing, and systemd restarts the service.
        """
        if self.beat_s:
            self.beat()
            self._next = loop.call_later(self.beat_s, self.watch, loop)

    def close(self) -> None:
        """Say no more."""
        if self._next is not None:
            self._next.cancel()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, *lines: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            log.warning("systemd was not told", extra=fields(error=error, said=lines[0]))


def _status(text: str) -> tuple[str, ...]:
    return (f"STATUS={' '.join(text.split())}",) if text else ()
