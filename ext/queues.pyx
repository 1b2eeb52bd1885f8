"""Rings and the wheel; see queues.pxd. Nothing here allocates."""

from libc.stdint cimport int64_t


cdef enum:
    SLOT_MASK = WHEEL_SLOTS - 1


cdef void clear_link(Link* link, void* owner) noexcept nogil:
    link.next = link.previous = link
    link.owner = owner


cdef void leave(Link* link) noexcept nogil:
    link.previous.next = link.next
    link.next.previous = link.previous
    link.next = link.previous = link


cdef void put(Link* ring, Link* link) noexcept nogil:
    leave(link)
    link.previous = ring.previous
    link.next = ring
    ring.previous.next = link
    ring.previous = link


cdef Wire* first(const Link* ring) noexcept nogil:
    return <Wire*>ring.next.owner


cdef Wire* pop(Link* ring) noexcept nogil:
    cdef Link* link = ring.next
    leave(link)
    return <Wire*>link.owner


cdef void _move(Link* ring, Link* target) noexcept nogil:
    # All of a ring into one that is empty.
    if ring.next == ring:
        return
    target.next = ring.next
    target.previous = ring.previous
    target.next.previous = target
    target.previous.next = target
    ring.next = ring.previous = ring


cdef void open_wheel(Wheel* wheel, int64_t now_ms) noexcept nogil:
    cdef int i
    for i in range(WHEEL_SLOTS):
        clear_link(&wheel.slots[i], NULL)
    clear_link(&wheel.current, NULL)
    wheel.now_ms = now_ms
    wheel.count = 0


cdef void schedule(Wheel* wheel, Wire* wire, int64_t due_ms) noexcept nogil:
    wire.due_ms = max(due_ms, wheel.now_ms + 1)
    put(&wheel.slots[wire.due_ms & SLOT_MASK], &wire.place)
    wheel.count += 1


cdef void forget(Wheel* wheel, Wire* wire) noexcept nogil:
    leave(&wire.place)
    if wire.due_ms:
        wire.due_ms = 0
        wheel.count -= 1


cdef Wire* next_due(Wheel* wheel, int64_t now_ms) noexcept nogil:
    cdef Wire* wire
    while True:
        wire = pop(&wheel.current)
        if wire == NULL:
            if wheel.now_ms >= now_ms:
                return NULL
            # after a long sleep each slot is looked at once, and nobody is forgotten
            wheel.now_ms = now_ms if wheel.count == 0 else max(
                wheel.now_ms + 1, now_ms - WHEEL_SLOTS + 1)
            _move(&wheel.slots[wheel.now_ms & SLOT_MASK], &wheel.current)
        elif wire.due_ms <= now_ms:
            wheel.count -= 1
            wire.due_ms = 0
            return wire
        else:
            put(&wheel.slots[wire.due_ms & SLOT_MASK], &wire.place)


cdef int64_t next_tick(const Wheel* wheel) noexcept nogil:
    cdef int64_t tick
    if wheel.count == 0:
        return -1
    for tick in range(wheel.now_ms + 1, wheel.now_ms + WHEEL_SLOTS + 1):
        if wheel.slots[tick & SLOT_MASK].next.owner != NULL:
            return tick
    return wheel.now_ms + 1
