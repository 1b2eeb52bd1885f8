"""Units of a load client: what a thread knows, and what becomes of a connection that runs one."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from fileloft_fast.dataplane.linux cimport (
    pthread_cond_t, pthread_mutex_t, pthread_t, sockaddr_storage,
)
from fileloft_fast.dataplane.queues cimport Wheel
from fileloft_fast.dataplane.scores cimport Scores
from fileloft_fast.dataplane.steps cimport Request
from fileloft_fast.dataplane.wires cimport Hands, Link, Wire


ctypedef struct Script:
    const Request** steps
    int count

# What all threads read; the words that are written are atomic, or guarded by the mutex.
ctypedef struct Plan:
    sockaddr_storage address
    uint32_t address_bytes
    bint by_tcp
    Script* scripts
    int64_t scripts_count
    int steps_max
    int64_t units
    double rate                  # units a second; 0: as fast as they end
    int64_t timeout_ns
    uint64_t taken               # atomic: units
    int cancelled                # atomic
    int failed                   # atomic: an errno, why there can be no run
    int wake                     # eventfd: readable once it is cancelled
    int over                     # eventfd, a semaphore: one count a thread that has ended
    pthread_mutex_t mutex
    pthread_cond_t begun
    int awaited                  # threads that have not opened their connections
    int64_t start_ns             # 0 before

ctypedef struct Crew:
    Plan* plan
    pthread_t thread
    int epoll
    int timer                    # timerfd: the next unit is due; milliseconds are too coarse
    int64_t armed_ns
    Wire* wires
    int count
    int opening                  # wires that connect before the start
    int busy                     # wires that have a unit
    bint drained                 # no unit is left
    int64_t due_ns               # when the next one is due, of those that are not; 0: none
    Link idle
    Link ready
    Link deadlines               # the earliest first
    Wheel wheel
    Hands hands
    Scores scores

cdef int64_t now_ns() noexcept nogil
cdef void signal_event(int event) noexcept nogil                 # add 1 to an eventfd
cdef void touch(Crew* crew, Wire* wire) noexcept nogil           # its time begins anew
cdef void begin_unit(Crew* crew, Wire* wire, int64_t unit, int64_t begun_ns) noexcept nogil
cdef void open_idle(Crew* crew, Wire* wire) noexcept nogil       # before the start
cdef void wire_event(Crew* crew, Wire* wire, uint32_t events) noexcept nogil     # or a turn more
cdef void wire_due(Crew* crew, Wire* wire) noexcept nogil        # the wheel gave it back
cdef void wire_late(Crew* crew, Wire* wire) noexcept nogil       # its time is up
cdef void cancel_plan(Plan* plan, int error) noexcept nogil      # 0, or why there can be no run
