"""Jobs on ranges of an open file: give its blocks back, hash it, read it, search it."""

from fileloft_fast.dataplane.jobs cimport Job


# Each sets job.error and job.result. What `result` is stands beside the kernel.
cdef void run_punch(Job* job) noexcept nogil
cdef void run_checksum(Job* job) noexcept nogil
cdef void run_read(Job* job) noexcept nogil
cdef void run_find(Job* job) noexcept nogil
