"""Latencies in HDR layout: log-linear buckets that a thread fills without a lock."""

cimport cython
from libc.stdint cimport int64_t, uint64_t


cdef enum:
    # 1 ns wide up to 2,048 ns, then 1,024 buckets to each power of two, up to an hour
    BUCKETS = 33 * 1024

ctypedef struct Tally:
    uint64_t count
    uint64_t sum_ns
    int64_t min_ns
    int64_t max_ns
    int first                # the buckets that may not be empty: first..last
    int last
    uint64_t buckets[BUCKETS]

cdef Tally* make_tally() noexcept nogil                  # free() it; NULL: no memory
cdef void count_ns(Tally* tally, int64_t latency_ns, uint64_t times) noexcept nogil


@cython.final
cdef class Histogram:
    cdef Tally* tally

    cdef void take(self, const Tally* other) noexcept
