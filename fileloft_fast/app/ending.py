"""How a process is told to end: by a signal, by its supervisor, or by one that takes over."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fileloft_fast.app.workers.worker import (
    BEAT,
    BEAT_S,
    GO_GENTLY,
    SERVING,
    WAITING,
)
from fileloft_fast.observe.log import fields

if TYPE_CHECKING:
    import socket

    from fileloft_fast.app.workers.launch import Launch, Successor
    from fileloft_fast.listen import Notifier

log = logging.getLogger(__name__)


class Ending:
    """What was asked for: ``asked`` is set for any end, ``at_once`` where nothing may run on."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.at_once = asyncio.Event()

    def on_reload(self, reload: Callable[[], None]) -> None:
        """Call *reload* on SIGHUP."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)

    @property
    def gently(self) -> bool:
        """Whether what runs may run on for a while."""
        return not self.at_once.is_set()

    def stop(self) -> None:
        """End: what runs is ended."""
        self.at_once.set()
        self.asked.set()

    def go_gently(self) -> None:
        """End: what runs ends by itself."""
        self.asked.set()


class WorkerEnding(Ending):
    """The end of a worker. A signal that comes twice counts once: systemd sends each to all."""

    def __init__(self, channel: socket.socket) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._channel = channel
        channel.settimeout(0)
        self._loop.add_signal_handler(signal.SIGTERM, self.stop)
        self._loop.add_reader(channel.fileno(), self._read)

    def serving(self) -> None:
        """Tell the supervisor, and then ever again that the loop turns."""
        self._tell(SERVING)
        self._loop.call_later(BEAT_S, self._beat)

    def waiting(self) -> None:
        """Tell the supervisor that a predecessor has to go first."""
        self._tell(WAITING)

    def _beat(self) -> None:
        self._tell(BEAT)
        self._loop.call_later(BEAT_S, self._beat)

    def _tell(self, word: bytes) -> None:
        # It has died, and the channel says so too; or it listens no longer, as at the end.
        with contextlib.suppress(BrokenPipeError, BlockingIOError):
            self._channel.send(word)

    def _read(self) -> None:
        try:
            said = self._channel.recv(16)
        except ConnectionResetError:  # died with words of ours unread
            said = b""
        if said == GO_GENTLY:
            self.go_gently()
            return
        self._loop.remove_reader(self._channel.fileno())
        if not self.asked.is_set():
            log.warning("stopping: the supervisor is gone")
        self.stop()


class MainEnding(Ending):
    """The end of a process that serves alone; a second signal ends it at once.

    *notifier* tells systemd, also of the process that takes over, if one does.
    """

    def __init__(self, launch: Launch, notifier: Notifier) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._launch = launch
        self._notifier = notifier
        self._successor: Successor | None = None
        self._sockets: Sequence[socket.socket] = ()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._on_stop, number)
        self._loop.add_signal_handler(signal.SIGUSR2, self._upgrade)

    def serving(self, sockets: Sequence[socket.socket]) -> None:
        """Take note of what a successor is handed, and tell the predecessor."""
        self._sockets = sockets
        self._launch.announce()
        self._notifier.ready("serving")
        self._notifier.watch(self._loop)

    def on_reload(self, reload: Callable[[], None]) -> None:
        """Call *reload* on SIGHUP, and tell systemd that it is done."""

        def work() -> None:
            self._notifier.reloading()
            reload()
            self._notifier.ready()

        super().on_reload(work)

    def stop(self) -> None:
        """End: what runs is ended."""
        self._notifier.stopping("draining")
        super().stop()

    def _on_stop(self, number: int) -> None:
        if self.at_once.is_set():
            log.warning("stopping at once")
            os._exit(128 + number)
        if self._successor is not None:
            self._successor.stop()
        self.stop()

    def _upgrade(self) -> None:
        if self._successor is not None:
            log.warning("upgrading already", extra=fields(successor=self._successor.pid))
            return
        ready = self._sockets and not self.asked.is_set()
        if not ready or not self._launch.may_upgrade():
            return
        try:
            self._successor = self._launch.start_successor([self._sockets])
        except OSError as error:
            log.error("upgrade failed", extra=fields(error=error))  # noqa: TRY400 - not ours
            return
        log.info("upgrading", extra=fields(successor=self._successor.pid))
        self._loop.add_reader(self._successor.pipe, self._on_successor)

    def _on_successor(self) -> None:
        successor, self._successor = self._successor, None
        assert successor is not None
        self._loop.remove_reader(successor.pipe)
        serves = successor.is_serving()
        successor.close()
        if not serves:
            os.waitpid(successor.pid, 0)
        if not self.gently:  # both were told to stop
            return
        if serves:
            log.info("upgraded", extra=fields(successor=successor.pid))
            self._notifier.main_process(successor.pid)
            self.go_gently()
        else:
            log.error("upgrade failed: going on", extra=fields(successor=successor.pid))
