"""Scores of one thread; see scores.pxd."""

from libc.errno cimport ENOMEM
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from fileloft_fast.dataplane.atomics cimport store_i64
from fileloft_fast.dataplane.histogram cimport Tally, count_ns, make_tally
from fileloft_fast.dataplane.wires cimport TROUBLES, Wire


cdef int open_scores(Scores* scores, int steps) noexcept nogil:
    memset(scores, 0, sizeof(Scores))
    scores.units = make_tally()
    scores.steps = <Tally**>calloc(<size_t>steps, sizeof(Tally*))
    if scores.units == NULL or scores.steps == NULL:
        return -ENOMEM
    return 0


cdef void close_scores(Scores* scores, int steps) noexcept nogil:
    cdef int i
    if scores.steps != NULL:
        for i in range(steps):
            free(scores.steps[i])
    free(scores.steps)
    free(scores.units)
    scores.steps = NULL
    scores.units = NULL


cdef int score_step(Scores* scores, int step, int64_t latency_ns) noexcept nogil:
    if scores.steps[step] == NULL:
        scores.steps[step] = make_tally()
        if scores.steps[step] == NULL:
            return -ENOMEM
    count_ns(scores.steps[step], latency_ns, 1)
    return 0


cdef void _end(Scores* scores, int64_t now_ns) noexcept nogil:
    scores.last_ns = now_ns
    store_i64(&scores.done, scores.done + 1)


cdef void score_unit(Scores* scores, Wire* wire, int64_t now_ns) noexcept nogil:
    count_ns(scores.units, now_ns - wire.begun_ns, 1)
    _end(scores, now_ns)


cdef Refusal* _refusal(Scores* scores, int step, int trouble, int status) noexcept nogil:
    cdef Refusal* known
    cdef int i
    for i in range(scores.refusals_count):
        known = &scores.refusals[i]
        if known.step == step and known.trouble == trouble and known.status == status:
            return known
    # the last place is for all that find none
    known = &scores.refusals[min(scores.refusals_count, <int>REFUSALS_MAX - 1)]
    if scores.refusals_count < REFUSALS_MAX:
        scores.refusals_count += 1
        known.step = -1 if scores.refusals_count == REFUSALS_MAX else step
        known.trouble = trouble
        known.status = status
    return known


cdef void score_trouble(Scores* scores, Wire* wire, int64_t now_ns) noexcept nogil:
    if wire.trouble > TROUBLES:
        _refusal(scores, wire.step, wire.trouble, wire.answer.status).count += 1
    else:
        scores.troubles[wire.trouble] += 1
    if scores.failed_ns == 0:
        scores.failed_ns = now_ns
        scores.first_trouble = wire.trouble
        scores.first_error = wire.error
    _end(scores, now_ns)
