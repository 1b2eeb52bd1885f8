"""Flows: bytes on their way between a socket and a file, and the threads that move them.

One epoll is shared by all threads and is their only queue: with EPOLLONESHOT it hands a ready flow
to one thread, which moves a bounded number of bytes (a turn) and arms the flow again. A thread that
waits for the disk stalls nobody else.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from fileloft_fast.dataplane.digest cimport Hash
from fileloft_fast.dataplane.files cimport Bytes
from fileloft_fast.dataplane.jobs cimport Completions, Job
from fileloft_fast.dataplane.linux cimport pthread_mutex_t, pthread_t
from fileloft_fast.dataplane.tools cimport Tools


ctypedef struct Flow:
    Job job              # result: bytes moved in all
    uint64_t state       # atomic: generation, MISSED, phase; see flows.pyx
    uint32_t index       # of itself in the table; for ever
    Flow* next_kick      # guarded by kick_mutex, like the next
    bint kicked
    # What follows is zeroed for every use.
    bint (*turn)(Flow* flow, Tools* tools, int64_t budget, bint thorough) noexcept nogil
    uint32_t events      # what it waits for
    int sock
    int file
    int64_t offset       # of the first byte in the file
    int64_t length
    int64_t moved        # atomic for readers; written by the thread whose turn it is
    Bytes ahead          # prefix of a receive, head of a send
    size_t ahead_done
    Hash* hash           # or NULL
    bint receiving
    bint by_buffer       # splice was refused
    bint writeback
    int64_t written_back         # counts from `offset`; -offset at the start
    int low_water        # SO_RCVLOWAT as set, 1 at the start
    int idle_ms
    int64_t min_rate
    int64_t moved_at_ms          # when a byte last moved
    int64_t window_ms            # start of the window of the minimum rate
    int64_t window_moved
    int cancelled        # atomic
    void* asking         # atomic: a stack of jobs to be answered with `moved` after the next turn

cdef enum:
    FLOW_THREADS_MAX = 64
    FLOWS_PER_BLOCK = 64
    FLOW_BLOCKS_MAX = 4096

ctypedef struct FlowLane:
    int epoll
    int kick             # eventfd, a semaphore: one count a kick
    int timer            # timerfd, running while there are flows
    int ticking          # atomic: the timer runs
    int active           # atomic: flows that have not ended
    int stopping         # atomic
    int tick_ms
    int started
    int limit
    pthread_mutex_t kick_mutex
    Flow* first_kick
    Flow* free           # loop thread only
    int blocks           # filled entries of the table; atomic, grows on the loop thread only
    Flow* table[FLOW_BLOCKS_MAX]
    Completions* completions
    pthread_t threads[FLOW_THREADS_MAX]

cdef int open_flows(FlowLane* lane, int limit, int tick_ms, Completions* list) noexcept nogil
cdef Flow* take_flow(FlowLane* lane) noexcept nogil      # zeroed, not started; NULL: no memory
cdef void give_flow(FlowLane* lane, Flow* flow) noexcept nogil
cdef int start_flow(FlowLane* lane, Flow* flow) noexcept nogil   # 0 or -errno: not started
cdef void kick_flow(FlowLane* lane, Flow* flow) noexcept nogil   # a turn soon, ready or not
cdef void ask_flow(FlowLane* lane, Flow* flow, Job* question) noexcept nogil
cdef void close_flows(FlowLane* lane) noexcept nogil     # joins; every flow has been given back
