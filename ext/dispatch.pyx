"""Jobs on the loop's side; see dispatch.pxd.

A job owns references to what its kernel reads. They are taken when it is made and dropped when it
comes back, both on the loop's thread; worker threads never take the GIL.
"""

import os

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t
from libc.stdlib cimport free
from libc.string cimport memchr

from fileloft_fast.dataplane.digest cimport Digest
from fileloft_fast.dataplane.files cimport Bytes, FileJob
from fileloft_fast.dataplane.jobs cimport (
    Job, Kernel, drain, enqueue, give_job, relieve, take_job,
)
from fileloft_fast.dataplane.linux cimport close


cdef double RELIEF_S = 0.02      # two hundred small jobs: who takes longer waits for a disk


cdef int check(int status) except -1:
    if status < 0:
        raise OSError(-status, os.strerror(-status))
    return status


cdef const char* file_name(bytes name) except NULL:
    # Kernels take C strings: a zero byte would cut the name, a slash would leave the directory.
    cdef const char* start = PyBytes_AS_STRING(name)
    cdef size_t length = <size_t>PyBytes_GET_SIZE(name)
    if length == 0 or memchr(start, 0, length) != NULL or memchr(start, c"/", length) != NULL:
        raise ValueError(f"not a file name: {name!r}")
    return start


cdef Bytes view_of(bytes data) noexcept:
    cdef Bytes view
    view.start = <const unsigned char*>PyBytes_AS_STRING(data)
    view.length = <size_t>PyBytes_GET_SIZE(data)
    return view


cdef int64_t natural(int64_t value) except -1:
    if value < 0:
        raise ValueError(f"an offset, size or length is not negative: {value}")
    return value


cdef int valid_sync(int sync) except -1:
    if not 0 <= sync <= 2:
        raise ValueError(f"sync is SYNC_NONE, SYNC_DATA or SYNC_NAME, not {sync}")
    return sync


cdef object _error(FileJob* work):
    cdef int number = work.job.error
    if work.name == NULL:
        return OSError(number, os.strerror(number))
    return OSError(number, os.strerror(number), os.fsdecode(<bytes>work.name))


cdef object _value(FileJob* work):
    cdef Digest digest
    if work.job.outcome == OUTCOME_RESULT:
        return work.job.result
    if work.job.outcome == OUTCOME_OPENED:
        return work.descriptor, work.job.result
    if work.job.outcome == OUTCOME_INSPECTED:
        found = PyBytes_FromStringAndSize(<char*>work.found, <Py_ssize_t>work.info.length)
        return found, work.job.result, work.mtime_ns
    if work.job.outcome == OUTCOME_READ:
        filled = <bytes><object>work.job.kept
        return filled if work.job.result == work.length else filled[:work.job.result]
    if work.job.outcome == OUTCOME_DIGEST:
        digest = <Digest>(<object>work.job.kept)[1]
        digest.mark(False)
        return digest.digest()
    return None


cdef class Dispatcher:
    """The loop, the lanes of file jobs, and the way back of their results."""

    def __cinit__(self):
        self.closed = True
        self.completions.signal = -1

    cdef FileJob* make_job(self, Kernel run, int outcome, object kept) except NULL:
        cdef FileJob* work
        if self.closed:
            raise RuntimeError("the engine is closed")
        future = self.loop.create_future()
        work = <FileJob*>take_job(&self.jobs)
        if work == NULL:
            raise MemoryError
        work.job.run = run
        work.job.outcome = outcome
        work.job.weight = 1
        work.job.future = <PyObject*>future
        work.job.kept = <PyObject*>kept
        work.stopping = &self.stopping
        work.joint = &self.joint
        work.directory = work.descriptor = -1
        Py_INCREF(future)
        Py_INCREF(kept)
        return work

    cdef object submit(self, FileJob* work, bint slow):
        future = <object>work.job.future
        cdef int status = enqueue(&self.syncing if slow else &self.quick, &work.job)
        if status < 0:
            self.drop(work)
            check(status)
        if self.relief is None and not slow:      # the sync lane wakes a thread for every job
            self.relief = self.loop.call_later(RELIEF_S, self._on_relief)
        return future

    def _on_relief(self):
        self.relief = None
        if not self.closed and relieve(&self.quick):
            self.relief = self.loop.call_later(RELIEF_S, self._on_relief)

    cdef void drop(self, FileJob* work) noexcept:
        kept = <object>work.job.kept
        if work.hash != NULL:
            (<Digest>kept[1]).mark(False)        # (data, digest) of a write
        Py_DECREF(<object>work.job.future)
        Py_DECREF(kept)
        free(work.sources)
        free(work.found)
        give_job(&self.jobs, &work.job)

    def _on_completions(self):
        cdef Job* job = drain(&self.completions)
        cdef Job* following
        while job != NULL:
            following = job.next
            if job.outcome == OUTCOME_FLOW:
                self.finish(job)
            else:
                self.resolve(<FileJob*>job)
            job = following

    cdef void resolve(self, FileJob* work) noexcept:
        future = <object>work.job.future
        try:
            if future.done():                     # cancelled by whoever waited for it
                if work.job.outcome == OUTCOME_OPENED:
                    close(work.descriptor)        # -1 where the job failed
            elif work.job.error:
                future.set_exception(_error(work))
            else:
                future.set_result(_value(work))
        except BaseException as error:
            self.report(error)
        self.drop(work)

    cdef void report(self, error) noexcept:
        # One future's trouble must not keep the others of the batch from being resolved.
        self.loop.call_exception_handler(
            {"message": "a completion could not be delivered", "exception": error}
        )

    cdef void finish(self, Job* job) noexcept:
        pass                      # a Dispatcher alone has no flows
