"""Jobs on ranges of an open file; see ranges.pxd. Kernels set job.error and never raise."""

from libc.errno cimport EINTR, ENODATA, ENOMEM, errno
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc

from fileloft_fast.dataplane.atomics cimport load_int
from fileloft_fast.dataplane.files cimport FileJob, read_all
from fileloft_fast.dataplane.jobs cimport Job
from fileloft_fast.dataplane.linux cimport (
    ECANCELED, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, fallocate,
)


cdef enum:
    HASH_BYTES = 256 * 1024      # a buffer that stays in the second-level cache


cdef void run_punch(Job* job) noexcept nogil:
    cdef FileJob* work = <FileJob*>job
    while fallocate(work.descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, work.offset,
                    work.length) < 0:
        if errno != EINTR:
            job.error = errno
            return


cdef int _hash_range(FileJob* work, unsigned char* buffer) noexcept nogil:
    cdef int64_t done = 0
    cdef int64_t wanted, found
    cdef int status
    while done < work.length:
        if load_int(work.stopping):
            return -ECANCELED
        wanted = min(work.length - done, <int64_t>HASH_BYTES)
        status = read_all(work.descriptor, buffer, <size_t>wanted, work.offset + done, &found)
        if status < 0:
            return status
        if found < wanted:
            return -ENODATA
        work.hash.absorb(work.hash, buffer, <size_t>found)
        done += found
    return 0


cdef void run_checksum(Job* job) noexcept nogil:
    cdef FileJob* work = <FileJob*>job
    cdef unsigned char* buffer = <unsigned char*>malloc(HASH_BYTES)
    if buffer == NULL:
        job.error = ENOMEM
        return
    job.error = -_hash_range(work, buffer)
    free(buffer)


cdef void run_read(Job* job) noexcept nogil:
    # result: how many bytes of `target` are filled
    cdef FileJob* work = <FileJob*>job
    job.error = -read_all(
        work.descriptor, work.target, <size_t>work.length, work.offset, &job.result
    )
