"""A second thread for a transfer thread: hashes one piece while the next is received and written.

Pieces are hashed in the order in which they are handed over; between turns the mate has none.
"""

from fileloft_fast.dataplane.digest cimport Hash
from fileloft_fast.dataplane.files cimport Bytes
from fileloft_fast.dataplane.linux cimport pthread_cond_t, pthread_mutex_t, pthread_t


cdef enum:
    PIECES = 4                   # one received, one hashed, two against waits for wake-ups

ctypedef struct Mate:
    pthread_mutex_t mutex
    pthread_cond_t changed       # at most one side waits at a time
    Hash* hash
    Bytes pieces[PIECES]
    int first
    int count                    # pieces that are hashed or wait for it
    bint waiting
    bint stopping
    bint started
    pthread_t thread

cdef void open_mate(Mate* mate) noexcept nogil
cdef int await_room(Mate* mate) noexcept nogil           # the index of a piece that is free
cdef bint busy(Mate* mate) noexcept nogil
cdef bint hand_over(Mate* mate, Hash* hash, const unsigned char* start,
                    size_t length) noexcept nogil        # False: no thread, nothing handed over
cdef void settle(Mate* mate) noexcept nogil              # returns when every piece is hashed
cdef void close_mate(Mate* mate) noexcept nogil
