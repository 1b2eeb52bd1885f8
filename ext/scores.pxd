"""What one thread of a load client has seen: latencies, and what failed of what."""

from libc.stdint cimport int64_t

from fileloft_fast.dataplane.histogram cimport Tally
from fileloft_fast.dataplane.wires cimport TROUBLES, Wire


cdef enum:
    REFUSALS_MAX = 64        # kinds of answers that were not wanted; what is beyond is one kind

# An answer that was not the wanted one.
ctypedef struct Refusal:
    int step                 # -1: any other
    int trouble
    int status
    int64_t count

ctypedef struct Scores:
    int64_t done             # units; atomic for readers
    int64_t last_ns          # when the last of them ended
    int64_t reconnects
    Tally* units
    Tally** steps            # each made when it is first needed
    int64_t troubles[TROUBLES]
    int refusals_count
    Refusal refusals[REFUSALS_MAX]
    int64_t failed_ns        # the first failure; 0: none
    int first_trouble
    int first_error

cdef int open_scores(Scores* scores, int steps) noexcept nogil       # 0 or -ENOMEM
cdef void close_scores(Scores* scores, int steps) noexcept nogil
cdef int score_step(Scores* scores, int step, int64_t latency_ns) noexcept nogil   # or -ENOMEM
cdef void score_unit(Scores* scores, Wire* wire, int64_t now_ns) noexcept nogil    # that succeeded
cdef void score_trouble(Scores* scores, Wire* wire, int64_t now_ns) noexcept nogil
