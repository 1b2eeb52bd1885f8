"""Transfers on the loop's side: from a Python call to a flow, and back to its future."""

cimport cython
from libc.stdint cimport int64_t

from fileloft_fast.dataplane.digest cimport Digest
from fileloft_fast.dataplane.dispatch cimport Dispatcher
from fileloft_fast.dataplane.flows cimport Flow, FlowLane


cdef class Lender(Dispatcher):
    cdef set running             # of Transfer
    cdef FlowLane flows

    cdef Flow* make_flow(self, int sock, int file, int64_t offset, int64_t length,
                         int idle_ms) except NULL
    cdef Transfer start(self, Flow* flow, bytes ahead, Digest digest)


@cython.final
cdef class Transfer:
    cdef readonly object done
    cdef Lender lender
    cdef Flow* flow              # NULL once it is over and the loop thread knows
    cdef Digest digest
    cdef int64_t last_moved
    cdef int last_errno
