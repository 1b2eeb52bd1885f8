"""Socket to file: spliced where no checksum is wanted, else through a buffer.

Only bytes that are in the file are counted. What a failed write leaves in the pipe is thrown away
with the pipe, or it would end in another upload.
"""

from libc.errno cimport EAGAIN, EINTR, EINVAL, EIO, errno
from libc.stdint cimport int64_t

from fileloft_fast.dataplane.atomics cimport store_i64
from fileloft_fast.dataplane.files cimport write_all
from fileloft_fast.dataplane.linux cimport (
    MSG_DONTWAIT, SO_RCVLOWAT, SOL_SOCKET, SPLICE_F_MOVE, SPLICE_F_NONBLOCK, SYNC_FILE_RANGE_WRITE,
    read, recv, setsockopt, splice, sync_file_range,
)
from fileloft_fast.dataplane.mate cimport Mate, await_room, busy, hand_over, settle
from fileloft_fast.dataplane.tools cimport BUFFER_BYTES, need_buffer, renew_pipe


cdef enum:
    # Fewer bytes do not wake a thread; 500 trickling connections cost 15 % of a core without it.
    LOW_WATER = 128 * 1024
    LOW_WATER_MIN = 16 * 1024            # below it two system calls cost more than the wake-ups
    PIECE_BYTES = 256 * 1024             # BUFFER_BYTES by PIECES; Cython crashes on a division here
    WRITEBACK_BYTES = 8 * 1024 * 1024    # so that the final fdatasync finds little to do


cdef void _account(Flow* flow, int64_t stored) noexcept nogil:
    # The first range begins with the file (written_back is -offset then; clean pages cost nothing):
    # what an earlier transfer left unwritten must not get its blocks after what follows it, or the
    # size covers zeros after a power cut, and the size is the offset.
    cdef int64_t moved = flow.moved + stored
    store_i64(&flow.moved, moved)
    if flow.writeback and moved - max(flow.written_back, <int64_t>0) >= WRITEBACK_BYTES:
        sync_file_range(flow.file, flow.offset + flow.written_back, moved - flow.written_back,
                        SYNC_FILE_RANGE_WRITE)
        flow.written_back = moved


cdef void _absorb(Flow* flow, Mate* mate, const unsigned char* start, size_t length) noexcept nogil:
    # Bytes of the buffer or of the prefix. A mate is worth its wake-up where more is queued, and
    # what follows a piece of the mate's must not overtake it.
    if length == PIECE_BYTES or busy(mate):
        if hand_over(mate, flow.hash, start, length):
            return
    flow.hash.absorb(flow.hash, start, length)


cdef int _store(Flow* flow, Mate* mate, const unsigned char* start, size_t length) noexcept nogil:
    # 0 or -errno. The checksum sees exactly the bytes that were stored.
    cdef int64_t stored = 0
    cdef int status = write_all(flow.file, start, length, flow.offset + flow.moved, &stored)
    if stored > 0:
        if flow.hash != NULL:
            _absorb(flow, mate, start, <size_t>stored)
        _account(flow, stored)
    return status


cdef ssize_t _copy_some(Flow* flow, Tools* tools, size_t most) noexcept nogil:
    # Bytes stored, 0 at the end of the stream, or -errno.
    cdef ssize_t n
    cdef unsigned char* start
    cdef size_t room = BUFFER_BYTES
    cdef int status = need_buffer(tools)
    if status < 0:
        return status
    start = tools.buffer
    if flow.hash != NULL:
        room = PIECE_BYTES
        start += await_room(&tools.mate) * room
    while True:
        n = recv(flow.sock, start, min(most, room), MSG_DONTWAIT)
        if n >= 0:
            break
        if errno != EINTR:
            return -errno
    status = _store(flow, &tools.mate, start, <size_t>n)
    return status if status < 0 else n


cdef int _store_pipe(Flow* flow, Tools* tools, size_t left) noexcept nogil:
    # For a file that takes no splice: the pipe's bytes go through the buffer. 0 or -errno.
    cdef ssize_t n
    cdef int status = need_buffer(tools)
    while status == 0 and left > 0:
        n = read(tools.pipe_out, tools.buffer, min(left, <size_t>BUFFER_BYTES))
        if n > 0:
            left -= <size_t>n
            status = _store(flow, &tools.mate, tools.buffer, <size_t>n)
        elif n == 0 or errno != EINTR:
            status = -EIO
    if status < 0:
        renew_pipe(tools)
    return status


cdef int _splice_out(Flow* flow, Tools* tools, size_t left) noexcept nogil:
    # Pipe to file: 0 or -errno; the pipe is empty afterwards.
    cdef int64_t at = flow.offset + flow.moved
    cdef ssize_t n
    cdef int failed
    while left > 0:
        n = splice(tools.pipe_out, NULL, flow.file, &at, left, SPLICE_F_MOVE)
        if n > 0:
            left -= <size_t>n
            _account(flow, n)
            continue
        failed = errno if n < 0 else EIO
        if failed == EINVAL:
            flow.by_buffer = True
            return _store_pipe(flow, tools, left)
        if failed != EINTR:
            renew_pipe(tools)
            return -failed
    return 0


cdef ssize_t _splice_some(Flow* flow, Tools* tools, size_t most) noexcept nogil:
    # Bytes stored, 0 at the end of the stream, or -errno.
    cdef ssize_t n
    cdef int status
    while True:
        n = splice(flow.sock, NULL, tools.pipe_in, NULL, min(most, tools.pipe_bytes),
                   SPLICE_F_MOVE | SPLICE_F_NONBLOCK)
        if n >= 0:
            break
        if errno == EINVAL:
            flow.by_buffer = True
            return _copy_some(flow, tools, most)
        if errno != EINTR:
            return -errno
    status = _splice_out(flow, tools, <size_t>n)
    return status if status < 0 else n


cdef void _set_low_water(Flow* flow) noexcept nogil:
    cdef int64_t remaining = flow.length - flow.moved
    cdef int wanted = <int>min(remaining, <int64_t>LOW_WATER)
    if wanted < LOW_WATER_MIN:
        wanted = 1
    if wanted != flow.low_water:
        setsockopt(flow.sock, SOL_SOCKET, SO_RCVLOWAT, &wanted, sizeof(wanted))
        flow.low_water = wanted


cdef bint receive_turn(Flow* flow, Tools* tools, int64_t budget, bint thorough) noexcept nogil:
    cdef bint over = _pump(flow, tools, budget, thorough)
    settle(&tools.mate)
    return over


cdef bint _pump(Flow* flow, Tools* tools, int64_t budget, bint thorough) noexcept nogil:
    cdef size_t most
    cdef ssize_t n
    cdef int status
    if flow.ahead_done < flow.ahead.length:
        status = _store(flow, &tools.mate, flow.ahead.start, flow.ahead.length)
        flow.ahead_done = flow.ahead.length
        if status < 0:
            flow.job.error = -status
            return True
    while flow.moved < flow.length and budget > 0:
        most = <size_t>min(budget, flow.length - flow.moved)
        if flow.hash != NULL or flow.by_buffer or tools.pipe_bytes == 0:
            n = _copy_some(flow, tools, most)
        else:
            n = _splice_some(flow, tools, most)
        if n == -EAGAIN:
            break
        if n <= 0:
            flow.job.error = <int>-n
            return True
        budget -= n
        if n < LOW_WATER and not thorough:
            break                 # most likely all there was: epoll says so cheaper than EAGAIN
    if flow.moved == flow.length:
        return True
    _set_low_water(flow)
    return False
