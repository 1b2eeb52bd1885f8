"""File to socket."""

from libc.stdint cimport int64_t

from fileloft_fast.dataplane.flows cimport Flow
from fileloft_fast.dataplane.tools cimport Tools


# One turn of at most `budget` bytes: whether the flow is over. With a budget of 0 nothing is sent.
cdef bint send_turn(Flow* flow, Tools* tools, int64_t budget, bint thorough) noexcept nogil
