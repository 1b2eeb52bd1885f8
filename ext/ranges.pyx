"""Jobs on ranges of an open file; see ranges.pxd. Kernels set job.error and never raise."""

from libc.errno cimport EINTR, ENODATA, ENOMEM, errno
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memmove

from fileloft_fast.dataplane.atomics cimport load_int
from fileloft_fast.dataplane.files cimport FileJob, read_all
from fileloft_fast.dataplane.jobs cimport Job
from fileloft_fast.dataplane.linux cimport (
    ECANCELED, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, fallocate, memmem,
)


cdef enum:
    HASH_BYTES = 256 * 1024      # a buffer that stays in the second-level cache
    FIND_BYTES = 256 * 1024


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


cdef int _find_in_range(FileJob* work, unsigned char* buffer) noexcept nogil:
    # The buffer begins with what the piece before may have of the needle: all of it but a byte.
    # memmem of glibc is Horspool's by pairs of bytes; one of our own is not faster on any file.
    cdef size_t needle = work.data.length
    cdef size_t kept = 0
    cdef int64_t done = 0
    cdef int64_t wanted, found
    cdef unsigned char* place
    cdef int status
    while done < work.length:
        if load_int(work.stopping):
            return -ECANCELED
        wanted = min(work.length - done, <int64_t>FIND_BYTES)
        status = read_all(
            work.descriptor, buffer + kept, <size_t>wanted, work.offset + done, &found
        )
        if status < 0:
            return status
        place = <unsigned char*>memmem(buffer, kept + <size_t>found, work.data.start, needle)
        if place != NULL:
            work.job.result = work.offset + done - <int64_t>kept + (place - buffer)
            return 0
        if found < wanted:
            break
        done += found
        found += <int64_t>kept
        kept = min(needle - 1, <size_t>found)
        memmove(buffer, buffer + found - kept, kept)
    work.job.result = -1
    return 0


cdef void run_find(Job* job) noexcept nogil:
    # result: where the first needle of the range begins, -1 where there is none
    cdef FileJob* work = <FileJob*>job
    cdef unsigned char* buffer = <unsigned char*>malloc(work.data.length + FIND_BYTES)
    if buffer == NULL:
        job.error = ENOMEM
        return
    job.error = -_find_in_range(work, buffer)
    free(buffer)
