"""Transfers on the loop's side; the contract stands in transfers.pyi."""

cimport cython
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t

from fileloft_fast.dataplane.atomics cimport load_i64, store_int, swap_ptr
from fileloft_fast.dataplane.digest cimport Digest
from fileloft_fast.dataplane.dispatch cimport (
    OUTCOME_FLOW, OUTCOME_RESULT, Dispatcher, check, natural, view_of,
)
from fileloft_fast.dataplane.files cimport FileJob
from fileloft_fast.dataplane.flows cimport (
    Flow, ask_flow, give_flow, kick_flow, start_flow, take_flow,
)
from fileloft_fast.dataplane.jobs cimport Job
from fileloft_fast.dataplane.linux cimport EPOLLIN, EPOLLOUT
from fileloft_fast.dataplane.receive cimport receive_turn
from fileloft_fast.dataplane.send cimport send_turn


@cython.final
cdef class Transfer:
    """A running receive or send; made by Engine.receive and Engine.send only."""

    def __init__(self, *_, **__):
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
            kick_flow(&self.lender.flows, self.flow)

    def progress(self):
        """Store what has arrived, then resolve with `moved`."""
        cdef FileJob* question
        if self.lender is None:
            raise RuntimeError("a Transfer comes from Engine.receive or Engine.send")
        if self.flow == NULL:
            future = self.lender.loop.create_future()
            future.set_result(self.last_moved)
            return future
        question = self.lender.make_job(NULL, OUTCOME_RESULT, None)
        ask_flow(&self.lender.flows, self.flow, &question.job)
        return <object>question.job.future


cdef class Lender(Dispatcher):
    """Lends sockets to the transfer threads, and takes them back."""

    cdef Flow* make_flow(self, int sock, int file, int64_t offset, int64_t length,
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

    cdef Transfer start(self, Flow* flow, bytes ahead, Digest digest):
        # Whatever may fail comes before the transfer knows its flow.
        cdef Transfer transfer = None
        try:
            transfer = Transfer.__new__(Transfer)
            transfer.done = self.loop.create_future()
            self.running.add(transfer)
            flow.ahead = view_of(ahead)
            flow.job.future = <PyObject*>transfer
            flow.job.kept = <PyObject*>ahead
            if digest is not None:
                flow.hash = &digest.hash
            check(start_flow(&self.flows, flow))
        except BaseException:
            give_flow(&self.flows, flow)
            self.running.discard(transfer)
            raise
        if digest is not None:
            digest.mark(True)
        transfer.lender = self
        transfer.digest = digest
        transfer.flow = flow
        Py_INCREF(transfer)
        Py_INCREF(ahead)
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
        flow = self.make_flow(sock, file, offset, length, idle_ms)
        flow.turn = receive_turn
        flow.receiving = True
        flow.events = EPOLLIN
        flow.min_rate = min_rate
        flow.writeback = writeback
        flow.written_back = -offset
        return self.start(flow, prefix, digest)

    def send(self, int sock, int file, int64_t offset, int64_t length, *,
             bytes head not None=b"", int idle_ms=0, int64_t min_rate=0):
        """Send a slice of a file to a socket."""
        cdef Flow* flow
        natural(min_rate)
        flow = self.make_flow(sock, file, offset, length, idle_ms)
        flow.min_rate = min_rate
        flow.turn = send_turn
        flow.events = EPOLLOUT
        return self.start(flow, head, None)

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
            transfer.digest.mark(False)
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
