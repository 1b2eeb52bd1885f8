"""Running checksums that a thread without the GIL can feed."""

cimport cython
from libc.stdint cimport uint64_t


ctypedef void (*Absorb)(Hash* hash, const unsigned char* data, size_t length) noexcept nogil

# The state of one checksum. Whoever holds Digest.busy may call absorb, and nobody else.
ctypedef struct Hash:
    Absorb absorb
    void* context        # EVP_MD_CTX, XXH3_state_t, or NULL for a crc
    uint64_t crc         # of its low bits where the crc has fewer


@cython.final
cdef class Digest:
    cdef Hash hash
    cdef readonly str algorithm
    cdef const void* method      # EVP_MD, or NULL
    cdef bint busy               # a thread without the GIL updates it

    cdef int require_idle(self) except -1        # raises RuntimeError while it is busy
