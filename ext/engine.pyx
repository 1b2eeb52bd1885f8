"""The engine as Python sees it: every method returns at once, with a future or a Transfer.

The contract stands in engine.pyi. Only the loop's thread calls in here.
"""

import select
import warnings

from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc

from fileloft_fast.dataplane.atomics cimport load_i64, store_int, swap_ptr
from fileloft_fast.dataplane.digest cimport Digest
from fileloft_fast.dataplane.dispatch cimport (
    OUTCOME_DESCRIPTOR, OUTCOME_FLOW, OUTCOME_INSPECTED, OUTCOME_NONE, OUTCOME_OPENED,
    OUTCOME_RESULT, Dispatcher, check, file_name, natural, valid_sync, view_of,
)
from fileloft_fast.dataplane.files cimport (
    FileJob, Source, run_append, run_close, run_concatenate, run_create, run_inspect, run_measure,
    run_open, run_remove, run_replace, run_truncate, run_write,
)
from fileloft_fast.dataplane.flows cimport (
    Flow, FlowLane, ask_flow, close_flows, give_flow, kick_flow, open_flows, start_flow, take_flow,
)
from fileloft_fast.dataplane.jobs cimport (
    Job, Kernel, close_completions, close_lane, close_pool, open_completions, open_lane,
)
from fileloft_fast.dataplane.linux cimport EPOLLIN, EPOLLOUT
from fileloft_fast.dataplane.receive cimport receive_turn
from fileloft_fast.dataplane.send cimport send_turn


SYNC_NONE = 0
SYNC_DATA = 1
SYNC_NAME = 2


cdef class Transfer:
    """A running receive or send; made by Engine.receive and Engine.send only."""

    cdef readonly object done
    cdef Engine engine
    cdef Flow* flow              # NULL once it is over and the loop thread knows
    cdef Digest digest
    cdef int64_t last_moved
    cdef int last_errno

    def __init__(self):
        raise TypeError("a Transfer comes from Engine.receive or Engine.send")

    @property
    def moved(self):
        """Bytes that are stored or sent, live."""
        return load_i64(&self.flow.moved) if self.flow != NULL else self.last_moved

    @property
    def errno(self):
        """Why it ended early, 0 while it runs and where it did not."""
        return self.last_errno

    def cancel(self):
        """End within milliseconds, with what has arrived."""
        if self.flow != NULL:
            store_int(&self.flow.cancelled, 1)
            kick_flow(&self.engine.flows, self.flow)

    def progress(self):
        """Store what has arrived, then resolve with `moved`."""
        cdef FileJob* question
        if self.flow == NULL:
            future = self.engine.loop.create_future()
            future.set_result(self.last_moved)
            return future
        question = self.engine.make_job(NULL, OUTCOME_RESULT, None)
        ask_flow(&self.engine.flows, self.flow, &question.job)
        return <object>question.job.future


cdef class Engine(Dispatcher):
    """Native threads for everything that may wait for the disk, and for whole transfers."""

    cdef set running             # of Transfer
    cdef FlowLane flows

    def __cinit__(self):
        self.closed = True

    def __init__(self, loop, *, int quick_threads=2, int sync_threads=16, int transfer_threads=4,
                 int tick_ms=1000):
        if min(quick_threads, sync_threads, transfer_threads, tick_ms) < 1:
            raise ValueError("an engine needs a thread on every lane and a tick")
        if self.loop is not None:
            raise RuntimeError("an engine is initialised once")
        check(open_completions(&self.completions))
        try:
            check(open_flows(&self.flows, transfer_threads, tick_ms, &self.completions))
            loop.add_reader(self.completions.signal, self._on_completions)
        except BaseException:
            close_flows(&self.flows)
            close_completions(&self.completions)
            raise
        self.jobs.job_size = sizeof(FileJob)
        open_lane(&self.quick, b"fl-quick", quick_threads, &self.completions)
        open_lane(&self.syncing, b"fl-sync", sync_threads, &self.completions)
        self.loop = loop
        self.running = set()
        self.closed = False

    def __del__(self):
        if not self.closed:
            warnings.warn("an engine was not closed", ResourceWarning, source=self)
            self.close()

    def close(self):
        """Cancel transfers, finish queued jobs, resolve every future, join the threads. Blocks."""
        if self.closed:
            return
        self.closed = True
        for transfer in tuple(self.running):
            transfer.cancel()
        waiting = select.poll()
        waiting.register(self.completions.signal, select.POLLIN)
        while self.running:
            waiting.poll()
            self._on_completions()
        with nogil:
            close_lane(&self.quick)
            close_lane(&self.syncing)
            close_flows(&self.flows)
        self._on_completions()
        if not self.loop.is_closed():
            self.loop.remove_reader(self.completions.signal)
        close_completions(&self.completions)
        close_pool(&self.jobs)

    cdef void finish(self, Job* job) noexcept:
        cdef Flow* flow = <Flow*>job
        cdef Transfer transfer = <Transfer>flow.job.future
        cdef Job* question = <Job*>swap_ptr(&flow.asking, NULL)
        cdef Job* following
        transfer.last_moved = flow.job.result
        transfer.last_errno = flow.job.error
        transfer.flow = NULL
        while question != NULL:
            following = question.next
            question.result = flow.job.result
            self.resolve(<FileJob*>question)
            question = following
        if transfer.digest is not None:
            transfer.digest.busy = False
        kept = <object>flow.job.kept
        give_flow(&self.flows, flow)
        try:
            self.running.discard(transfer)
            if not transfer.done.done():
                transfer.done.set_result(transfer.last_moved)
        except BaseException as error:
            self.report(error)
        Py_DECREF(kept)
        Py_DECREF(transfer)

    # -- files -------------------------------------------------------------------------------------

    cdef object _create(self, int directory, bytes data_name, bytes body, bytes info_name,
                        bytes info, int sync, int mode, bint keep_open):
        cdef const char* name = file_name(data_name)
        cdef const char* other = file_name(info_name)
        cdef FileJob* work
        valid_sync(sync)
        work = self.make_job(run_create, OUTCOME_DESCRIPTOR if keep_open else OUTCOME_NONE,
                             (data_name, body, info_name, info))
        work.directory = directory
        work.name = name
        work.other = other
        work.data = view_of(body)
        work.info = view_of(info)
        work.sync = sync
        work.mode = <unsigned int>mode
        work.keep_open = keep_open
        return self.submit(work, sync)

    def create(self, int directory, bytes data_name not None, bytes body not None,
               bytes info_name not None, bytes info not None, int sync, int mode=0o600):
        """Create both files or neither; see the stub."""
        return self._create(directory, data_name, body, info_name, info, sync, mode, False)

    def create_open(self, int directory, bytes data_name not None, bytes body not None,
                    bytes info_name not None, bytes info not None, int sync, int mode=0o600):
        """As create, and return the open data file."""
        return self._create(directory, data_name, body, info_name, info, sync, mode, True)

    def inspect(self, int directory, bytes data_name not None, bytes info_name not None):
        """Return contents of info, size and mtime of data."""
        cdef const char* name = file_name(data_name)
        cdef const char* other = file_name(info_name)
        cdef FileJob* work = self.make_job(run_inspect, OUTCOME_INSPECTED, (data_name, info_name))
        work.directory = directory
        work.name = name
        work.other = other
        return self.submit(work, False)

    def open(self, int directory, bytes name not None, int flags, int mode=0o600):
        """Return a descriptor and the size."""
        cdef const char* wanted = file_name(name)
        cdef FileJob* work = self.make_job(run_open, OUTCOME_OPENED, name)
        work.directory = directory
        work.name = wanted
        work.flags = flags
        work.mode = <unsigned int>mode
        return self.submit(work, False)

    def append(self, int directory, bytes name not None, bytes body not None, int64_t offset,
               int sync):
        """Write at an offset of an existing file."""
        cdef const char* wanted = file_name(name)
        cdef FileJob* work
        valid_sync(sync)
        work = self.make_job(run_append, OUTCOME_RESULT, (name, body))
        work.directory = directory
        work.name = wanted
        work.data = view_of(body)
        work.offset = natural(offset)
        work.sync = sync
        return self.submit(work, sync)

    def replace(self, int directory, bytes name not None, bytes contents not None, int sync,
                int mode=0o600):
        """Replace a file atomically."""
        cdef const char* wanted = file_name(name)
        cdef bytes temporary = name + b".tmp"
        cdef FileJob* work
        valid_sync(sync)
        work = self.make_job(run_replace, OUTCOME_NONE, (name, temporary, contents))
        work.directory = directory
        work.name = wanted
        work.other = file_name(temporary)
        work.data = view_of(contents)
        work.sync = sync
        work.mode = <unsigned int>mode
        return self.submit(work, sync)

    def write(self, int descriptor, bytes data not None, int64_t offset, Digest digest=None):
        """Write at an offset of an open file."""
        cdef FileJob* work
        natural(offset)
        if digest is not None:
            digest.require_idle()
        work = self.make_job(run_write, OUTCOME_RESULT, (data, digest))
        work.descriptor = descriptor
        work.data = view_of(data)
        work.offset = offset
        if digest is not None:
            work.hash = &digest.hash
            digest.busy = True
        return self.submit(work, False)

    def truncate(self, int directory, bytes name not None, int64_t size, int sync):
        """Cut or extend a file."""
        cdef const char* wanted = file_name(name)
        cdef FileJob* work
        valid_sync(sync)
        natural(size)
        work = self.make_job(run_truncate, OUTCOME_NONE, name)
        work.directory = directory
        work.name = wanted
        work.offset = size
        work.sync = sync
        return self.submit(work, sync)

    def close_file(self, int descriptor, int sync, int directory=-1, bytes info_name not None=b""):
        """Sync as asked, then close."""
        cdef const char* other = file_name(info_name) if info_name else NULL
        cdef FileJob* work
        valid_sync(sync)
        work = self.make_job(run_close, OUTCOME_NONE, info_name)
        work.descriptor = descriptor
        work.directory = directory
        work.other = other
        work.sync = sync
        return self.submit(work, sync)

    def remove(self, int directory, names, int sync=0):
        """Unlink the names that exist; return how many did."""
        cdef FileJob* work
        valid_sync(sync)
        work = self._with_sources(run_remove, directory, [(name, 0) for name in names], None)
        work.sync = sync
        return self.submit(work, sync)

    def concatenate(self, int directory, bytes target not None, sources, int sync, int mode=0o600):
        """Make a file of the beginnings of others."""
        cdef const char* wanted = file_name(target)
        cdef FileJob* work
        valid_sync(sync)
        work = self._with_sources(run_concatenate, directory, list(sources), target)
        work.name = wanted
        work.sync = sync
        work.mode = <unsigned int>mode
        return self.submit(work, True)

    cdef FileJob* _with_sources(self, Kernel run, int directory, list pairs,
                                bytes target) except NULL:
        cdef FileJob* work
        cdef Source* sources
        cdef Py_ssize_t count = len(pairs)
        cdef Py_ssize_t i
        for name, size in pairs:
            file_name(name)
            natural(size)
        work = self.make_job(run, OUTCOME_RESULT, (target, pairs))
        sources = <Source*>calloc(<size_t>count + 1, sizeof(Source))
        if sources == NULL:
            self.drop(work)
            raise MemoryError
        for i in range(count):
            sources[i].name = file_name(pairs[i][0])
            sources[i].size = pairs[i][1]
        work.directory = directory
        work.sources = sources
        work.count = count
        return work

    def free_space(self, int directory):
        """Return the bytes that an unprivileged user may still write."""
        cdef FileJob* work = self.make_job(run_measure, OUTCOME_RESULT, None)
        work.directory = directory
        return self.submit(work, False)

    # -- transfers ---------------------------------------------------------------------------------

    cdef Flow* _make_flow(self, int sock, int file, int64_t offset, int64_t length,
                          int idle_ms) except NULL:
        cdef Flow* flow
        if self.closed:
            raise RuntimeError("the engine is closed")
        natural(offset)
        natural(length)
        natural(idle_ms)
        flow = take_flow(&self.flows)
        if flow == NULL:
            raise MemoryError
        flow.job.outcome = OUTCOME_FLOW
        flow.sock = sock
        flow.file = file
        flow.offset = offset
        flow.length = length
        flow.idle_ms = idle_ms
        return flow

    cdef Transfer _start(self, Flow* flow, bytes ahead, Digest digest):
        cdef Transfer transfer = Transfer.__new__(Transfer)
        cdef int status
        transfer.engine = self
        transfer.done = self.loop.create_future()
        transfer.digest = digest
        transfer.flow = flow
        flow.ahead = view_of(ahead)
        flow.job.future = <PyObject*>transfer
        flow.job.kept = <PyObject*>ahead
        status = start_flow(&self.flows, flow)
        if status < 0:
            transfer.flow = NULL
            give_flow(&self.flows, flow)
            if digest is not None:
                digest.busy = False
            check(status)
        Py_INCREF(transfer)
        Py_INCREF(ahead)
        self.running.add(transfer)
        return transfer

    def receive(self, int sock, int file, int64_t offset, int64_t length, *,
                bytes prefix not None=b"", Digest digest=None, int idle_ms=0, int64_t min_rate=0,
                bint writeback=False):
        """Store a body from a socket in a file."""
        cdef Flow* flow
        natural(min_rate)
        if len(prefix) > length:
            raise ValueError("the prefix is longer than the whole")
        if digest is not None:
            digest.require_idle()
        flow = self._make_flow(sock, file, offset, length, idle_ms)
        if digest is not None:
            flow.hash = &digest.hash
            digest.busy = True
        flow.turn = receive_turn
        flow.receiving = True
        flow.events = EPOLLIN
        flow.min_rate = min_rate
        flow.writeback = writeback
        return self._start(flow, prefix, digest)

    def send(self, int sock, int file, int64_t offset, int64_t length, *,
             bytes head not None=b"", int idle_ms=0):
        """Send a slice of a file to a socket."""
        cdef Flow* flow = self._make_flow(sock, file, offset, length, idle_ms)
        flow.turn = send_turn
        flow.events = EPOLLOUT
        return self._start(flow, head, None)
