"""The engine as Python sees it: every method returns at once, with a future or a Transfer.

The contract stands in engine.pyi. Only the loop's thread calls in here.
"""

import select
import warnings

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc

from fileloft_fast.dataplane.atomics cimport store_int
from fileloft_fast.dataplane.digest cimport Digest
from fileloft_fast.dataplane.dispatch cimport (
    OUTCOME_DIGEST, OUTCOME_INSPECTED, OUTCOME_NONE, OUTCOME_OPENED, OUTCOME_READ, OUTCOME_RESULT,
    check, file_name, natural, valid_sync, view_of,
)
from fileloft_fast.dataplane.files cimport (
    FileJob, Source, run_append, run_close, run_concatenate, run_create, run_inspect, run_measure,
    run_open, run_remove, run_replace, run_truncate, run_write,
)
from fileloft_fast.dataplane.flows cimport close_flows, open_flows
from fileloft_fast.dataplane.jobs cimport (
    Kernel, close_completions, close_lane, close_pool, open_completions, open_lane,
)
from fileloft_fast.dataplane.joint cimport close_joint, open_joint
from fileloft_fast.dataplane.ranges cimport run_checksum, run_find, run_punch, run_read
from fileloft_fast.dataplane.transfers cimport Lender


cdef enum:
    PAGE_BYTES = 4096
    QUICK_DEPTH = 64             # jobs, or pages to be written
    QUICK_READ_BYTES = 64 * 1024         # a longer read may wait for the disk for long

SYNC_NONE = 0
SYNC_DATA = 1
SYNC_NAME = 2


@cython.final
cdef class Engine(Lender):
    """Native threads for everything that may wait for the disk, and for whole transfers."""

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
        open_joint(&self.joint)
        open_lane(&self.quick, b"fl-quick", quick_threads, QUICK_DEPTH, &self.completions)
        open_lane(&self.syncing, b"fl-sync", sync_threads, 0, &self.completions)
        self.loop = loop
        self.running = set()
        self.closed = False

    def __del__(self):
        if not self.closed:
            warnings.warn("an engine was not closed", ResourceWarning, source=self)
            self.close()

    def close(self):
        """Cancel transfers and copies, finish queued jobs, resolve every future, join. Blocks."""
        if self.closed:
            return
        self.closed = True
        store_int(&self.stopping, 1)
        if self.relief is not None:
            self.relief.cancel()
            self.relief = None
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
            close_joint(&self.joint)
        self._on_completions()
        if not self.loop.is_closed():
            self.loop.remove_reader(self.completions.signal)
        close_completions(&self.completions)
        close_pool(&self.jobs)

    # -- files -------------------------------------------------------------------------------------

    def create(self, int directory, bytes data_name not None, bytes body not None,
               bytes info_name not None, bytes info not None, int sync, int mode=0o600):
        """Create both files or neither; see the stub."""
        cdef const char* name = file_name(data_name)
        cdef const char* other = file_name(info_name)
        cdef FileJob* work
        valid_sync(sync)
        work = self.make_job(run_create, OUTCOME_NONE, (data_name, body, info_name, info))
        work.directory = directory
        work.name = name
        work.other = other
        work.data = view_of(body)
        work.info = view_of(info)
        work.sync = sync
        work.mode = <unsigned int>mode
        return self.submit(work, sync)

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
        natural(offset)
        work = self.make_job(run_append, OUTCOME_RESULT, (name, body))
        work.directory = directory
        work.name = wanted
        work.data = view_of(body)
        work.offset = offset
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
        # Writes to open files need no directory: several threads help, above all where they hash.
        work.job.weight += <int>min(work.data.length // PAGE_BYTES, <size_t>QUICK_DEPTH)
        if digest is not None:
            work.hash = &digest.hash
            digest.mark(True)
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
        return self.submit(work, True)

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
        return self.submit(work, True)

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

    # -- ranges of open files ----------------------------------------------------------------------

    def punch(self, int descriptor, int64_t offset, int64_t length):
        """Give the blocks of a range back."""
        cdef FileJob* work = self._with_range(
            run_punch, OUTCOME_NONE, descriptor, offset, length, None
        )
        return self.submit(work, True)

    def checksum(self, int descriptor, int64_t offset, int64_t length, algorithm not None):
        """Return the digest of a range, or of it behind what a digest has seen before."""
        cdef Digest digest = algorithm if isinstance(algorithm, Digest) else Digest(algorithm)
        cdef FileJob* work
        digest.require_idle()
        work = self._with_range(
            run_checksum, OUTCOME_DIGEST, descriptor, offset, length, (None, digest)
        )
        work.hash = &digest.hash
        digest.mark(True)
        return self.submit(work, True)

    def read(self, int descriptor, int64_t length, int64_t offset):
        """Return the bytes of a range."""
        cdef bytes target = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>natural(length))
        cdef FileJob* work = self._with_range(
            run_read, OUTCOME_READ, descriptor, offset, length, target
        )
        work.target = <unsigned char*>PyBytes_AS_STRING(target)
        return self.submit(work, length > QUICK_READ_BYTES)

    def find(self, int descriptor, bytes needle not None, int64_t offset, int64_t length):
        """Return where a needle begins in a range, or -1."""
        cdef FileJob* work
        if not needle:
            raise ValueError("nothing is found everywhere")
        work = self._with_range(run_find, OUTCOME_RESULT, descriptor, offset, length, needle)
        work.data = view_of(needle)
        return self.submit(work, True)

    cdef FileJob* _with_range(self, Kernel run, int outcome, int descriptor, int64_t offset,
                              int64_t length, kept) except NULL:
        cdef FileJob* work
        natural(offset)
        natural(length)
        work = self.make_job(run, outcome, kept)
        work.descriptor = descriptor
        work.offset = offset
        work.length = length
        return work
