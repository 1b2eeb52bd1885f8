"""HDR layout; see histogram.pxd and the stub.

A bucket is at most 1/1024 of its lower bound wide, so its middle is within 0.05 % of what is in it.
"""

cimport cython
from libc.math cimport ceil, isnan
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free


cdef extern from * nogil:
    """
    #define FL_TOP_BIT(value) (63 - __builtin_clzll(value))
    """
    int top_bit "FL_TOP_BIT"(uint64_t value)      # not of 0


cdef enum:
    LINEAR = 2048
    HALF = 1024

cdef int64_t LEAST_NS = 1000
cdef int64_t MOST_NS = 3600 * <int64_t>1000000000


cdef inline int _bucket_of(int64_t value) noexcept nogil:
    cdef int shift
    if value < LINEAR:
        return <int>value
    shift = top_bit(<uint64_t>value) - 10
    return shift * HALF + <int>(value >> shift)


cdef int64_t _lower(int bucket) noexcept nogil:
    cdef int shift
    if bucket < LINEAR:
        return bucket
    shift = (bucket >> 10) - 1
    return <int64_t>(bucket - shift * HALF) << shift


cdef Tally* make_tally() noexcept nogil:
    cdef Tally* tally = <Tally*>calloc(1, sizeof(Tally))
    if tally != NULL:
        tally.first = BUCKETS
        tally.last = -1
    return tally


cdef void count_ns(Tally* tally, int64_t latency_ns, uint64_t times) noexcept nogil:
    cdef int64_t value = min(max(latency_ns, LEAST_NS), MOST_NS)
    cdef int bucket = _bucket_of(value)
    tally.buckets[bucket] += times
    tally.first = min(tally.first, bucket)
    tally.last = max(tally.last, bucket)
    if tally.count == 0 or value < tally.min_ns:
        tally.min_ns = value
    tally.max_ns = max(tally.max_ns, value)
    tally.count += times
    tally.sum_ns += <uint64_t>value * times


cdef void _merge(Tally* tally, const Tally* other) noexcept nogil:
    cdef int bucket
    if other.count == 0:
        return
    for bucket in range(other.first, other.last + 1):
        tally.buckets[bucket] += other.buckets[bucket]
    tally.first = min(tally.first, other.first)
    tally.last = max(tally.last, other.last)
    if tally.count == 0 or other.min_ns < tally.min_ns:
        tally.min_ns = other.min_ns
    tally.max_ns = max(tally.max_ns, other.max_ns)
    tally.count += other.count
    tally.sum_ns += other.sum_ns


cdef int64_t _ranked(const Tally* tally, uint64_t rank) noexcept nogil:
    # The value of that rank, from 1; the middle of its bucket, and never outside of what was seen.
    cdef uint64_t seen = 0
    cdef int bucket
    for bucket in range(tally.first, tally.last + 1):
        seen += tally.buckets[bucket]
        if seen >= rank:
            return min(max((_lower(bucket) + _lower(bucket + 1) - 1) // 2, tally.min_ns),
                       tally.max_ns)
    return tally.max_ns


@cython.final
cdef class Histogram:
    """How often which latency was seen. Not for two threads at once."""

    def __cinit__(self):
        self.tally = make_tally()
        if self.tally == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.tally)

    cdef void take(self, const Tally* other) noexcept:
        _merge(self.tally, other)

    def record(self, double seconds, uint64_t count=1):
        if isnan(seconds):
            raise ValueError("a latency is a number")
        # limited before it is converted: what does not fit into an integer is undefined
        if count:
            count_ns(self.tally, <int64_t>(min(max(seconds, 0.0), 3600.0) * 1e9 + 0.5), count)

    def add(self, Histogram other not None):
        _merge(self.tally, other.tally)

    @property
    def count(self):
        return self.tally.count

    @property
    def min_s(self):
        return self.tally.min_ns / 1e9

    @property
    def max_s(self):
        return self.tally.max_ns / 1e9

    @property
    def mean_s(self):
        return self.tally.sum_ns / 1e9 / self.tally.count if self.tally.count else 0.0

    def percentile(self, double percent):
        cdef double rank
        if not 0.0 <= percent <= 100.0:
            raise ValueError(f"a percentile is from 0 to 100, not {percent}")
        if self.tally.count == 0:
            return 0.0
        # 99.9 % of 1,000 is 999 and not, by rounding, 1,000
        rank = ceil(percent * <double>self.tally.count / 100.0 - 1e-9)
        if rank < 1.0:
            return self.tally.min_ns / 1e9
        if rank >= <double>self.tally.count:
            return self.tally.max_ns / 1e9
        return _ranked(self.tally, <uint64_t>rank) / 1e9

    def buckets(self):
        cdef int bucket
        return [
            (_lower(bucket + 1) / 1e9, self.tally.buckets[bucket])
            for bucket in range(self.tally.first, self.tally.last + 1)
            if self.tally.buckets[bucket]
        ]
