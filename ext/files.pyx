"""File jobs; see files.pxd. Kernels return 0 or -errno and never raise.

Names are resolved against a directory descriptor and are never followed through a symbolic link.
"""

from libc.errno cimport EINTR, EIO, ENOENT, ENOMEM, errno
from libc.stdint cimport int64_t
from libc.stdlib cimport malloc

from fileloft_fast.dataplane.copy cimport append_range
from fileloft_fast.dataplane.joint cimport sync_directory
from fileloft_fast.dataplane.linux cimport (
    AT_SYMLINK_NOFOLLOW, O_CLOEXEC, O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_TRUNC, O_WRONLY,
    SYNC_FILE_RANGE_WRITE, close, fdatasync, fstat, fstatat, fstatvfs, ftruncate, mode_t,
    openat, pread, pwrite, renameat, stat, statvfs, sync_file_range, unlinkat,
)


cdef enum:
    INFO_BYTES_MAX = 1024 * 1024


cdef int _open(int directory, const char* name, int flags, mode_t mode) noexcept nogil:
    cdef int descriptor
    while True:
        descriptor = openat(directory, name, flags | O_CLOEXEC | O_NOFOLLOW, mode)
        if descriptor >= 0:
            return descriptor
        if errno != EINTR:
            return -errno


cdef int _fdatasync(int descriptor) noexcept nogil:
    while fdatasync(descriptor) < 0:
        if errno != EINTR:
            return -errno
    return 0


cdef int _first_error(int before, int status) noexcept nogil:
    return before if before < 0 else status


cdef int _sync_files(FileJob* work, int data, int info) noexcept nogil:
    # `info` may be -1. Writeback of both is started before either is waited for: it allocates the
    # blocks of both in one journal transaction, so that one commit serves all three syncs.
    cdef int status = 0
    if work.sync == NOTHING:
        return 0
    if info >= 0:
        sync_file_range(data, 0, 0, SYNC_FILE_RANGE_WRITE)
        sync_file_range(info, 0, 0, SYNC_FILE_RANGE_WRITE)
    status = _fdatasync(data)
    if info >= 0:
        status = _first_error(status, _fdatasync(info))
    if work.sync == NAME:
        status = _first_error(status, sync_directory(work.joint, work.directory))
    return status


cdef int write_all(int descriptor, const unsigned char* start, size_t length, int64_t at,
                   int64_t* stored) noexcept nogil:
    cdef size_t done = 0
    cdef ssize_t n
    cdef int status = 0
    while done < length:
        n = pwrite(descriptor, start + done, length - done, at + <int64_t>done)
        if n > 0:
            done += <size_t>n
        elif n == 0:
            status = -EIO
            break
        elif errno != EINTR:
            status = -errno
            break
    stored[0] = <int64_t>done
    return status


cdef int read_all(int descriptor, unsigned char* target, size_t length, int64_t at,
                  int64_t* found) noexcept nogil:
    cdef size_t done = 0
    cdef ssize_t n
    cdef int status = 0
    while done < length:
        n = pread(descriptor, target + done, length - done, at + <int64_t>done)
        if n > 0:
            done += <size_t>n
        elif n == 0:
            break
        elif errno != EINTR:
            status = -errno
            break
    found[0] = <int64_t>done
    return status


cdef int _write_new(int directory, const char* name, int flags, mode_t mode, Bytes contents,
                    int* descriptor) noexcept nogil:
    # Opens and fills. `descriptor` is -1 where nothing was opened: then there is nothing to remove.
    cdef int64_t stored
    cdef int opened = _open(directory, name, O_WRONLY | O_CREAT | flags, mode)
    descriptor[0] = opened if opened >= 0 else -1
    if opened < 0:
        return opened
    return write_all(opened, contents.start, contents.length, 0, &stored)


cdef void run_create(Job* job) noexcept nogil:
    cdef FileJob* work = <FileJob*>job
    cdef int data = -1
    cdef int info = -1
    cdef int status = _write_new(work.directory, work.name, O_EXCL, work.mode, work.data, &data)
    if status == 0:
        status = _write_new(work.directory, work.other, O_EXCL, work.mode, work.info, &info)
    if status == 0:
        status = _sync_files(work, data, info)
    if info >= 0:
        close(info)
        if status < 0:
            unlinkat(work.directory, work.other, 0)
    if data >= 0:
        close(data)
        if status < 0:
            unlinkat(work.directory, work.name, 0)
    job.error = -status


cdef int _read_found(FileJob* work, int descriptor) noexcept nogil:
    cdef stat about
    cdef size_t length
    cdef int64_t found = 0
    cdef int status
    if fstat(descriptor, &about) < 0:
        return -errno
    length = <size_t>min(about.st_size, <int64_t>INFO_BYTES_MAX)
    work.found = <unsigned char*>malloc(length + 1)
    if work.found == NULL:
        return -ENOMEM
    status = read_all(descriptor, work.found, length, 0, &found)
    work.info.length = <size_t>found
    return status


cdef int _measure(FileJob* work, stat* about) noexcept nogil:
    if fstatat(work.directory, work.name, about, AT_SYMLINK_NOFOLLOW) < 0:
        return -errno
    return 0


cdef void run_inspect(Job* job) noexcept nogil:
    # result: size of data; found and info.length: contents of info; mtime_ns. Of the sizes before
    # and after info was read the smaller: neither bytes that came after it nor ones that were cut.
    cdef FileJob* work = <FileJob*>job
    cdef stat before, about
    cdef int status = _measure(work, &before)
    cdef int info = _open(work.directory, work.other, O_RDONLY, 0) if status == 0 else status
    if info < 0:
        job.error = -info
        return
    status = _read_found(work, info)
    close(info)
    if status == 0:
        status = _measure(work, &about)
    if status == 0:
        if before.st_size < about.st_size:
            about = before
        job.result = about.st_size
        work.mtime_ns = about.st_mtim.tv_sec * 1000000000 + about.st_mtim.tv_nsec
    job.error = -status


cdef void run_open(Job* job) noexcept nogil:
    # descriptor; result: size
    cdef FileJob* work = <FileJob*>job
    cdef stat about
    cdef int opened = _open(work.directory, work.name, work.flags, work.mode)
    work.descriptor = -1
    if opened < 0:
        job.error = -opened
    elif fstat(opened, &about) < 0:
        job.error = errno
        close(opened)
    else:
        work.descriptor = opened
        job.result = about.st_size


cdef void run_append(Job* job) noexcept nogil:
    # result: offset after the last byte that was stored
    cdef FileJob* work = <FileJob*>job
    cdef int64_t stored = 0
    cdef int status
    cdef int opened = _open(work.directory, work.name, O_WRONLY, 0)
    if opened < 0:
        job.error = -opened
        return
    status = write_all(opened, work.data.start, work.data.length, work.offset, &stored)
    if status == 0:
        status = _sync_files(work, opened, -1)
    close(opened)
    job.result = work.offset + stored
    job.error = -status


cdef void run_replace(Job* job) noexcept nogil:
    cdef FileJob* work = <FileJob*>job
    cdef int opened = -1
    cdef int status = _write_new(
        work.directory, work.other, O_TRUNC, work.mode, work.data, &opened
    )
    if opened < 0:
        job.error = -status
        return
    if status == 0 and work.sync != NOTHING:
        status = _fdatasync(opened)
    close(opened)
    if status == 0 and renameat(work.directory, work.other, work.directory, work.name) < 0:
        status = -errno
    if status < 0:
        unlinkat(work.directory, work.other, 0)
    elif work.sync == NAME:
        status = sync_directory(work.joint, work.directory)
    job.error = -status


cdef void run_write(Job* job) noexcept nogil:
    # result: bytes stored; the hash sees exactly those
    cdef FileJob* work = <FileJob*>job
    cdef int status = write_all(
        work.descriptor, work.data.start, work.data.length, work.offset, &job.result
    )
    if work.hash != NULL and job.result > 0:
        work.hash.absorb(work.hash, work.data.start, <size_t>job.result)
    job.error = -status


cdef void run_truncate(Job* job) noexcept nogil:
    cdef FileJob* work = <FileJob*>job
    cdef int status = 0
    cdef int opened = _open(work.directory, work.name, O_WRONLY, 0)
    if opened < 0:
        job.error = -opened
        return
    while ftruncate(opened, work.offset) < 0:
        if errno != EINTR:
            status = -errno
            break
    if status == 0:
        status = _sync_files(work, opened, -1)
    close(opened)
    job.error = -status


cdef void run_close(Job* job) noexcept nogil:
    cdef FileJob* work = <FileJob*>job
    cdef int status = 0
    cdef int info = -1
    if work.sync != NOTHING and work.other != NULL:
        info = _open(work.directory, work.other, O_RDONLY, 0)
        if info < 0:
            status = info
            info = -1
    if work.sync != NOTHING:
        status = _first_error(status, _sync_files(work, work.descriptor, info))
    if info >= 0:
        close(info)
    # Linux closes the descriptor whatever close returns; EINTR says nothing about the data.
    if close(work.descriptor) < 0 and errno != EINTR:
        status = _first_error(status, -errno)
    job.error = -status


cdef void run_remove(Job* job) noexcept nogil:
    # result: how many were there. Every name is tried; the first error is told.
    cdef FileJob* work = <FileJob*>job
    cdef int status = 0
    cdef Py_ssize_t i
    for i in range(work.count):
        if unlinkat(work.directory, work.sources[i].name, 0) == 0:
            job.result += 1
        elif errno != ENOENT:
            status = _first_error(status, -errno)
    if work.sync != NOTHING and job.result > 0:
        status = _first_error(status, sync_directory(work.joint, work.directory))
    job.error = -status


cdef int _concatenate(FileJob* work, int target) noexcept nogil:
    cdef int64_t at = 0
    cdef int status = 0
    cdef int source
    cdef Py_ssize_t i
    for i in range(work.count):
        source = _open(work.directory, work.sources[i].name, O_RDONLY, 0)
        if source < 0:
            return source
        status = append_range(source, work.sources[i].size, target, at, work.stopping)
        close(source)
        if status < 0:
            return status
        at += work.sources[i].size
    work.job.result = at
    return _sync_files(work, target, -1)


cdef void run_concatenate(Job* job) noexcept nogil:
    # result: size of the target
    cdef FileJob* work = <FileJob*>job
    cdef int status
    cdef int target = _open(work.directory, work.name, O_WRONLY | O_CREAT | O_EXCL, work.mode)
    if target < 0:
        job.error = -target
        return
    status = _concatenate(work, target)
    close(target)
    if status < 0:
        unlinkat(work.directory, work.name, 0)
    job.error = -status


cdef void run_measure(Job* job) noexcept nogil:
    # result: bytes that an unprivileged user may still write
    cdef FileJob* work = <FileJob*>job
    cdef statvfs about
    if fstatvfs(work.directory, &about) < 0:
        job.error = errno
    else:
        job.result = <int64_t>(about.f_bavail * about.f_frsize)
