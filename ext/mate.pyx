"""The second thread of a transfer thread; see mate.pxd."""

from libc.string cimport memset

from fileloft_fast.dataplane.digest cimport Hash
from fileloft_fast.dataplane.files cimport Bytes
from fileloft_fast.dataplane.jobs cimport start_thread
from fileloft_fast.dataplane.linux cimport (
    pthread_cond_destroy, pthread_cond_init, pthread_cond_signal, pthread_cond_wait, pthread_join,
    pthread_mutex_destroy, pthread_mutex_init, pthread_mutex_lock, pthread_mutex_unlock,
)


cdef void _wait(Mate* mate) noexcept nogil:
    mate.waiting = True
    pthread_cond_wait(&mate.changed, &mate.mutex)


cdef void _tell(Mate* mate) noexcept nogil:
    if mate.waiting:
        mate.waiting = False
        pthread_cond_signal(&mate.changed)


cdef void* _hash(void* argument) noexcept nogil:
    cdef Mate* mate = <Mate*>argument
    cdef Bytes piece
    cdef Hash* hash
    pthread_mutex_lock(&mate.mutex)
    while True:
        while mate.count == 0 and not mate.stopping:
            _wait(mate)
        if mate.count == 0:
            break
        piece = mate.pieces[mate.first]
        hash = mate.hash
        pthread_mutex_unlock(&mate.mutex)
        hash.absorb(hash, piece.start, piece.length)
        pthread_mutex_lock(&mate.mutex)
        mate.first = (mate.first + 1) % PIECES
        mate.count -= 1
        _tell(mate)
    pthread_mutex_unlock(&mate.mutex)
    return NULL


cdef void open_mate(Mate* mate) noexcept nogil:
    memset(mate, 0, sizeof(Mate))
    pthread_mutex_init(&mate.mutex, NULL)
    pthread_cond_init(&mate.changed, NULL)


cdef int await_room(Mate* mate) noexcept nogil:
    cdef int index
    pthread_mutex_lock(&mate.mutex)
    while mate.count == PIECES:
        _wait(mate)
    index = (mate.first + mate.count) % PIECES
    pthread_mutex_unlock(&mate.mutex)
    return index


cdef bint busy(Mate* mate) noexcept nogil:
    cdef bint answer
    pthread_mutex_lock(&mate.mutex)
    answer = mate.count > 0
    pthread_mutex_unlock(&mate.mutex)
    return answer


cdef bint hand_over(Mate* mate, Hash* hash, const unsigned char* start,
                    size_t length) noexcept nogil:
    # The caller has a free piece from await_room, and `hash` stays the same until `settle`.
    cdef Bytes* piece
    if not mate.started:
        mate.started = start_thread(&mate.thread, b"fl-digest", _hash, mate) == 0
        if not mate.started:
            return False
    pthread_mutex_lock(&mate.mutex)
    mate.hash = hash
    piece = &mate.pieces[(mate.first + mate.count) % PIECES]
    piece.start = start
    piece.length = length
    mate.count += 1
    _tell(mate)
    pthread_mutex_unlock(&mate.mutex)
    return True


cdef void settle(Mate* mate) noexcept nogil:
    pthread_mutex_lock(&mate.mutex)
    while mate.count > 0:
        _wait(mate)
    pthread_mutex_unlock(&mate.mutex)


cdef void close_mate(Mate* mate) noexcept nogil:
    if mate.started:
        pthread_mutex_lock(&mate.mutex)
        mate.stopping = True
        _tell(mate)
        pthread_mutex_unlock(&mate.mutex)
        pthread_join(mate.thread, NULL)
    pthread_cond_destroy(&mate.changed)
    pthread_mutex_destroy(&mate.mutex)
