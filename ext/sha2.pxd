"""sha256 and, where `wide`, sha512 with a state that can be kept.

libcrypto's calls from before EVP: they run the same assembly, and what they keep is written down in
its header. Up to OpenSSL 3.0 nothing gets a state out of EVP.
"""

from libc.stdint cimport uint64_t


cdef void* sha2_new() noexcept nogil             # for either; NULL: no memory. `free` ends it.
cdef void sha2_begin(void* context, bint wide) noexcept nogil
cdef void sha256_update(void* context, const unsigned char* data, size_t length) noexcept nogil
cdef void sha512_update(void* context, const unsigned char* data, size_t length) noexcept nogil
cdef bytes sha2_finish(void* context, bint wide)             # the run may go on
cdef uint64_t sha2_seen(void* context, bint wide) noexcept nogil        # bytes
cdef bytes sha2_state(void* context, bint wide)              # the same whatever the pieces were
# After sha2_begin. Raises ValueError for what is no state of this algorithm.
cdef int sha2_restore(void* context, bint wide, bytes state) except -1
