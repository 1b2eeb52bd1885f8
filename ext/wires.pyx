# cython: cdivision=True
# (the only divisor is a file's size, and an empty file has no bytes to send)
"""Connections of a load client; see wires.pxd."""

from libc.errno cimport EAGAIN, ECONNRESET, EINPROGRESS, EINTR, EIO, ENOMEM, EPIPE, ETIMEDOUT, errno
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from fileloft_fast.dataplane.answers cimport (
    CHUNK_DATA, HEAD_BYTES_MAX, PHASE_CHUNKS, PHASE_HEAD, PHASE_LENGTH, PHASE_TO_END, PHASE_WHOLE,
    begin_answer, drop_body, take_body, take_head,
)
from fileloft_fast.dataplane.atomics cimport store_i64
from fileloft_fast.dataplane.files cimport Bytes
from fileloft_fast.dataplane.linux cimport (
    EPOLL_CTL_ADD, EPOLLET, EPOLLIN, EPOLLOUT, EPOLLRDHUP, IPPROTO_TCP, MSG_DONTWAIT, MSG_MORE,
    MSG_NOSIGNAL, MSG_TRUNC, SO_ERROR, SO_RCVLOWAT, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM,
    SOL_SOCKET, TCP_NODELAY, close, connect, epoll_ctl, epoll_event, getsockopt, iovec, msghdr,
    recv, sendfile, sendmsg, setsockopt, sockaddr, socket,
)
from fileloft_fast.dataplane.locations cimport resolve
from fileloft_fast.dataplane.steps cimport Request


cdef enum:
    TURN_BYTES = 4 * 1024 * 1024
    BULK_BYTES = 256 * 1024      # so much of a body is dropped in the kernel, and wakes us once


cdef int _fail(Wire* wire, int trouble, int error) noexcept nogil:
    wire.trouble = trouble
    wire.error = error
    return TURN_FAILED


# -- opening and closing ---------------------------------------------------------------------------

cdef int open_wire(Wire* wire, Hands* hands) noexcept nogil:
    cdef epoll_event wanted
    cdef int one = 1
    wire.sock = socket(hands.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    if wire.sock < 0:
        return _fail(wire, TROUBLE_LOCAL, errno)
    if hands.by_tcp:
        setsockopt(wire.sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one))
    wire.state = STATE_CONNECTING
    wire.used = wire.hung_up = wire.waking = False
    wire.generation += 1
    if connect(wire.sock, <const sockaddr*>hands.address, hands.address_bytes) == 0:
        wire.state = STATE_OPEN
    elif errno != EINPROGRESS and errno != EINTR:
        # EAGAIN: the queue of a Unix socket is full; whoever asked tries again
        return _fail(wire, TROUBLE_CONNECT, errno)
    # Edge-triggered and for both directions, once: no system call when the direction changes.
    wanted.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET
    wanted.data.u64 = <uint64_t>wire.generation << 32 | wire.index
    if epoll_ctl(hands.epoll, EPOLL_CTL_ADD, wire.sock, &wanted) < 0:
        return _fail(wire, TROUBLE_LOCAL, errno)
    return TURN_DONE if wire.state == STATE_OPEN else TURN_BLOCKED


cdef int connected_wire(Wire* wire) noexcept nogil:
    cdef int error = 0
    cdef uint32_t size = sizeof(error)
    if getsockopt(wire.sock, SOL_SOCKET, SO_ERROR, &error, &size) < 0:
        error = errno
    if error:
        return _fail(wire, TROUBLE_CONNECT, error)
    wire.state = STATE_OPEN
    return TURN_DONE


cdef void close_wire(Wire* wire) noexcept nogil:
    if wire.sock >= 0:
        close(wire.sock)
    wire.sock = -1
    wire.state = STATE_CLOSED
    wire.generation += 1


cdef void free_wire(Wire* wire) noexcept nogil:
    close_wire(wire)
    free(wire.held)
    free(wire.location)
    wire.held = wire.location = NULL


# -- sending ---------------------------------------------------------------------------------------

cdef void ask_wire(Wire* wire, const Request* request) noexcept nogil:
    wire.request = request
    begin_answer(&wire.answer)
    wire.sent = 0
    wire.head_bytes = <int64_t>(request.head.length + request.tail.length)
    if request.located:
        wire.head_bytes += <int64_t>wire.location_bytes
    wire.allowed = request.piece_bytes if request.piece_bytes else request.length
    wire.answered = False
    wire.held_bytes = 0
    wire.verdict = wire.trouble = TROUBLE_NONE
    wire.error = 0


cdef int64_t _goal(const Wire* wire) noexcept nogil:
    return wire.head_bytes + min(wire.allowed, wire.request.length)


cdef bint pushing(const Wire* wire) noexcept nogil:
    return wire.sent < _goal(wire)


cdef size_t _gather(Wire* wire, int64_t most, iovec* pieces) noexcept nogil:
    # What of head and body comes next, at most so many bytes: the number of pieces, at most four.
    cdef const Request* request = wire.request
    cdef Bytes parts[4]
    cdef size_t skip = <size_t>wire.sent
    cdef size_t count = 0
    cdef size_t length
    cdef int i
    parts[0] = request.head
    parts[1].start = wire.location
    parts[1].length = wire.location_bytes if request.located else 0
    parts[2] = request.tail
    parts[3] = request.body
    for i in range(4):
        if skip >= parts[i].length:
            skip -= parts[i].length
            continue
        length = min(parts[i].length - skip, <size_t>most)
        if length == 0:
            break
        pieces[count].iov_base = <void*>(parts[i].start + skip)
        pieces[count].iov_len = length
        count += 1
        most -= <int64_t>length
        skip = 0
    return count


cdef ssize_t _send_memory(Wire* wire, int64_t most) noexcept nogil:
    cdef iovec pieces[4]
    cdef msghdr message
    cdef int flags = MSG_DONTWAIT | MSG_NOSIGNAL
    if wire.request.file >= 0 and wire.allowed > 0 and wire.request.length > 0:
        flags |= MSG_MORE            # the file's first bytes go in the same segment
    memset(&message, 0, sizeof(message))
    message.msg_iov = pieces
    message.msg_iovlen = _gather(wire, most, pieces)
    return sendmsg(wire.sock, &message, flags)


cdef ssize_t _send_file(Wire* wire, int64_t most) noexcept nogil:
    cdef const Request* request = wire.request
    cdef int64_t at = (request.start + wire.sent - wire.head_bytes) % request.file_size
    return sendfile(wire.sock, request.file, &at, <size_t>min(most, request.file_size - at))


cdef int _not_sent(Wire* wire, ssize_t sent, bint of_file) noexcept nogil:
    # A Turn; errno says why where `sent` is not 0.
    if sent == 0:
        return _fail(wire, TROUBLE_FILE, EIO)        # the file was cut
    if errno == EAGAIN:
        return TURN_BLOCKED
    if not of_file or errno == EPIPE or errno == ECONNRESET or errno == ETIMEDOUT:
        return _fail(wire, TROUBLE_RESET, errno)
    return _fail(wire, TROUBLE_FILE, errno)


cdef int push_wire(Wire* wire, Hands* hands) noexcept nogil:
    cdef int64_t goal = _goal(wire)
    cdef int64_t budget = TURN_BYTES
    cdef int64_t before
    cdef bint of_file
    cdef ssize_t n
    while wire.sent < goal:
        if budget <= 0:
            return TURN_UNDONE
        of_file = wire.sent >= wire.head_bytes and wire.request.file >= 0
        if of_file:
            n = _send_file(wire, min(goal - wire.sent, budget))
        elif wire.request.file >= 0:
            n = _send_memory(wire, wire.head_bytes - wire.sent)
        else:
            n = _send_memory(wire, goal - wire.sent)
        if n <= 0:
            if n < 0 and errno == EINTR:
                continue
            return _not_sent(wire, n, of_file)
        before = max(wire.sent, wire.head_bytes)
        wire.sent += n
        budget -= n
        wire.moved += n
        if wire.sent > before:
            store_i64(&hands.sent, hands.sent + wire.sent - before)
    return TURN_DONE


# -- reading ---------------------------------------------------------------------------------------

cdef void _hear(Hands* hands, const unsigned char* text, size_t length) noexcept nogil:
    # What is told of the first failure.
    if not hands.heard and length:
        hands.heard_bytes = min(length, <size_t>HEARD_BYTES_MAX)
        memcpy(hands.heard_text, text, hands.heard_bytes)


cdef int _hold(Wire* wire, const unsigned char* data, size_t length) noexcept nogil:
    if wire.held == NULL:
        wire.held = <unsigned char*>malloc(HEAD_BYTES_MAX)
        if wire.held == NULL:
            return _fail(wire, TROUBLE_LOCAL, ENOMEM)
    memcpy(wire.held, data, length)
    wire.held_bytes = length
    return TURN_BLOCKED


cdef int _keep_location(Wire* wire) noexcept nogil:
    # 0, or a trouble
    cdef Bytes kept
    cdef Bytes base
    base.start = wire.location
    base.length = wire.location_bytes if wire.request.located else 0
    kept = resolve(wire.answer.location, wire.request.target, base)
    if kept.start == NULL:
        return TROUBLE_LOCATION
    free(wire.location)
    wire.location = <unsigned char*>kept.start
    wire.location_bytes = kept.length
    return TROUBLE_NONE


cdef int _judge(Wire* wire) noexcept nogil:
    cdef const Request* request = wire.request
    if wire.sent < wire.head_bytes + request.length:
        return TROUBLE_EARLY
    if wire.answer.status != request.wanted:
        return TROUBLE_STATUS
    if request.offset >= 0 and wire.answer.offset != request.offset:
        return TROUBLE_OFFSET
    return _keep_location(wire) if request.keeps_location else TROUBLE_NONE


cdef ssize_t _read_heads(Wire* wire, Hands* hands, const unsigned char* data,
                         size_t length) noexcept nogil:
    # How many bytes are heads, as far as they are whole; -1 for a trouble.
    cdef size_t at = 0
    cdef ssize_t n
    while wire.answer.phase == PHASE_HEAD and at < length:
        n = take_head(&wire.answer, data + at, length - at, wire.request.bodiless)
        if n == 0:
            break
        if n < 0:
            _hear(hands, data + at, length - at)
            _fail(wire, TROUBLE_ANSWER, 0)
            return -1
        if wire.answer.status >= 200:
            wire.verdict = _judge(wire)
            if wire.verdict != TROUBLE_NONE:
                _hear(hands, data + at, <size_t>n)
            if wire.verdict == TROUBLE_EARLY:
                _fail(wire, TROUBLE_EARLY, 0)
                return -1
        at += <size_t>n
    return <ssize_t>at


cdef int _digest(Wire* wire, Hands* hands, size_t length) noexcept nogil:
    # A Turn, after the first bytes of the buffer.
    cdef unsigned char* data = hands.buffer
    cdef int64_t body = 0
    cdef ssize_t n
    cdef ssize_t at = _read_heads(wire, hands, data, length)
    wire.held_bytes = 0
    if at < 0:
        return TURN_FAILED
    if wire.answer.phase == PHASE_HEAD:
        return _hold(wire, data + at, length - <size_t>at)
    n = take_body(&wire.answer, data + at, length - <size_t>at, &body)
    if n < 0:
        _hear(hands, data, length)
        return _fail(wire, TROUBLE_ANSWER, 0)
    store_i64(&hands.received, hands.received + body)
    if wire.answer.phase != PHASE_WHOLE:
        return TURN_BLOCKED
    if <size_t>(at + n) < length:
        wire.answer.closes = True        # nobody asked for what follows
    return TURN_DONE


cdef bint _in_bulk(const Wire* wire) noexcept nogil:
    if wire.answer.phase == PHASE_CHUNKS:
        return wire.answer.chunk == CHUNK_DATA and wire.answer.left >= BULK_BYTES
    return wire.answer.phase == PHASE_LENGTH and wire.answer.left >= BULK_BYTES


cdef void _set_low_water(Wire* wire, bint raised) noexcept nogil:
    # A trickle of segments would wake us for each.
    cdef int wanted = BULK_BYTES if raised else 1
    if wire.waking != raised:
        setsockopt(wire.sock, SOL_SOCKET, SO_RCVLOWAT, &wanted, sizeof(wanted))
        wire.waking = raised


cdef ssize_t _drop_bulk(Wire* wire, Hands* hands, size_t most) noexcept nogil:
    # MSG_TRUNC drops the bytes of a TCP stream without copying them; as recv.
    cdef ssize_t n = recv(wire.sock, NULL, most, MSG_DONTWAIT | MSG_TRUNC)
    if n > 0:
        drop_body(&wire.answer, n)
        store_i64(&hands.received, hands.received + n)
    return n


cdef int _ended(Wire* wire, Hands* hands) noexcept nogil:
    # A Turn, after the end of the stream.
    wire.answer.closes = True
    if wire.answer.phase == PHASE_TO_END:
        wire.answer.phase = PHASE_WHOLE
        return TURN_DONE
    _hear(hands, wire.held, wire.held_bytes)
    return _fail(wire, TROUBLE_CLOSED, 0)


cdef int _not_read(Wire* wire, Hands* hands, ssize_t got) noexcept nogil:
    # A Turn; errno says why where `got` is not 0.
    if got == 0:
        return _ended(wire, hands)
    if errno == EAGAIN:
        return TURN_BLOCKED
    _hear(hands, wire.held, wire.held_bytes)
    return _fail(wire, TROUBLE_RESET, errno)


cdef int _pull(Wire* wire, Hands* hands) noexcept nogil:
    cdef int64_t budget = TURN_BYTES
    cdef size_t asked
    cdef ssize_t n
    cdef int turn
    while budget > 0:
        if hands.by_tcp and _in_bulk(wire):
            asked = <size_t>min(budget, wire.answer.left)
            n = _drop_bulk(wire, hands, asked)
            turn = TURN_DONE if wire.answer.phase == PHASE_WHOLE else TURN_BLOCKED
        else:
            asked = SPARE_BYTES
            if wire.held_bytes:
                memcpy(hands.buffer, wire.held, wire.held_bytes)
            n = recv(wire.sock, hands.buffer + wire.held_bytes, asked, MSG_DONTWAIT)
            turn = TURN_BLOCKED
            if n > 0:
                turn = _digest(wire, hands, wire.held_bytes + <size_t>n)
        if n < 0 and errno == EINTR:
            continue
        if n <= 0:
            return _not_read(wire, hands, n)
        wire.answered = True
        wire.moved += n
        budget -= n
        # Fewer bytes than asked for were all there was, and epoll says when there is more.
        if turn != TURN_BLOCKED or (<size_t>n < asked and not wire.hung_up):
            return turn
    return TURN_UNDONE


cdef int pull_wire(Wire* wire, Hands* hands) noexcept nogil:
    cdef int turn = _pull(wire, hands)
    if turn != TURN_UNDONE and hands.by_tcp:
        _set_low_water(wire, turn == TURN_BLOCKED and _in_bulk(wire))
    return turn
