"""Socket to file."""

from libc.stdint cimport int64_t

from fileloft_fast.dataplane.flows cimport Flow
from fileloft_fast.dataplane.tools cimport Tools


# One turn of at most `budget` bytes: whether the flow is over. Reads what is queued to the end
# where it is `thorough`; else it may leave a little to the next event. The prefix comes on top.
cdef bint receive_turn(Flow* flow, Tools* tools, int64_t budget, bint thorough) noexcept nogil
