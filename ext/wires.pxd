"""A load client's connections: one request at a time goes out, its answer is read and dropped.

A wire belongs to one thread. It knows nothing of units and of time; see crews.
"""

from libc.stdint cimport int64_t, uint32_t

from fileloft_fast.dataplane.answers cimport Answer
from fileloft_fast.dataplane.linux cimport sockaddr_storage
from fileloft_fast.dataplane.steps cimport Request


cdef enum State:
    STATE_CLOSED
    STATE_CONNECTING
    STATE_OPEN

# What ends a unit.
cdef enum Trouble:
    TROUBLE_NONE
    TROUBLE_CONNECT
    TROUBLE_RESET
    TROUBLE_CLOSED
    TROUBLE_TIMEOUT
    TROUBLE_ANSWER
    TROUBLE_LOCATION
    TROUBLE_FILE
    TROUBLE_LOCAL
    TROUBLES                 # those above are counted as they are, the next with step and status
    TROUBLE_STATUS
    TROUBLE_EARLY
    TROUBLE_OFFSET

# How a turn ended.
cdef enum Turn:
    TURN_BLOCKED             # epoll will say
    TURN_DONE                # all that may be sent now is sent; the answer is whole
    TURN_UNDONE              # others first: the budget is used up
    TURN_FAILED              # wire.trouble and wire.error

cdef enum:
    SPARE_BYTES = 128 * 1024
    HEARD_BYTES_MAX = 4096

# What a thread's wires share.
ctypedef struct Hands:
    unsigned char* buffer            # HEAD_BYTES_MAX + SPARE_BYTES
    const sockaddr_storage* address
    uint32_t address_bytes
    bint by_tcp                      # else by a Unix socket
    int epoll
    int64_t sent                     # bytes of bodies; atomic for readers, like the next
    int64_t received
    bint heard                       # a failure was taken down: what follows is not the first
    size_t heard_bytes
    unsigned char heard_text[HEARD_BYTES_MAX]

# An element of a ring, or its anchor.
ctypedef struct Link:
    Link* next
    Link* previous
    void* owner                      # the Wire; NULL: the anchor

ctypedef struct Wire:
    uint32_t index
    uint32_t generation              # of the socket, so that a stale event finds nobody
    int sock
    int state
    const Request* request           # under way, or NULL
    Answer answer
    int64_t sent                     # of head and body
    int64_t head_bytes
    int64_t allowed                  # bytes of the body that may go
    bint answered                    # a byte of the answer has come
    bint used                        # an answer came on this connection before
    bint hung_up                     # epoll says that no more comes, or that it broke
    bint waking                      # SO_RCVLOWAT is raised
    unsigned char* held              # of an answer's head that is not whole
    size_t held_bytes
    unsigned char* location
    size_t location_bytes
    int verdict                      # the trouble with an answer that is read to its end
    int trouble
    int error                        # an errno, or 0
    int64_t moved                    # bytes in either direction, ever
    # The rest is for crews.
    Link place                       # idle, ready for a turn, or waiting for the wheel
    Link patience                    # among the deadlines
    int64_t due_ms                   # when the wheel gives it back
    int64_t deadline_ns
    int64_t moved_before             # when the deadline was set
    int64_t piece_ns                 # when the last piece was due
    int64_t begun_ns                 # the unit: when it was due, or begun
    int64_t step_ns                  # the step: begun
    int64_t unit
    int step
    bint retried
    bint opened                      # once before

cdef int open_wire(Wire* wire, Hands* hands) noexcept nogil      # a Turn; DONE: connected
cdef int connected_wire(Wire* wire) noexcept nogil               # a Turn, after epoll has said so
cdef void close_wire(Wire* wire) noexcept nogil
cdef void ask_wire(Wire* wire, const Request* request) noexcept nogil
cdef int push_wire(Wire* wire, Hands* hands) noexcept nogil      # a Turn
cdef int pull_wire(Wire* wire, Hands* hands) noexcept nogil      # a Turn
cdef bint pushing(const Wire* wire) noexcept nogil               # there is more that may go
cdef void free_wire(Wire* wire) noexcept nogil
