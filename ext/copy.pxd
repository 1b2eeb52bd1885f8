"""Copies between files, by the cheapest way that the file system knows."""

from libc.stdint cimport int64_t


# Put the first `length` bytes of `source` at `at` of `target`: 0 or -errno. -ENODATA: too short;
# -ECANCELED: `stopping` (atomic) was set meanwhile.
cdef int append_range(int source, int64_t length, int target, int64_t at,
                      int* stopping) noexcept nogil
