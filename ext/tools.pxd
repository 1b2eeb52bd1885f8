"""What a thread brings to a turn: a pipe for splice, a buffer for recv, a mate for hashing."""

from fileloft_fast.dataplane.mate cimport Mate


cdef enum:
    BUFFER_BYTES = 1024 * 1024

ctypedef struct Tools:
    int pipe_out
    int pipe_in
    size_t pipe_bytes            # 0: no pipe worth using
    unsigned char* buffer        # BUFFER_BYTES on a page, or NULL until need_buffer
    Mate mate

cdef void open_tools(Tools* tools) noexcept nogil
cdef void renew_pipe(Tools* tools) noexcept nogil        # with whatever was in it
cdef int need_buffer(Tools* tools) noexcept nogil        # 0 or -ENOMEM
cdef void close_tools(Tools* tools) noexcept nogil
