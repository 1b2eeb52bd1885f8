"""The main process where several serve: it starts them, starts them again, and ends with them.

It never serves, and has no loop and no threads, so that it may fork.
"""

from __future__ import annotations

import gc
import logging
import os
import selectors
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from fileloft_fast.app.workers.slots import Slots, close_slots
from fileloft_fast.app.workers.worker import SIGNALS, Work, Worker
from fileloft_fast.errors import ConfigError
from fileloft_fast.observe.log import fields

if TYPE_CHECKING:
    from fileloft_fast.app.workers.launch import Launch, Successor
    from fileloft_fast.listen import Notifier

log = logging.getLogger(__name__)

MARGIN_S: Final = 10.0
"""Beyond what a drain may take; then a worker hangs."""
_LOOK: Final = 0.25  # of the time after which a worker hangs
_FORWARDED: Final = frozenset({signal.SIGHUP, signal.SIGUSR1})


class Supervisor:
    """Keeps a worker at work in each of *slots*, whose sockets it takes over.

    *work* is done in each worker; *drain_s* is what a drain may take. A worker that says nothing
    for *hang_s* is killed and started again, with 0 never. *notifier* tells systemd when
    all serve for the first time, that the loop turns, and which process took over. *on_death* is
    called with the slot of a worker that died.
    """

    def __init__(  # noqa: PLR0913 - the composition root hands every part in
        self,
        slots: Slots,
        work: Work,
        launch: Launch,
        notifier: Notifier,
        *,
        drain_s: float,
        hang_s: float = 0.0,
        on_death: Callable[[int], None] = lambda _slot: None,
    ) -> None:
        self._slots = slots
        self._work = work
        self._launch = launch
        self._drain_s = drain_s
        self._hang_s = hang_s
        self._look_at = time.monotonic() + hang_s * _LOOK if hang_s else float("inf")
        self._notifier = notifier
        self._on_death = on_death
        self._beat_at = time.monotonic() if notifier.beat_s else float("inf")
        self._workers = [Worker(number) for number in range(len(slots))]
        self._selector = selectors.DefaultSelector()
        self._wakeup: tuple[int, int] = (-1, -1)
        self._successor: Successor | None = None
        self._up = False
        self._relied_on = False  # a predecessor has gone on our word: nobody else serves
        self._ending = False
        self._told_to_stop = False
        self._deadline = float("inf")
        self._failed = False

    def run(self) -> int:
        """Work until told to stop; return the exit status. Blocks. Raises ConfigError."""
        with self._taking_signals():
            try:
                self._start(self._workers[0])  # what is wrong with all of them is found once
                while not self._is_over():
                    self._wait()
            finally:
                for worker in self._workers:
                    worker.signal(signal.SIGKILL)
                close_slots(self._slots)
                self._selector.close()
        return 1 if self._failed else 0

    def _is_over(self) -> bool:
        return self._ending and not any(worker.running for worker in self._workers)

    def _wait(self) -> None:
        """Wait for what happens next, and act on it."""
        for key, _ in self._selector.select(self._pause_s()):
            key.data()
        now = time.monotonic()
        if now >= self._beat_at:
            self._notifier.beat()
            self._beat_at = now + self._notifier.beat_s
        if self._ending:
            if now >= self._deadline:
                log.error("workers do not end: killed")
                self._signal_all(signal.SIGKILL)
                self._deadline = float("inf")
            return
        if now >= self._look_at:
            self._look_for_hanging(now)
        for worker in self._workers:
            if worker.due_at is not None and now >= worker.due_at:
                self._start(worker)

    def _pause_s(self) -> float | None:
        times = [worker.due_at for worker in self._workers if worker.due_at is not None]
        times = [self._deadline] if self._ending else [*times, self._look_at]
        first = min([*times, self._beat_at])
        return None if first == float("inf") else max(0.0, first - time.monotonic())

    # -- workers --------------------------------------------------------------------------------

    def _start(self, worker: Worker) -> None:
        gc.freeze()  # what is collected in a worker must not touch the pages that all share
        try:
            worker.start(self._work, self._foreign(worker))
        except OSError as error:
            log.error("no worker", extra=fields(slot=worker.slot, error=error))  # noqa: TRY400
            worker.on_exit()
            return
        log.info("worker started", extra=fields(slot=worker.slot, pid=worker.pid))
        assert worker.channel is not None
        self._selector.register(
            worker.channel, selectors.EVENT_READ, lambda: self._on_channel(worker)
        )

    def _look_for_hanging(self, now: float) -> None:
        """Kill each worker that serves and says nothing any more.

        Its connections wait for what it will never do, and what it holds nobody else gets. Where we
        did not run ourselves, as in a container that was frozen, nobody could be heard.
        """
        every_s = self._hang_s * _LOOK
        frozen = now - self._look_at > every_s
        self._look_at = now + every_s
        for worker in self._workers:
            if not worker.serving:
                continue
            worker.read_channel()
            if frozen:
                worker.heard_at = now
            elif now - worker.heard_at > self._hang_s:
                log.error("worker hangs: killed", extra=fields(slot=worker.slot, pid=worker.pid))
                worker.signal(signal.SIGKILL)
                return  # one at a time: where the log is what all wait for, we have waited too

    def _foreign(self, own: Worker) -> Sequence[int]:
        """Return the descriptors that are not for the process of *own*."""
        kept = {each.fileno() for each in self._slots[own.slot]}
        found = {each.fileno() for slot in self._slots for each in slot} - kept
        found |= {each.channel.fileno() for each in self._workers if each.channel is not None}
        found |= {*self._wakeup, self._selector.fileno()}
        if self._successor is not None:
            found.add(self._successor.pipe)
        if self._launch.pipe is not None:
            found.add(self._launch.pipe)
        return sorted(found)

    def _on_channel(self, worker: Worker) -> None:
        if worker.channel is None:  # it has been reaped in this round
            return
        worker.read_channel()
        if worker.serving or not worker.waiting:
            self._selector.unregister(worker.channel)  # the rest is read when it has ended
        if self._up or self._ending or not (worker.serving or worker.waiting):
            return
        for each in self._workers:
            if not each.running and each.due_at is None:
                self._start(each)
        if all(each.served or each.waiting for each in self._workers):
            self._relied_on |= self._launch.announce()
        if all(each.served for each in self._workers):
            self._up = True
            log.info("serving", extra=fields(workers=len(self._workers)))
            self._notifier.ready(f"{len(self._workers)} workers serve")

    def _reap(self) -> None:
        """Take note of every process that has ended; as PID 1 also of those that nobody has."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for worker in self._workers:
                if worker.pid == pid:
                    self._on_exit(worker, os.waitstatus_to_exitcode(status))

    def _on_exit(self, worker: Worker, code: int) -> None:
        pid = worker.pid
        if worker.channel is not None and worker.channel in self._selector.get_map():
            self._selector.unregister(worker.channel)
        worker.on_exit()
        said = fields(slot=worker.slot, pid=pid, status=code)
        if self._ending:
            # One that was told to stop before it could listen to that was stopped by the kernel.
            self._failed |= code not in {0, -signal.SIGTERM}
            log.info("worker ended", extra=said)
            return
        if worker.problem and not (self._up or self._relied_on):
            raise ConfigError(worker.problem)
        log.error("worker died", extra=said)
        self._on_death(worker.slot)

    def _signal_all(self, number: int) -> None:
        for worker in self._workers:
            worker.signal(number)

    # -- signals --------------------------------------------------------------------------------

    @contextmanager
    def _taking_signals(self) -> Iterator[None]:
        self._wakeup = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._selector.register(self._wakeup[0], selectors.EVENT_READ, self._on_wakeup)
        before = {number: signal.signal(number, lambda *_: None) for number in SIGNALS}
        signal.set_wakeup_fd(self._wakeup[1], warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)
            for descriptor in self._wakeup:
                os.close(descriptor)

    def _on_wakeup(self) -> None:
        for number in os.read(self._wakeup[0], 4096):
            if number in {signal.SIGTERM, signal.SIGINT}:
                self._on_stop(number)
            elif number == signal.SIGUSR2:
                self._upgrade()
            elif number in _FORWARDED:
                self._forward(number)
        self._reap()

    def _forward(self, number: int) -> None:
        if number == signal.SIGHUP:
            self._notifier.reloading()
        self._signal_all(number)
        if number == signal.SIGHUP:
            self._notifier.ready()

    def _on_stop(self, number: int) -> None:
        if self._told_to_stop:
            log.warning("stopping at once")
            self._signal_all(signal.SIGKILL)
            os._exit(128 + number)
        self._told_to_stop = True
        if self._successor is not None:
            self._successor.stop()
        self._end(self._drain_s)
        self._signal_all(signal.SIGTERM)

    def _end(self, within_s: float, heir: int | None = None) -> None:
        """Accept nothing more here; the workers are told by the caller."""
        self._ending = True
        self._deadline = time.monotonic() + within_s + MARGIN_S
        close_slots(self._slots)
        log.info("stopping", extra=fields(workers=sum(each.running for each in self._workers)))
        if heir is None:
            self._notifier.stopping("draining")
        else:
            self._notifier.main_process(heir)

    # -- upgrade --------------------------------------------------------------------------------

    def _upgrade(self) -> None:
        """Start a process to take over."""
        if self._successor is not None:
            log.warning("upgrading already", extra=fields(successor=self._successor.pid))
            return
        if self._ending or not self._launch.may_upgrade():
            return
        try:
            self._successor = self._launch.start_successor(self._slots)
        except OSError as error:
            log.error("upgrade failed", extra=fields(error=error))  # noqa: TRY400 - not ours
            return
        log.info("upgrading", extra=fields(successor=self._successor.pid))
        self._selector.register(self._successor.pipe, selectors.EVENT_READ, self._on_successor)

    def _on_successor(self) -> None:
        successor, self._successor = self._successor, None
        assert successor is not None
        self._selector.unregister(successor.pipe)
        serves = successor.is_serving()
        successor.close()
        if self._ending:  # both were told to stop
            return
        if not serves:
            log.error("upgrade failed: going on", extra=fields(successor=successor.pid))
        else:
            log.info("upgraded", extra=fields(successor=successor.pid))
            self._end(2 * self._drain_s, heir=successor.pid)
            for worker in self._workers:
                worker.go_gently()
