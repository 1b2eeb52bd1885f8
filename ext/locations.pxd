"""The Location of an answer as a path to ask for next."""

from fileloft_fast.dataplane.files cimport Bytes


# Path and query of `location`, absolute or relative to the target of the request: `target` and
# then `rest`. malloc'ed; NULL: it is none, there is no memory, or it is longer than a head may be.
cdef Bytes resolve(Bytes location, Bytes target, Bytes rest) noexcept nogil
