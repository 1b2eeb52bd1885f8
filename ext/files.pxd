"""File jobs: every operation on the data directory except the transfers."""

from libc.stdint cimport int64_t

from fileloft_fast.dataplane.digest cimport Hash
from fileloft_fast.dataplane.jobs cimport Job
from fileloft_fast.dataplane.joint cimport Joint
from fileloft_fast.dataplane.linux cimport mode_t


cdef enum Sync:
    NOTHING = 0
    DATA = 1             # fdatasync of the files
    NAME = 2             # and fsync of the directory

# A run of bytes that a Python object kept by the job owns.
ctypedef struct Bytes:
    const unsigned char* start
    size_t length

ctypedef struct Source:
    const char* name
    int64_t size

ctypedef struct FileJob:
    Job job
    int* stopping        # atomic: the engine closes; a copy ends with ECANCELED
    Joint* joint         # of all jobs of the engine
    int directory
    int descriptor       # in: to work on; out: opened (-1: none)
    int flags
    int sync
    mode_t mode
    const char* name
    const char* other    # the second name: of info, or the temporary one
    Bytes data
    Bytes info
    int64_t offset
    int64_t length       # of the range
    int64_t mtime_ns     # out
    Hash* hash           # or NULL
    Source* sources      # malloc'ed, freed by the loop thread
    Py_ssize_t count
    unsigned char* target        # out: the memory of a bytes object that the job keeps
    unsigned char* found         # out, malloc'ed, freed by the loop thread

# Each sets job.error and job.result. What `result` is stands beside the kernel.
cdef void run_create(Job* job) noexcept nogil
cdef void run_inspect(Job* job) noexcept nogil
cdef void run_open(Job* job) noexcept nogil
cdef void run_append(Job* job) noexcept nogil
cdef void run_replace(Job* job) noexcept nogil
cdef void run_write(Job* job) noexcept nogil
cdef void run_truncate(Job* job) noexcept nogil
cdef void run_close(Job* job) noexcept nogil
cdef void run_remove(Job* job) noexcept nogil
cdef void run_concatenate(Job* job) noexcept nogil
cdef void run_measure(Job* job) noexcept nogil

# 0, or -errno with what was stored before it in stored[0]
cdef int write_all(int descriptor, const unsigned char* start, size_t length, int64_t at,
                   int64_t* stored) noexcept nogil

# 0, or -errno; how many bytes there were in found[0]: fewer than `length` at the end of the file
cdef int read_all(int descriptor, unsigned char* target, size_t length, int64_t at,
                  int64_t* found) noexcept nogil
