# cython: cdivision=True
# (scripts_count is not 0)
"""Units; see units.pxd.

A wire is idle, blocked (epoll says when it goes on), ready for another turn, or in the wheel: until
its next piece is due, or until a Unix socket may have room in its queue.
"""

from libc.errno cimport EAGAIN, EINTR, ENOMEM, errno
from libc.stdint cimport int64_t, uint32_t, uint64_t

from fileloft_fast.dataplane.answers cimport PHASE_HEAD
from fileloft_fast.dataplane.atomics cimport store_int
from fileloft_fast.dataplane.linux cimport (
    CLOCK_MONOTONIC, EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP, clock_gettime, timespec,
    write,
)
from fileloft_fast.dataplane.queues cimport forget, leave, put, schedule
from fileloft_fast.dataplane.scores cimport score_step, score_trouble, score_unit
from fileloft_fast.dataplane.wires cimport (
    STATE_CLOSED, STATE_CONNECTING, STATE_OPEN, TROUBLE_ANSWER, TROUBLE_CLOSED, TROUBLE_EARLY,
    TROUBLE_LOCAL, TROUBLE_NONE, TROUBLE_RESET, TROUBLE_TIMEOUT, TURN_BLOCKED, TURN_DONE,
    TURN_FAILED, TURN_UNDONE, Wire, ask_wire, close_wire, connected_wire, open_wire, pull_wire,
    push_wire, pushing,
)


cdef enum:
    PROGRESS_BYTES = 64 * 1024       # fewer in the time of a timeout are none
    NS_PER_MS = 1000 * 1000

cdef uint32_t BROKEN = EPOLLRDHUP | EPOLLHUP | EPOLLERR


cdef int64_t now_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec * 1000000000 + now.tv_nsec


cdef void signal_event(int event) noexcept nogil:
    # It cannot fail but for EINTR: nobody adds so often that the count is full.
    cdef uint64_t one = 1
    while write(event, &one, sizeof(one)) < 0 and errno == EINTR:
        pass


cdef void cancel_plan(Plan* plan, int error) noexcept nogil:
    if error:
        store_int(&plan.failed, error)
    store_int(&plan.cancelled, 1)
    signal_event(plan.wake)


cdef void touch(Crew* crew, Wire* wire) noexcept nogil:
    wire.deadline_ns = now_ns() + crew.plan.timeout_ns
    wire.moved_before = wire.moved
    put(&crew.deadlines, &wire.patience)


cdef void _rest(Crew* crew, Wire* wire) noexcept nogil:
    leave(&wire.patience)
    forget(&crew.wheel, wire)
    wire.request = NULL
    put(&crew.idle, &wire.place)
    crew.busy -= 1


cdef void _fail(Crew* crew, Wire* wire, int64_t now) noexcept nogil:
    score_trouble(&crew.scores, wire, now)
    crew.hands.heard = True
    _rest(crew, wire)


cdef void _trouble(Crew* crew, Wire* wire) noexcept nogil:
    # A server may close an idle connection just when the next unit begins: that one begins anew.
    cdef bint stale = wire.step == 0 and wire.used and not (wire.answered or wire.retried)
    close_wire(wire)
    if stale and (wire.trouble == TROUBLE_RESET or wire.trouble == TROUBLE_CLOSED):
        wire.retried = True
        forget(&crew.wheel, wire)
        _ask(crew, wire)
    else:
        _fail(crew, wire, now_ns())


# -- opening ---------------------------------------------------------------------------------------

cdef int _open(Crew* crew, Wire* wire) noexcept nogil:
    # A Turn.
    cdef int turn
    cdef bint again = wire.opened
    wire.opened = True
    turn = open_wire(wire, &crew.hands)
    if turn == TURN_FAILED and wire.error == EAGAIN and not crew.hands.by_tcp:
        close_wire(wire)
        wire.opened = again
        wire.state = STATE_CONNECTING
        schedule(&crew.wheel, wire, crew.wheel.now_ms + 1)
        return TURN_BLOCKED
    crew.scores.reconnects += again
    return turn


cdef void _opened(Crew* crew, Wire* wire, int turn) noexcept nogil:
    # Before the start. One that cannot connect is tried again by its first unit, which then tells.
    if turn == TURN_BLOCKED:
        return
    crew.opening -= 1
    leave(&wire.patience)
    if turn == TURN_FAILED:
        if wire.trouble == TROUBLE_LOCAL:
            cancel_plan(crew.plan, wire.error)
        close_wire(wire)
        wire.opened = False


cdef void open_idle(Crew* crew, Wire* wire) noexcept nogil:
    crew.opening += 1
    touch(crew, wire)
    _opened(crew, wire, _open(crew, wire))


cdef void _begin(Crew* crew, Wire* wire, int turn) noexcept nogil:
    # After an attempt to connect for a request.
    if turn == TURN_FAILED:
        _trouble(crew, wire)
    elif turn == TURN_DONE:
        _push(crew, wire)


cdef void _connected(Crew* crew, Wire* wire) noexcept nogil:
    cdef int turn = connected_wire(wire)
    if wire.request == NULL:
        _opened(crew, wire, turn)
    else:
        _begin(crew, wire, turn)


# -- asking ----------------------------------------------------------------------------------------

cdef void begin_unit(Crew* crew, Wire* wire, int64_t unit, int64_t begun_ns) noexcept nogil:
    leave(&wire.place)
    crew.busy += 1
    wire.unit = unit
    wire.step = 0
    wire.begun_ns = wire.step_ns = begun_ns
    wire.retried = False
    wire.location_bytes = 0
    _ask(crew, wire)


cdef void _ask(Crew* crew, Wire* wire) noexcept nogil:
    cdef Plan* plan = crew.plan
    ask_wire(wire, plan.scripts[wire.unit % plan.scripts_count].steps[wire.step])
    touch(crew, wire)
    wire.piece_ns = wire.deadline_ns - plan.timeout_ns
    _begin(crew, wire, _open(crew, wire) if wire.state == STATE_CLOSED else TURN_DONE)


cdef void _await_piece(Crew* crew, Wire* wire) noexcept nogil:
    # The second piece comes sooner than an interval, on each connection at another time, so that
    # those which began together do not go in step: multiples of the golden ratio fill evenly.
    cdef int64_t interval = wire.request.interval_ns
    cdef uint32_t share = <uint32_t>(<uint64_t>(wire.unit + 1) * <uint64_t>2654435769)
    if wire.allowed == wire.request.piece_bytes:
        interval = <int64_t>(<double>interval * share / 4294967296.0)
    wire.piece_ns = max(wire.piece_ns + interval, now_ns())
    schedule(&crew.wheel, wire, wire.piece_ns // NS_PER_MS + 1)


cdef void _refused(Crew* crew, Wire* wire) noexcept nogil:
    # Who refuses early and closes has said why, and that is still to be read.
    cdef int trouble = wire.trouble
    cdef int error = wire.error
    if trouble == TROUBLE_RESET:
        wire.trouble = TROUBLE_NONE
        pull_wire(wire, &crew.hands)
    if wire.trouble != TROUBLE_EARLY:
        wire.trouble = trouble
        wire.error = error
    _trouble(crew, wire)


cdef void _push(Crew* crew, Wire* wire) noexcept nogil:
    cdef int turn = push_wire(wire, &crew.hands)
    if turn == TURN_UNDONE:
        put(&crew.ready, &wire.place)
    elif turn == TURN_DONE and wire.allowed < wire.request.length:
        _await_piece(crew, wire)
    elif turn == TURN_FAILED:
        _refused(crew, wire)


# -- answers ---------------------------------------------------------------------------------------

cdef void _answered(Crew* crew, Wire* wire) noexcept nogil:
    cdef int64_t now = now_ns()
    wire.used = True
    if wire.answer.closes or wire.hung_up:
        close_wire(wire)
    wire.trouble = wire.verdict
    if wire.trouble == TROUBLE_NONE and score_step(&crew.scores, wire.step, now - wire.step_ns) < 0:
        wire.trouble = TROUBLE_LOCAL
        wire.error = ENOMEM
    if wire.trouble != TROUBLE_NONE:
        _fail(crew, wire, now)
        return
    wire.step_ns = now
    wire.step += 1
    if wire.step < crew.plan.scripts[wire.unit % crew.plan.scripts_count].count:
        _ask(crew, wire)
        return
    score_unit(&crew.scores, wire, now)
    _rest(crew, wire)


cdef void _pull(Crew* crew, Wire* wire) noexcept nogil:
    cdef int turn = pull_wire(wire, &crew.hands)
    if turn == TURN_UNDONE and wire.answer.phase == PHASE_HEAD:
        wire.trouble = TROUBLE_ANSWER        # megabytes of interim answers
        turn = TURN_FAILED
    if turn == TURN_DONE:
        _answered(crew, wire)
    elif turn == TURN_UNDONE:
        put(&crew.ready, &wire.place)
    elif turn == TURN_FAILED:
        _trouble(crew, wire)


cdef void wire_event(Crew* crew, Wire* wire, uint32_t events) noexcept nogil:
    cdef uint32_t generation = wire.generation
    if wire.state == STATE_CONNECTING:
        _connected(crew, wire)
        if wire.generation != generation or wire.state != STATE_OPEN:
            return
        events &= ~<uint32_t>EPOLLOUT
    if events & BROKEN:
        wire.hung_up = True
    if wire.request == NULL:
        if events & (EPOLLIN | BROKEN):
            close_wire(wire)         # idle: the server wants no more, or says what nobody asked
        return
    if events & (EPOLLIN | BROKEN):
        _pull(crew, wire)
    # It may be another request by now; then this is one system call too many, and no harm.
    if events & EPOLLOUT and wire.generation == generation and wire.request != NULL:
        if pushing(wire):
            _push(crew, wire)


# -- time ------------------------------------------------------------------------------------------

cdef void wire_due(Crew* crew, Wire* wire) noexcept nogil:
    if wire.sock >= 0:
        wire.allowed += min(wire.request.piece_bytes, wire.request.length - wire.allowed)
        touch(crew, wire)
        _push(crew, wire)
    elif wire.request == NULL:
        _opened(crew, wire, _open(crew, wire))
    else:
        _begin(crew, wire, _open(crew, wire))


cdef void wire_late(Crew* crew, Wire* wire) noexcept nogil:
    if wire.moved - wire.moved_before >= PROGRESS_BYTES:
        touch(crew, wire)
        return
    wire.trouble = TROUBLE_TIMEOUT
    wire.error = 0
    if wire.request == NULL:
        forget(&crew.wheel, wire)
        _opened(crew, wire, TURN_FAILED)
    else:
        _trouble(crew, wire)
