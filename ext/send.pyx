"""File to socket: sendfile, after the head with MSG_MORE, so that they share a segment."""

from libc.errno cimport EAGAIN, EINTR, EIO, errno
from libc.stdint cimport int64_t

from fileloft_fast.dataplane.atomics cimport store_i64
from fileloft_fast.dataplane.linux cimport MSG_DONTWAIT, MSG_MORE, MSG_NOSIGNAL, send, sendfile


cdef int _send_head(Flow* flow) noexcept nogil:
    # 0 where all of it is in the socket, else -errno
    cdef int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (MSG_MORE if flow.length else 0)
    cdef ssize_t n
    while flow.ahead_done < flow.ahead.length:
        n = send(flow.sock, flow.ahead.start + flow.ahead_done,
                 flow.ahead.length - flow.ahead_done, flags)
        if n >= 0:
            flow.ahead_done += <size_t>n
        elif errno != EINTR:
            return -errno
    return 0


cdef int _send_body(Flow* flow, int64_t budget) noexcept nogil:
    # 0 where the budget or the body is used up, else -errno. A file that is shorter than the slice
    # (cut since it was measured) is EIO: the head has promised more.
    cdef int64_t at = flow.offset + flow.moved
    cdef ssize_t n
    while budget > 0 and flow.moved < flow.length:
        n = sendfile(flow.sock, flow.file, &at, <size_t>min(budget, flow.length - flow.moved))
        if n > 0:
            budget -= n
            store_i64(&flow.moved, flow.moved + n)
        elif n == 0:
            return -EIO
        elif errno != EINTR:
            return -errno
    return 0


cdef bint send_turn(Flow* flow, Tools* tools, int64_t budget, bint thorough) noexcept nogil:
    cdef int status
    if budget == 0:
        return False
    status = _send_head(flow)
    if status == 0:
        status = _send_body(flow, budget)
    if status < 0 and status != -EAGAIN:
        flow.job.error = -status
        return True
    return status == 0 and flow.moved == flow.length
