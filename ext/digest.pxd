"""Running checksums that a thread without the GIL can feed."""

cimport cython
from libc.stdint cimport uint64_t


ctypedef void (*Absorb)(Hash* hash, const unsigned char* data, size_t length) noexcept nogil

# The state of one checksum. Whoever holds Digest.busy may call absorb, and nobody else.
ctypedef struct Hash:
    Absorb absorb        # feeds `also` too
    Absorb own           # this one alone: absorb, where there is no other
    Hash* also
    void* context        # SHA256_CTX, SHA512_CTX, EVP_MD_CTX, XXH3_state_t, or NULL for a crc
    uint64_t crc         # of its low bits where the crc has fewer


@cython.final
@cython.no_gc            # `also` is older: there are no cycles
cdef class Digest:
    cdef Hash hash
    cdef readonly str algorithm
    cdef readonly Digest also
    cdef bint busy               # a thread without the GIL updates it

    cdef int _open(self, str algorithm) except -1
    cdef int _require_restorable(self) except -1
    # Both of what is fed with it too.
    cdef int require_idle(self) except -1        # raises RuntimeError while one is busy
    cdef void mark(self, bint busy) noexcept
