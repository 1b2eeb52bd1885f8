"""Requests of a load client's scripts: the Python object, and what its threads read of it."""

cimport cython
from libc.stdint cimport int64_t

from fileloft_fast.dataplane.files cimport Bytes


# Read-only once it is made; what it points to belongs to the Step.
ctypedef struct Request:
    Bytes head               # up to {location}, or all of it
    Bytes tail               # what follows {location}
    Bytes target             # the request's target in `head`, up to {location}
    bint located             # {location} stands between head and tail
    Bytes body               # of memory
    int file                 # -1: none
    int64_t file_size
    int64_t start
    int64_t length           # of the body, of memory or file
    int64_t piece_bytes      # 0: the whole body as fast as it goes
    int64_t interval_ns
    int pace                 # an index that Load gives to each distinct interval
    int wanted
    int64_t offset           # -1: any
    bint keeps_location
    bint bodiless            # a HEAD: its answer has no body


@cython.final
cdef class Step:
    cdef Request request
    cdef bytes head
    cdef bytes body

    cdef int set_head(self, bytes head) except -1                # raises ValueError
    cdef int set_body(self, bytes body, int file, int64_t start, int64_t length) except -1
