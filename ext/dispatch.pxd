"""Jobs on the loop's side: from a Python call to a job, and from a finished job to its future."""

from libc.stdint cimport int64_t

from fileloft_fast.dataplane.files cimport Bytes, FileJob
from fileloft_fast.dataplane.jobs cimport Completions, Job, Kernel, Lane, Pool
from fileloft_fast.dataplane.joint cimport Joint


# What becomes of a finished job.
cdef enum Outcome:
    OUTCOME_NONE
    OUTCOME_RESULT           # job.result
    OUTCOME_OPENED           # descriptor and size
    OUTCOME_INSPECTED        # contents, size, mtime
    OUTCOME_READ             # the kept bytes, as far as they were filled
    OUTCOME_DIGEST           # of the kept digest
    OUTCOME_FLOW             # not a FileJob: the subclass knows

cdef class Dispatcher:
    cdef object loop
    cdef bint closed
    cdef int stopping        # atomic: copies end soon
    cdef Completions completions
    cdef Lane quick
    cdef Lane syncing
    cdef Joint joint
    cdef Pool jobs
    cdef object relief           # the handle of the loop's timer, or None

    cdef FileJob* make_job(self, Kernel run, int outcome, object kept) except NULL
    cdef object submit(self, FileJob* work, bint slow)
    cdef void drop(self, FileJob* work) noexcept
    cdef void resolve(self, FileJob* work) noexcept
    cdef void finish(self, Job* job) noexcept        # of OUTCOME_FLOW
    cdef void report(self, object error) noexcept

cdef int check(int status) except -1                 # raises OSError for -errno
cdef const char* file_name(bytes name) except NULL   # raises ValueError
cdef Bytes view_of(bytes data) noexcept
cdef int64_t natural(int64_t value) except -1        # raises ValueError for a negative one
cdef int valid_sync(int sync) except -1              # raises ValueError
