"""Copies between files; see copy.pxd."""

from libc.errno cimport EINTR, EINVAL, EIO, ENODATA, ENOMEM, ENOSYS, EOPNOTSUPP, EXDEV, errno
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc

from fileloft_fast.dataplane.atomics cimport load_int
from fileloft_fast.dataplane.linux cimport (
    ECANCELED, FICLONERANGE, copy_file_range, file_clone_range, fstat, ioctl, pread, pwrite, stat,
)


cdef enum:
    COPY_BYTES = 256 * 1024                     # a buffer that stays in the second-level cache
    RANGE_BYTES = 64 * 1024 * 1024              # per call: what a slow disk does in about a second


cdef int _clone(int source, int64_t length, int target, int64_t at) noexcept nogil:
    # Shares the blocks (btrfs, xfs). The kernel demands that `at` is on a block and that `length`
    # is whole blocks or reaches the source's end; where it says no, for that or any other reason,
    # a copy tells the real error.
    cdef file_clone_range wanted
    wanted.src_fd = source
    wanted.src_offset = 0
    wanted.src_length = <unsigned long long>length
    wanted.dest_offset = <unsigned long long>at
    return -errno if ioctl(target, FICLONERANGE, &wanted) < 0 else 0


cdef int _copy_in_kernel(int source, int64_t* done, int64_t length, int target,
                         int64_t at, int* stopping) noexcept nogil:
    cdef int64_t source_at, target_at
    cdef ssize_t n
    while done[0] < length:
        if load_int(stopping):
            return -ECANCELED
        source_at = done[0]
        target_at = at + done[0]
        n = copy_file_range(source, &source_at, target, &target_at,
                            <size_t>min(length - done[0], <int64_t>RANGE_BYTES), 0)
        if n > 0:
            done[0] += n
        elif n == 0:
            return -ENODATA
        elif errno != EINTR:
            return -errno
    return 0


cdef int _copy_by_hand(int source, int64_t* done, int64_t length, int target, int64_t at,
                       int* stopping, unsigned char* buffer) noexcept nogil:
    cdef ssize_t n, m, left
    while done[0] < length:
        if load_int(stopping):
            return -ECANCELED
        n = pread(source, buffer, <size_t>min(length - done[0], <int64_t>COPY_BYTES), done[0])
        if n == 0:
            return -ENODATA
        if n < 0:
            if errno != EINTR:
                return -errno
            continue
        left = n
        while left > 0:
            m = pwrite(target, buffer + (n - left), <size_t>left, at + done[0])
            if m == 0:
                return -EIO
            if m > 0:
                left -= m
                done[0] += m
            elif errno != EINTR:
                return -errno
    return 0


cdef int append_range(int source, int64_t length, int target, int64_t at,
                      int* stopping) noexcept nogil:
    cdef stat about
    cdef unsigned char* buffer
    cdef int64_t done = 0
    cdef int status
    if length == 0:
        return 0
    if fstat(source, &about) < 0:
        return -errno
    if about.st_size < length:
        return -ENODATA
    if _clone(source, length, target, at) == 0:
        return 0
    status = _copy_in_kernel(source, &done, length, target, at, stopping)
    if status != -EXDEV and status != -EINVAL and status != -EOPNOTSUPP and status != -ENOSYS:
        return status
    buffer = <unsigned char*>malloc(COPY_BYTES)
    if buffer == NULL:
        return -ENOMEM
    status = _copy_by_hand(source, &done, length, target, at, stopping, buffer)
    free(buffer)
    return status
