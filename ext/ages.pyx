"""Which files of a directory were last written when, by name alone and without opening any.

The kernels return -errno and never raise. A directory of a million uploads is gone through like
this every minute, hence not by objects: docs/adr/0024.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.errno cimport EINTR, ENOENT, ENOMEM, errno
from libc.stdint cimport uint16_t
from libc.stdlib cimport free, malloc
from libc.string cimport memmove, strcmp, strlen

from fileloft_fast.dataplane.linux cimport (
    AT_SYMLINK_NOFOLLOW, DT_DIR, SYS_getdents64, fstatat, stat, syscall,
)

import os


cdef enum:
    # Some 500 uploads, two names each, 2 ms: a core is taken from requests for no longer.
    ENTRIES_BYTES = 64 * 1024
    ID_MAX = 128
    # struct linux_dirent64, which no header of every libc declares
    LENGTH_AT = 16
    KIND_AT = 18
    NAME_AT = 19

ctypedef struct Ages:
    double since
    double until
    Py_ssize_t seen
    Py_ssize_t wanted
    size_t filled                # of the buffer, by names that are wanted, each with its NUL


cdef const char* _after_id(const char* name) noexcept nogil:    # NULL: it is none
    # As model.UPLOAD_ID_PATTERN says it.
    cdef size_t length = 0
    cdef char c = name[0]
    while (c'a' <= c <= c'z' or c'A' <= c <= c'Z' or c'0' <= c <= c'9'
           or length > 0 and (c == c'-' or c == c'_')):
        length += 1
        c = name[length]
    return name + length if 0 < length <= ID_MAX else NULL


cdef bint _is_wanted(int directory, const char* name, Ages* ages) noexcept nogil:
    cdef stat about
    cdef double written_at
    if fstatat(directory, name, &about, AT_SYMLINK_NOFOLLOW) < 0:
        # Removed since its name was read; or damaged, which whoever loads it says of it alone.
        return errno != ENOENT
    written_at = <double>about.st_mtim.tv_sec + <double>about.st_mtim.tv_nsec * 1e-9
    return ages.since <= written_at <= ages.until


cdef void _keep(int directory, char* entries, const char* name, Ages* ages) noexcept nogil:
    # A name that is wanted is moved to the front, where entries have been looked at already.
    cdef const char* rest = _after_id(name)
    cdef size_t size
    if rest == NULL:
        return
    if rest[0] != 0:
        ages.seen += strcmp(rest, ".info") == 0          # without it, it is no upload
    elif _is_wanted(directory, name, ages):
        size = strlen(name) + 1
        memmove(entries + ages.filled, name, size)
        ages.filled += size
        ages.wanted += 1


cdef void _sieve(int directory, char* entries, size_t length, Ages* ages) noexcept nogil:
    cdef char* entry = entries
    cdef char* following
    while entry < entries + length:
        following = entry + (<uint16_t*>(entry + LENGTH_AT))[0]
        if entry[KIND_AT] != DT_DIR:
            _keep(directory, entries, entry + NAME_AT, ages)
        entry = following


cdef ssize_t _read_entries(int directory, char* entries) noexcept nogil:
    cdef long n
    while True:
        n = syscall(SYS_getdents64, directory, entries, <size_t>ENTRIES_BYTES)
        if n >= 0:
            return <ssize_t>n
        if errno != EINTR:
            return -errno


cdef ssize_t _read_aged(int directory, char* entries, Ages* ages) noexcept nogil:
    cdef ssize_t length = _read_entries(directory, entries)
    if length > 0:
        _sieve(directory, entries, <size_t>length, ages)
    return length


cdef list _names(const char* names, Ages* ages):
    cdef list found = []
    cdef Py_ssize_t _i
    cdef size_t length
    for _i in range(ages.wanted):
        length = strlen(names)
        found.append(PyBytes_FromStringAndSize(names, <Py_ssize_t>length))
        names += length + 1
    return found


def read_aged(int directory, double since, double until):
    """Look at some more files; None at the end."""
    cdef Ages ages = Ages(since=since, until=until, seen=0, wanted=0, filled=0)
    cdef ssize_t length = -ENOMEM
    cdef char* entries = <char*>malloc(ENTRIES_BYTES)
    try:
        if entries != NULL:
            with nogil:
                length = _read_aged(directory, entries, &ages)
        if length < 0:
            raise OSError(-length, os.strerror(-length))
        return (ages.seen, _names(entries, &ages)) if length > 0 else None
    finally:
        free(entries)
