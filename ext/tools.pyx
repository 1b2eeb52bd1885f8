"""Tools of a transfer thread; see tools.pxd."""

from libc.errno cimport ENOMEM
from libc.stdlib cimport free

from fileloft_fast.dataplane.linux cimport (
    aligned_alloc, F_GETPIPE_SZ, F_SETPIPE_SZ, O_CLOEXEC, O_NONBLOCK, close, fcntl, pipe2,
)
from fileloft_fast.dataplane.mate cimport close_mate, open_mate


cdef enum:
    PIPE_BYTES = 1024 * 1024
    # A user without privileges gets 64 pipes of 1 MiB, then some of 8 KiB (pipe-user-pages-soft),
    # and splice through those is slower than recv and pwrite.
    PIPE_BYTES_MIN = 64 * 1024
    PAGE_BYTES = 4096


cdef void _close_pipe(Tools* tools) noexcept nogil:
    if tools.pipe_bytes:
        close(tools.pipe_out)
        close(tools.pipe_in)
        tools.pipe_bytes = 0


cdef void renew_pipe(Tools* tools) noexcept nogil:
    cdef int ends[2]
    cdef int size
    _close_pipe(tools)
    if pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0:
        return
    fcntl(ends[1], F_SETPIPE_SZ, <int>PIPE_BYTES)
    size = fcntl(ends[1], F_GETPIPE_SZ)
    tools.pipe_out = ends[0]
    tools.pipe_in = ends[1]
    tools.pipe_bytes = <size_t>max(size, 1)
    if size < PIPE_BYTES_MIN:
        _close_pipe(tools)


cdef void open_tools(Tools* tools) noexcept nogil:
    tools.pipe_bytes = 0
    tools.buffer = NULL
    open_mate(&tools.mate)
    renew_pipe(tools)


cdef int need_buffer(Tools* tools) noexcept nogil:
    if tools.buffer == NULL:
        tools.buffer = <unsigned char*>aligned_alloc(PAGE_BYTES, BUFFER_BYTES)
    return -ENOMEM if tools.buffer == NULL else 0


cdef void close_tools(Tools* tools) noexcept nogil:
    close_mate(&tools.mate)
    _close_pipe(tools)
    free(tools.buffer)
    tools.buffer = NULL
