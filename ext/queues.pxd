"""Where a load client's connections wait: rings, and a wheel of milliseconds."""

from libc.stdint cimport int64_t

from fileloft_fast.dataplane.wires cimport Link, Wire


cdef enum:
    WHEEL_SLOTS = 1024

# Who is due a turn of the wheel later stays in its slot; a slot is looked at when its time comes.
ctypedef struct Wheel:
    Link slots[WHEEL_SLOTS]
    Link current             # of the millisecond `now_ms`
    int64_t now_ms
    int64_t count

cdef void clear_link(Link* link, void* owner) noexcept nogil
cdef void put(Link* ring, Link* link) noexcept nogil         # at its end, wherever it was before
cdef void leave(Link* link) noexcept nogil                   # the ring in which it is, if any
cdef Wire* first(const Link* ring) noexcept nogil            # or NULL
cdef Wire* pop(Link* ring) noexcept nogil                    # the first, which leaves; or NULL

cdef void open_wheel(Wheel* wheel, int64_t now_ms) noexcept nogil
cdef void schedule(Wheel* wheel, Wire* wire, int64_t due_ms) noexcept nogil
cdef void forget(Wheel* wheel, Wire* wire) noexcept nogil    # in whatever ring it is
cdef Wire* next_due(Wheel* wheel, int64_t now_ms) noexcept nogil     # which leaves; or NULL
cdef int64_t next_tick(const Wheel* wheel) noexcept nogil    # when to ask again, in ms; or -1
