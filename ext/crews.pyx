# cython: cdivision=True
# (the rate is not 0 where it divides)
"""Threads of a load client; see crews.pxd.

    a unit is due, a wire is idle  ->  ask, push  ->  answer, pull  ->  the next step, or idle again
"""

from libc.errno cimport ENOMEM, errno
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from fileloft_fast.dataplane.answers cimport HEAD_BYTES_MAX
from fileloft_fast.dataplane.atomics cimport cas_u64, load_int, load_u64
from fileloft_fast.dataplane.linux cimport (
    CLOCK_MONOTONIC, EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLLET, EPOLLIN, EPOLLOUT, TFD_CLOEXEC,
    TFD_NONBLOCK, TFD_TIMER_ABSTIME, close, epoll_create1, epoll_ctl, epoll_event, epoll_wait,
    itimerspec, pthread_cond_broadcast, pthread_cond_wait, pthread_mutex_lock, pthread_mutex_unlock,
    timerfd_create, timerfd_settime,
)
from fileloft_fast.dataplane.queues cimport (
    clear_link, first, next_due, next_tick, open_wheel, pop, put,
)
from fileloft_fast.dataplane.scores cimport open_scores
from fileloft_fast.dataplane.units cimport (
    begin_unit, now_ns, open_idle, signal_event, wire_due, wire_event, wire_late,
)
from fileloft_fast.dataplane.wires cimport SPARE_BYTES, Wire, close_wire, free_wire


cdef enum:
    EVENTS_MAX = 128
    OPENING_MAX = 64                 # at once: a server's queue of connections is short
    SLEEP_MS_MAX = 60 * 1000
    NS_PER_MS = 1000 * 1000

cdef uint64_t WAKE_DATA = <uint64_t>0xFFFFFFFF       # no index reaches them
cdef uint64_t TIMER_DATA = <uint64_t>0xFFFFFFFE


cdef bint _stopped(Crew* crew) noexcept nogil:
    return load_int(&crew.plan.cancelled) != 0


# -- units -----------------------------------------------------------------------------------------

cdef bint _claim(Crew* crew, uint64_t* unit, int64_t* begun_ns) noexcept nogil:
    # Whether there is a unit that is due. It begins when it is due, and not when it gets its wire.
    cdef Plan* plan = crew.plan
    crew.due_ns = 0
    begun_ns[0] = now_ns()
    unit[0] = load_u64(&plan.taken)
    while True:
        if <int64_t>unit[0] >= plan.units:
            crew.drained = True
            return False
        if plan.rate > 0:
            crew.due_ns = plan.start_ns + <int64_t>(<double>unit[0] / plan.rate * 1e9)
            if crew.due_ns > now_ns():
                return False
            begun_ns[0] = crew.due_ns
        if cas_u64(&plan.taken, &unit[0], unit[0] + 1):
            crew.due_ns = 0
            return True


cdef void _hand_out(Crew* crew) noexcept nogil:
    # At most one unit for each wire: where all fail at once, time goes on too.
    cdef uint64_t unit = 0
    cdef int64_t begun_ns = 0
    cdef int tries = crew.count
    cdef Wire* wire = first(&crew.idle)
    while wire != NULL and tries > 0 and not crew.drained and _claim(crew, &unit, &begun_ns):
        tries -= 1
        begin_unit(crew, wire, <int64_t>unit, begun_ns)
        wire = first(&crew.idle)


# -- time ------------------------------------------------------------------------------------------

cdef void _pace(Crew* crew) noexcept nogil:
    cdef int64_t now_ms = now_ns() // NS_PER_MS
    cdef Wire* wire = next_due(&crew.wheel, now_ms)
    while wire != NULL:
        wire_due(crew, wire)
        wire = next_due(&crew.wheel, now_ms)


cdef void _expire(Crew* crew) noexcept nogil:
    cdef int64_t now = now_ns()
    cdef Wire* wire = first(&crew.deadlines)
    while wire != NULL and wire.deadline_ns <= now:
        wire_late(crew, wire)
        wire = first(&crew.deadlines)


cdef void _arm(Crew* crew) noexcept nogil:
    cdef itimerspec wanted
    if crew.due_ns == 0 or crew.due_ns == crew.armed_ns:
        return
    memset(&wanted, 0, sizeof(wanted))
    wanted.it_value.tv_sec = crew.due_ns // 1000000000
    wanted.it_value.tv_nsec = crew.due_ns % 1000000000
    timerfd_settime(crew.timer, TFD_TIMER_ABSTIME, &wanted, NULL)
    crew.armed_ns = crew.due_ns


cdef bint _has_work(Crew* crew) noexcept nogil:
    if first(&crew.ready) != NULL:
        return True
    # units that are due, after as many as there are wires have failed at once
    return (first(&crew.idle) != NULL and crew.due_ns == 0 and not crew.drained)


cdef int _sleep_ms(Crew* crew) noexcept nogil:
    # How long epoll may wait, rounded up.
    cdef int64_t now = now_ns()
    cdef int64_t wake = now + <int64_t>SLEEP_MS_MAX * NS_PER_MS
    cdef int64_t tick = next_tick(&crew.wheel)
    cdef Wire* next_late = first(&crew.deadlines)
    if tick >= 0:
        wake = min(wake, tick * NS_PER_MS)
    if next_late != NULL:
        wake = min(wake, next_late.deadline_ns)
    return <int>((max(wake - now, <int64_t>0) + NS_PER_MS - 1) // NS_PER_MS)


cdef void _poll(Crew* crew) noexcept nogil:
    cdef epoll_event events[EVENTS_MAX]
    cdef Wire* wire
    cdef uint32_t index
    cdef int i
    cdef int found
    _arm(crew)
    found = epoll_wait(crew.epoll, events, EVENTS_MAX, 0 if _has_work(crew) else _sleep_ms(crew))
    for i in range(found):
        index = <uint32_t>events[i].data.u64
        if index >= <uint32_t>crew.count:
            continue
        wire = &crew.wires[index]
        if wire.generation == <uint32_t>(events[i].data.u64 >> 32):
            wire_event(crew, wire, events[i].events)
        _hand_out(crew)


cdef void _take_turns(Crew* crew) noexcept nogil:
    # Each that is ready now has one: those that are ready again come after the events.
    cdef Wire* last = <Wire*>crew.ready.previous.owner
    cdef Wire* wire = NULL
    while last != NULL and wire != last:
        wire = pop(&crew.ready)
        if wire == NULL:
            return
        wire_event(crew, wire, EPOLLIN | EPOLLOUT)


# -- the thread ------------------------------------------------------------------------------------

cdef void _open_wires(Crew* crew) noexcept nogil:
    cdef int i = 0
    while (i < crew.count or crew.opening) and not _stopped(crew):
        while i < crew.count and crew.opening < OPENING_MAX:
            open_idle(crew, &crew.wires[i])
            i += 1
        if crew.opening:
            _pace(crew)
            _expire(crew)
            _poll(crew)
    for i in range(crew.count):
        put(&crew.idle, &crew.wires[i].place)


cdef void forgo_crews(Plan* plan, int count) noexcept nogil:
    pthread_mutex_lock(&plan.mutex)
    plan.awaited -= count
    if plan.awaited == 0:
        plan.start_ns = now_ns()
        pthread_cond_broadcast(&plan.begun)
    pthread_mutex_unlock(&plan.mutex)


cdef void _await_others(Plan* plan) noexcept nogil:
    forgo_crews(plan, 1)
    pthread_mutex_lock(&plan.mutex)
    while plan.awaited > 0:
        pthread_cond_wait(&plan.begun, &plan.mutex)
    pthread_mutex_unlock(&plan.mutex)


cdef void* run_crew(void* argument) noexcept nogil:
    cdef Crew* crew = <Crew*>argument
    cdef int i
    _open_wires(crew)
    _await_others(crew.plan)
    while not _stopped(crew):
        _pace(crew)
        _expire(crew)
        _take_turns(crew)
        _hand_out(crew)
        if crew.drained and crew.busy == 0:
            break
        _poll(crew)
    for i in range(crew.count):
        close_wire(&crew.wires[i])
    signal_event(crew.plan.over)
    return NULL


cdef int _watch(Crew* crew, int descriptor, uint32_t events, uint64_t data) noexcept nogil:
    cdef epoll_event wanted
    wanted.events = events
    wanted.data.u64 = data
    return -errno if epoll_ctl(crew.epoll, EPOLL_CTL_ADD, descriptor, &wanted) < 0 else 0


cdef int _open_descriptors(Crew* crew) noexcept nogil:
    cdef int status
    crew.epoll = epoll_create1(EPOLL_CLOEXEC)
    crew.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)
    if crew.epoll < 0 or crew.timer < 0:
        return -errno
    status = _watch(crew, crew.plan.wake, EPOLLIN, WAKE_DATA)
    if status == 0:
        status = _watch(crew, crew.timer, EPOLLIN | EPOLLET, TIMER_DATA)
    return status


cdef int _make_wires(Crew* crew, int count) noexcept nogil:
    cdef int i
    crew.wires = <Wire*>calloc(<size_t>count, sizeof(Wire))
    if crew.wires == NULL:
        return -ENOMEM
    crew.count = count
    for i in range(count):
        crew.wires[i].index = <uint32_t>i
        crew.wires[i].sock = -1
        clear_link(&crew.wires[i].place, &crew.wires[i])
        clear_link(&crew.wires[i].patience, &crew.wires[i])
    return 0


cdef int open_crew(Crew* crew, Plan* plan, int count) noexcept nogil:
    # What was opened before an error is closed by close_crew.
    cdef int status
    crew.plan = plan
    crew.epoll = crew.timer = -1
    clear_link(&crew.idle, NULL)
    clear_link(&crew.ready, NULL)
    clear_link(&crew.deadlines, NULL)
    open_wheel(&crew.wheel, now_ns() // NS_PER_MS)
    status = _make_wires(crew, count)
    crew.hands.buffer = <unsigned char*>malloc(HEAD_BYTES_MAX + SPARE_BYTES)
    if crew.hands.buffer == NULL:
        status = -ENOMEM
    if status == 0:
        status = _open_descriptors(crew)
    if status == 0:
        status = open_scores(&crew.scores, plan.steps_max)
    crew.hands.epoll = crew.epoll
    crew.hands.address = &plan.address
    crew.hands.address_bytes = plan.address_bytes
    crew.hands.by_tcp = plan.by_tcp
    return status


cdef void close_crew(Crew* crew) noexcept nogil:
    cdef int i
    for i in range(crew.count):
        free_wire(&crew.wires[i])
    free(crew.wires)
    crew.wires = NULL
    crew.count = 0
    free(crew.hands.buffer)
    crew.hands.buffer = NULL
    if crew.epoll >= 0:
        close(crew.epoll)
    if crew.timer >= 0:
        close(crew.timer)
    crew.epoll = crew.timer = -1
