"""Answers of an HTTP/1.1 server that is not trusted: where each begins, ends, and what it says."""

from libc.stdint cimport int64_t

from fileloft_fast.dataplane.files cimport Bytes


cdef enum Phase:
    PHASE_HEAD
    PHASE_LENGTH             # `left` bytes of a body
    PHASE_CHUNKS             # `left` bytes of a chunk where `chunk` is CHUNK_DATA
    PHASE_TO_END             # a body up to the end of the connection
    PHASE_WHOLE

cdef enum Chunk:
    CHUNK_FIRST              # the first digit of a size
    CHUNK_SIZE
    CHUNK_EXTENSION
    CHUNK_DATA
    CHUNK_DATA_END
    CHUNK_TRAILER            # a new line of the trailer, which may be the blank one
    CHUNK_TRAILER_LINE

cdef enum:
    HEAD_BYTES_MAX = 16 * 1024

ctypedef struct Answer:
    int phase
    int status
    bint closes              # nothing can come after it on this connection
    int64_t offset           # its Upload-Offset, or -1
    Bytes location           # in what take_head was given; no length: none
    int64_t left
    int chunk
    int framing              # bytes of chunk sizes and trailers since the last byte of data

cdef void begin_answer(Answer* answer) noexcept nogil

# Take one head, an interim one (status below 200, the phase stays) or the final one. How many bytes
# it has; 0: there must be more; -1: that is no head of HTTP/1.
cdef ssize_t take_head(Answer* answer, const unsigned char* data, size_t length,
                       bint bodiless) noexcept nogil

# Take what belongs to the body: how many bytes of `data`, and of them body[0] are the body itself.
# -1: broken chunks.
cdef ssize_t take_body(Answer* answer, const unsigned char* data, size_t length,
                       int64_t* body) noexcept nogil

# `count` bytes of the body, at most `left` where it is known, were dropped elsewhere.
cdef void drop_body(Answer* answer, int64_t count) noexcept nogil
