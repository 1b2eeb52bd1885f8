"""Flows; see flows.pxd.

Who owns a flow is one atomic word: generation (upper 32 bits), MISSED, and the phase.

    FREE     nobody's; the loop thread may take it
    ARMED    waits; whoever swaps ARMED for RUNNING has the turn
    RUNNING  one thread's; an event that comes meanwhile sets MISSED, and that thread takes one more
             turn instead of losing it
    ENDED    waits for the loop thread

The epoll entry carries index and generation, so an event from an earlier life of the flow finds
nobody. It is armed again while the turn still owns the flow: afterwards another thread may end it,
and its descriptor may be another socket's.
"""

from libc.errno cimport EINTR, ETIMEDOUT, errno
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from fileloft_fast.dataplane.atomics cimport (
    add_int, cas_ptr, cas_u64, load_int, load_ptr, load_u64, store_int, store_u64, swap_int,
    swap_ptr,
)
from fileloft_fast.dataplane.jobs cimport complete, start_thread
from fileloft_fast.dataplane.linux cimport (
    ECANCELED, CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE, EFD_CLOEXEC, EFD_NONBLOCK, EFD_SEMAPHORE,
    EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLIN, EPOLLONESHOT, FIONREAD,
    SO_RCVLOWAT, SOL_SOCKET, TFD_CLOEXEC, TFD_NONBLOCK, clock_gettime, close, epoll_create1,
    epoll_ctl, epoll_event, epoll_wait, eventfd, ioctl, itimerspec, pthread_join,
    pthread_mutex_destroy, pthread_mutex_init, pthread_mutex_lock, pthread_mutex_unlock, read,
    setsockopt, timerfd_create, timerfd_settime, timespec, write,
)
from fileloft_fast.dataplane.tools cimport Tools, close_tools, open_tools


cdef enum Phase:
    FREE = 0
    ARMED = 1
    RUNNING = 2
    ENDED = 3

cdef enum:
    MISSED = 4
    GENERATION_SHIFT = 32
    TURN_BYTES = 4 * 1024 * 1024         # about 2 ms: what a newcomer may have to wait for

# epoll data of what is not a flow; no index reaches them
cdef uint64_t KICK_DATA = <uint64_t>0xFFFFFFFF
cdef uint64_t TIMER_DATA = <uint64_t>0xFFFFFFFE


cdef inline uint64_t _word(uint32_t generation, uint32_t phase) noexcept nogil:
    return (<uint64_t>generation << GENERATION_SHIFT) | phase


cdef inline uint32_t _generation(Flow* flow) noexcept nogil:
    return <uint32_t>(load_u64(&flow.state) >> GENERATION_SHIFT)


cdef int64_t _now_ms() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now)
    return now.tv_sec * 1000 + now.tv_nsec // 1000000


# -- ownership -------------------------------------------------------------------------------------

cdef bint _acquire(Flow* flow, uint32_t generation) noexcept nogil:
    # Whether the caller has the turn now. Where another thread has it, that one is told.
    cdef uint64_t armed = _word(generation, ARMED)
    cdef uint64_t seen = armed
    while True:
        if seen == armed:
            if cas_u64(&flow.state, &seen, _word(generation, RUNNING)):
                return True
        elif seen == _word(generation, RUNNING):
            if cas_u64(&flow.state, &seen, _word(generation, RUNNING | MISSED)):
                return False
        else:
            return False


cdef bint _release(Flow* flow, uint32_t generation) noexcept nogil:
    # Whether the flow was let go. Where it was not, an event came meanwhile: take one more turn.
    cdef uint64_t seen = _word(generation, RUNNING)
    if cas_u64(&flow.state, &seen, _word(generation, ARMED)):
        return True
    store_u64(&flow.state, _word(generation, RUNNING))
    return False


# -- turns -----------------------------------------------------------------------------------------

cdef int64_t _queued(Flow* flow) noexcept nogil:
    # Bytes in the socket that were not read; SO_RCVLOWAT hides fewer than the mark from epoll.
    cdef int count = 0
    if not flow.receiving or ioctl(flow.sock, FIONREAD, &count) < 0:
        return 0
    return count


cdef bint _overdue(Flow* flow, int64_t now_ms) noexcept nogil:
    # Idle too long, or below the minimum rate over one window; begins the next window.
    cdef int64_t window_ms = now_ms - flow.window_ms
    if flow.idle_ms == 0:
        return False
    if now_ms - flow.moved_at_ms >= flow.idle_ms:
        return True
    if flow.min_rate == 0 or window_ms < flow.idle_ms:
        return False
    if (flow.moved - flow.window_moved) * 1000 < flow.min_rate * window_ms:
        return True
    flow.window_ms = now_ms
    flow.window_moved = flow.moved
    return False


cdef void _answer(FlowLane* lane, Flow* flow, Job* question) noexcept nogil:
    cdef Job* following
    while question != NULL:
        following = question.next
        question.result = flow.moved
        complete(lane.completions, question)
        question = following


cdef bint _turn(FlowLane* lane, Flow* flow, Tools* tools, bint ticked) noexcept nogil:
    # Whether the flow is over.
    cdef Job* question = <Job*>swap_ptr(&flow.asking, NULL)
    cdef bint cancelled = load_int(&flow.cancelled) != 0
    cdef bint thorough = ticked or cancelled or question != NULL
    cdef int64_t queued = _queued(flow) if thorough else 0
    cdef int64_t before = flow.moved
    # A cancel takes what has arrived and not what goes on arriving.
    cdef int64_t budget = queued if cancelled else max(queued, <int64_t>TURN_BYTES)
    cdef bint over = flow.turn(flow, tools, budget, thorough)
    if flow.moved != before:
        flow.moved_at_ms = _now_ms()
    if not over and cancelled:
        flow.job.error = ECANCELED
        over = True
    elif not over and ticked and _overdue(flow, _now_ms()):
        flow.job.error = ETIMEDOUT
        over = True
    _answer(lane, flow, question)
    return over


cdef int _arm(FlowLane* lane, Flow* flow, uint32_t generation, int operation) noexcept nogil:
    cdef epoll_event wanted
    wanted.events = flow.events | EPOLLONESHOT
    wanted.data.u64 = _word(generation, flow.index)
    return -errno if epoll_ctl(lane.epoll, operation, flow.sock, &wanted) < 0 else 0


cdef void _end(FlowLane* lane, Flow* flow, uint32_t generation) noexcept nogil:
    cdef epoll_event ignored      # kernels before 2.6.9 want one
    cdef int one = 1
    epoll_ctl(lane.epoll, EPOLL_CTL_DEL, flow.sock, &ignored)
    if flow.low_water != 1:
        setsockopt(flow.sock, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one))
    flow.job.result = flow.moved
    store_u64(&flow.state, _word(generation, ENDED))
    add_int(&lane.active, -1)
    complete(lane.completions, &flow.job)     # `flow` may be in its next life now


cdef void _run(FlowLane* lane, Flow* flow, uint32_t generation, Tools* tools,
               bint ticked) noexcept nogil:
    # The caller has acquired the flow.
    cdef int status
    while not _turn(lane, flow, tools, ticked):
        status = _arm(lane, flow, generation, EPOLL_CTL_MOD)
        if status < 0:
            flow.job.error = -status
            break
        if _release(flow, generation):
            return
        ticked = False
    _end(lane, flow, generation)


# -- ticks and kicks -------------------------------------------------------------------------------

cdef void _set_timer(FlowLane* lane, int period_ms) noexcept nogil:
    cdef itimerspec wanted
    wanted.it_interval.tv_sec = period_ms // 1000
    wanted.it_interval.tv_nsec = (period_ms % 1000) * 1000000
    wanted.it_value = wanted.it_interval
    timerfd_settime(lane.timer, 0, &wanted, NULL)


cdef void _ensure_ticking(FlowLane* lane) noexcept nogil:
    if swap_int(&lane.ticking, 1) == 0:
        _set_timer(lane, lane.tick_ms)


cdef void _look_at(FlowLane* lane, Flow* flow, Tools* tools) noexcept nogil:
    cdef uint64_t seen = load_u64(&flow.state)
    cdef uint32_t generation = <uint32_t>(seen >> GENERATION_SHIFT)
    if seen != _word(generation, ARMED):
        return
    if not cas_u64(&flow.state, &seen, _word(generation, RUNNING)):
        return
    if _queued(flow) > 0 or _overdue(flow, _now_ms()):
        _run(lane, flow, generation, tools, True)
    elif not _release(flow, generation):
        _run(lane, flow, generation, tools, False)


cdef void _tick(FlowLane* lane, Tools* tools) noexcept nogil:
    cdef uint64_t count
    cdef int block, i
    if read(lane.timer, &count, sizeof(count)) < 0:
        return                    # another thread was faster
    for block in range(load_int(&lane.blocks)):
        for i in range(FLOWS_PER_BLOCK):
            _look_at(lane, lane.table[block] + i, tools)
    if load_int(&lane.active) == 0:
        _set_timer(lane, 0)
        store_int(&lane.ticking, 0)
        if load_int(&lane.active) > 0:          # started since, and saw the timer still ticking
            _ensure_ticking(lane)


cdef void _kicked(FlowLane* lane, Tools* tools) noexcept nogil:
    cdef Flow* flow
    cdef uint32_t generation
    pthread_mutex_lock(&lane.kick_mutex)
    flow = lane.first_kick
    if flow != NULL:
        lane.first_kick = flow.next_kick
        flow.kicked = False
    pthread_mutex_unlock(&lane.kick_mutex)
    if flow == NULL:
        return
    # Should the flow be in its next life, this is one turn too many and no harm.
    generation = _generation(flow)
    if _acquire(flow, generation):
        _run(lane, flow, generation, tools, False)


cdef void _post(int semaphore, uint64_t count) noexcept nogil:
    while write(semaphore, &count, sizeof(count)) < 0 and errno == EINTR:
        pass


cdef void kick_flow(FlowLane* lane, Flow* flow) noexcept nogil:
    cdef bint listed
    pthread_mutex_lock(&lane.kick_mutex)
    listed = flow.kicked
    if not listed:
        flow.kicked = True
        flow.next_kick = lane.first_kick
        lane.first_kick = flow
    pthread_mutex_unlock(&lane.kick_mutex)
    if not listed:
        _post(lane.kick, 1)


cdef void ask_flow(FlowLane* lane, Flow* flow, Job* question) noexcept nogil:
    cdef void* newest = load_ptr(&flow.asking)
    question.next = <Job*>newest
    while not cas_ptr(&flow.asking, &newest, question):
        question.next = <Job*>newest
    kick_flow(lane, flow)


# -- threads ---------------------------------------------------------------------------------------

cdef void* _serve(void* argument) noexcept nogil:
    cdef FlowLane* lane = <FlowLane*>argument
    cdef Tools tools
    cdef epoll_event event
    cdef uint64_t count
    cdef uint32_t index, generation
    cdef Flow* flow
    open_tools(&tools)
    while not load_int(&lane.stopping):
        if epoll_wait(lane.epoll, &event, 1, -1) != 1:
            continue              # EINTR
        if event.data.u64 == KICK_DATA:
            if read(lane.kick, &count, sizeof(count)) > 0:
                _kicked(lane, &tools)
        elif event.data.u64 == TIMER_DATA:
            _tick(lane, &tools)
        else:
            index = <uint32_t>event.data.u64
            generation = <uint32_t>(event.data.u64 >> GENERATION_SHIFT)
            flow = lane.table[index // FLOWS_PER_BLOCK] + index % FLOWS_PER_BLOCK
            if _acquire(flow, generation):
                _run(lane, flow, generation, &tools, False)
    close_tools(&tools)
    return NULL


cdef int _ensure_threads(FlowLane* lane) noexcept nogil:
    # One for each flow: with more, every wake-up pulls a flow to another core.
    cdef int status = 0
    while status == 0 and lane.started < min(lane.limit, load_int(&lane.active) + 1):
        status = start_thread(&lane.threads[lane.started], b"fl-transfer", _serve, lane)
        lane.started += status == 0
    return 0 if lane.started > 0 else status


cdef int _watch(FlowLane* lane, int descriptor, uint64_t data) noexcept nogil:
    cdef epoll_event wanted
    wanted.events = EPOLLIN
    wanted.data.u64 = data
    return epoll_ctl(lane.epoll, EPOLL_CTL_ADD, descriptor, &wanted)


cdef int open_flows(FlowLane* lane, int limit, int tick_ms, Completions* list) noexcept nogil:
    memset(lane, 0, sizeof(FlowLane))
    lane.limit = min(limit, <int>FLOW_THREADS_MAX)
    lane.tick_ms = tick_ms
    lane.completions = list
    pthread_mutex_init(&lane.kick_mutex, NULL)
    lane.epoll = epoll_create1(EPOLL_CLOEXEC)
    lane.kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE)
    lane.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)
    if (lane.epoll < 0 or lane.kick < 0 or lane.timer < 0
            or _watch(lane, lane.kick, KICK_DATA) < 0 or _watch(lane, lane.timer, TIMER_DATA) < 0):
        return -errno
    return 0


cdef void close_flows(FlowLane* lane) noexcept nogil:
    cdef uint64_t count = <uint64_t>lane.started
    cdef int i
    store_int(&lane.stopping, 1)
    _post(lane.kick, count)
    for i in range(lane.started):
        pthread_join(lane.threads[i], NULL)
    lane.started = 0
    close(lane.epoll)             # -1, where opening it failed, is EBADF and nothing else
    close(lane.kick)
    close(lane.timer)
    lane.epoll = lane.kick = lane.timer = -1
    for i in range(lane.blocks):
        free(lane.table[i])
    lane.blocks = 0
    lane.free = NULL
    pthread_mutex_destroy(&lane.kick_mutex)


# -- the life of a flow, on the loop thread --------------------------------------------------------

cdef Flow* take_flow(FlowLane* lane) noexcept nogil:
    cdef Flow* flow
    cdef int i
    if lane.free == NULL:
        if lane.blocks == FLOW_BLOCKS_MAX:
            return NULL
        flow = <Flow*>calloc(FLOWS_PER_BLOCK, sizeof(Flow))
        if flow == NULL:
            return NULL
        lane.table[lane.blocks] = flow
        for i in range(FLOWS_PER_BLOCK):
            flow[i].index = <uint32_t>(lane.blocks * FLOWS_PER_BLOCK + i)
            flow[i].job.next = <Job*>lane.free
            lane.free = &flow[i]
        add_int(&lane.blocks, 1)
    flow = lane.free
    lane.free = <Flow*>flow.job.next
    memset(&flow.job, 0, sizeof(Job))
    memset(&flow.turn, 0, <size_t>(<char*>flow + sizeof(Flow) - <char*>&flow.turn))
    flow.low_water = 1
    return flow


cdef void give_flow(FlowLane* lane, Flow* flow) noexcept nogil:
    store_u64(&flow.state, _word(_generation(flow) + 1, FREE))
    flow.job.next = <Job*>lane.free
    lane.free = flow


cdef int start_flow(FlowLane* lane, Flow* flow) noexcept nogil:
    cdef uint32_t generation = _generation(flow)
    cdef int status = _ensure_threads(lane)
    if status < 0:
        return status
    flow.moved_at_ms = flow.window_ms = _now_ms()
    add_int(&lane.active, 1)
    _ensure_ticking(lane)
    # Not ARMED yet: a tick, or a kick meant for the life before, would arm what was not added.
    store_u64(&flow.state, _word(generation, RUNNING))
    status = _arm(lane, flow, generation, EPOLL_CTL_ADD)
    if status < 0:
        store_u64(&flow.state, _word(generation, FREE))
        add_int(&lane.active, -1)
        return status
    if not _release(flow, generation):
        store_u64(&flow.state, _word(generation, ARMED))
        kick_flow(lane, flow)     # makes good what was missed
    # The prefix, or the end of a flow of no bytes, does not wait for the socket.
    if flow.receiving and (flow.ahead.length or flow.length == 0):
        kick_flow(lane, flow)
    return 0
