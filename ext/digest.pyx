# cython: boundscheck=False, wraparound=False
# (the only index is &data[0], behind a look at the length)
"""The checksums of tus and of S3: one class, nine algorithms, three sources.

sha1, sha256, sha512 and md5 are libcrypto's (for two of them see sha2.pxd); xxh3-64 and xxh128 are
compiled in from the system's xxhash.h (XXH_INLINE_ALL), since the library is not on every machine
that a wheel goes to; the crcs are ours. Each is compared with a second source at import, and only
what agrees is offered.
"""

import hashlib
import logging

import xxhash as xxhash_package

cimport cython
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free

from fileloft_fast.dataplane.crc cimport crc32_update, crc32c_update, crc64nvme_update
from fileloft_fast.dataplane.sha2 cimport (
    sha2_begin, sha2_finish, sha2_new, sha2_restore, sha2_seen, sha2_state, sha256_update,
    sha512_update,
)


cdef extern from "<openssl/evp.h>" nogil:
    ctypedef struct EVP_MD
    ctypedef struct EVP_MD_CTX
    const EVP_MD* EVP_get_digestbyname(const char* name)
    EVP_MD_CTX* EVP_MD_CTX_new()
    void EVP_MD_CTX_free(EVP_MD_CTX* context)
    int EVP_MD_CTX_copy_ex(EVP_MD_CTX* target, const EVP_MD_CTX* source)
    int EVP_DigestInit_ex(EVP_MD_CTX* context, const EVP_MD* method, void* engine)
    int EVP_DigestUpdate(EVP_MD_CTX* context, const void* data, size_t length)
    int EVP_DigestFinal_ex(EVP_MD_CTX* context, unsigned char* result, unsigned int* length)

cdef extern from * nogil:
    """
    #define XXH_INLINE_ALL
    #include <xxhash.h>
    """
    ctypedef struct XXH3_state_t
    ctypedef struct XXH128_hash_t:
        pass
    ctypedef struct XXH128_canonical_t:
        unsigned char digest[16]
    ctypedef struct XXH64_canonical_t:
        unsigned char digest[8]
    XXH3_state_t* XXH3_createState()
    int XXH3_freeState(XXH3_state_t* state)
    int XXH3_64bits_reset(XXH3_state_t* state)
    int XXH3_64bits_update(XXH3_state_t* state, const void* data, size_t length)
    uint64_t XXH3_64bits_digest(const XXH3_state_t* state)
    int XXH3_128bits_reset(XXH3_state_t* state)
    int XXH3_128bits_update(XXH3_state_t* state, const void* data, size_t length)
    XXH128_hash_t XXH3_128bits_digest(const XXH3_state_t* state)
    void XXH64_canonicalFromHash(XXH64_canonical_t* target, uint64_t hash)
    void XXH128_canonicalFromHash(XXH128_canonical_t* target, XXH128_hash_t hash)


cdef enum:
    GIL_RELEASE_BYTES = 16384     # sha1 takes 10 us here, fifty times the lock's round trip
    SHARED_BYTES = 32768          # the second digest finds them in the nearest cache

cdef dict SIZES = {
    "sha1": 20, "sha256": 32, "sha512": 64, "md5": 16,
    "crc32": 4, "crc32c": 4, "xxh3-64": 8, "xxh128": 16,
    "crc64nvme": 8,
}
# Of S3 alone: tus does not offer it.
cdef tuple UNADVERTISED = ("crc64nvme",)
# Their running state can be kept.
cdef tuple RESTORABLE = ("sha256", "sha512")


# EVP_DigestUpdate and XXH3_*_update fail only for a context that was never initialised.
cdef void _absorb_evp(Hash* hash, const unsigned char* data, size_t length) noexcept nogil:
    EVP_DigestUpdate(<EVP_MD_CTX*>hash.context, data, length)


cdef void _absorb_sha256(Hash* hash, const unsigned char* data, size_t length) noexcept nogil:
    sha256_update(hash.context, data, length)


cdef void _absorb_sha512(Hash* hash, const unsigned char* data, size_t length) noexcept nogil:
    sha512_update(hash.context, data, length)


cdef void _absorb_xxh64(Hash* hash, const unsigned char* data, size_t length) noexcept nogil:
    XXH3_64bits_update(<XXH3_state_t*>hash.context, data, length)


cdef void _absorb_xxh128(Hash* hash, const unsigned char* data, size_t length) noexcept nogil:
    XXH3_128bits_update(<XXH3_state_t*>hash.context, data, length)


cdef void _absorb_crc32(Hash* hash, const unsigned char* data, size_t length) noexcept nogil:
    hash.crc = crc32_update(<uint32_t>hash.crc, data, length)


cdef void _absorb_crc32c(Hash* hash, const unsigned char* data, size_t length) noexcept nogil:
    hash.crc = crc32c_update(<uint32_t>hash.crc, data, length)


cdef void _absorb_crc64nvme(Hash* hash, const unsigned char* data, size_t length) noexcept nogil:
    hash.crc = crc64nvme_update(hash.crc, data, length)


cdef void _absorb_both(Hash* hash, const unsigned char* data, size_t length) noexcept nogil:
    cdef size_t piece
    while length > 0:
        piece = min(length, <size_t>SHARED_BYTES)
        hash.own(hash, data, piece)
        hash.also.absorb(hash.also, data, piece)
        data += piece
        length -= piece


cdef bytes _finish_evp(Hash* hash):
    cdef unsigned char result[64]
    cdef unsigned int length = 0
    cdef EVP_MD_CTX* copy = EVP_MD_CTX_new()
    if copy == NULL:
        raise MemoryError
    if EVP_MD_CTX_copy_ex(copy, <EVP_MD_CTX*>hash.context) == 1:
        EVP_DigestFinal_ex(copy, result, &length)
    EVP_MD_CTX_free(copy)
    if length == 0:
        raise RuntimeError("libcrypto could not finish a checksum")
    return result[:length]


cdef bytes _finish_xxh64(Hash* hash):
    cdef XXH64_canonical_t result
    XXH64_canonicalFromHash(&result, XXH3_64bits_digest(<XXH3_state_t*>hash.context))
    return result.digest[:8]


cdef bytes _finish_xxh128(Hash* hash):
    cdef XXH128_canonical_t result
    XXH128_canonicalFromHash(&result, XXH3_128bits_digest(<XXH3_state_t*>hash.context))
    return result.digest[:16]


cdef int _begin_evp(str algorithm, EVP_MD_CTX* context) except -1:
    cdef const EVP_MD* method = EVP_get_digestbyname(algorithm.encode())
    if method == NULL or EVP_DigestInit_ex(context, method, NULL) != 1:
        raise ValueError(f"libcrypto refuses {algorithm}")
    return 0


cdef int _require_allowed(str algorithm) except -1:
    # The old calls would hash also what a provider (FIPS) does not allow.
    cdef EVP_MD_CTX* context = EVP_MD_CTX_new()
    if context == NULL:
        raise MemoryError
    try:
        _begin_evp(algorithm, context)
    finally:
        EVP_MD_CTX_free(context)
    return 0


@cython.final
@cython.no_gc
cdef class Digest:
    """A running checksum of one algorithm, and of the one that is fed with it.

    Not for two threads at once; while the engine updates it every method raises RuntimeError.
    ``digest()`` may be called repeatedly and does not end the run. Raises ValueError for an unknown
    algorithm and for one that libcrypto refuses (FIPS).
    """

    def __init__(self, str algorithm not None, Digest also=None):
        if self.algorithm is not None:
            raise RuntimeError("a Digest is initialised once")
        if algorithm not in SIZES:
            raise ValueError(f"unknown checksum algorithm {algorithm!r}")
        if also is not None:
            also.require_idle()
        self._open(algorithm)
        self.hash.absorb = self.hash.own
        if also is not None:
            self.also = also
            self.hash.also = &also.hash
            self.hash.absorb = _absorb_both
        self.algorithm = algorithm
        self.reset()

    cdef int _open(self, str algorithm) except -1:
        if algorithm == "crc32":
            self.hash.own = _absorb_crc32
            return 0
        if algorithm == "crc32c":
            self.hash.own = _absorb_crc32c
            return 0
        if algorithm == "crc64nvme":
            self.hash.own = _absorb_crc64nvme
            return 0
        if algorithm == "xxh3-64" or algorithm == "xxh128":
            self.hash.own = _absorb_xxh64 if algorithm == "xxh3-64" else _absorb_xxh128
            self.hash.context = XXH3_createState()
        elif algorithm in RESTORABLE:
            _require_allowed(algorithm)
            self.hash.own = _absorb_sha256 if algorithm == "sha256" else _absorb_sha512
            self.hash.context = sha2_new()
        else:
            self.hash.own = _absorb_evp
            self.hash.context = EVP_MD_CTX_new()
        if self.hash.context == NULL:
            raise MemoryError
        return 0

    def __dealloc__(self):
        if self.hash.own == _absorb_evp:
            EVP_MD_CTX_free(<EVP_MD_CTX*>self.hash.context)
        elif self.hash.own == _absorb_sha256 or self.hash.own == _absorb_sha512:
            free(self.hash.context)
        elif self.hash.context != NULL:
            XXH3_freeState(<XXH3_state_t*>self.hash.context)

    @staticmethod
    def restored(str algorithm not None, bytes state not None, Digest also=None):
        """Return a digest that goes on where another was when it gave *state*."""
        cdef Digest made
        if algorithm not in RESTORABLE:
            raise ValueError(f"no state of {algorithm!r} can be kept")
        made = Digest(algorithm, also)
        sha2_restore(made.hash.context, made.hash.own == _absorb_sha512, state)
        return made

    cdef int require_idle(self) except -1:
        cdef Digest one = self
        while one is not None:
            if one.busy or one.algorithm is None:
                raise RuntimeError("the engine is updating this digest")
            one = one.also
        return 0

    cdef void mark(self, bint busy) noexcept:
        cdef Digest one = self
        while one is not None:
            one.busy = busy
            one = one.also

    def reset(self):
        """Begin anew, as if nothing had been added; what is fed with it goes on."""
        self.require_idle()
        if self.algorithm in RESTORABLE:
            sha2_begin(self.hash.context, self.hash.own == _absorb_sha512)
        elif self.hash.own == _absorb_evp:
            _begin_evp(self.algorithm, <EVP_MD_CTX*>self.hash.context)
        elif self.hash.own == _absorb_xxh64:
            XXH3_64bits_reset(<XXH3_state_t*>self.hash.context)
        elif self.hash.own == _absorb_xxh128:
            XXH3_128bits_reset(<XXH3_state_t*>self.hash.context)
        self.hash.crc = 0

    def update(self, const unsigned char[::1] data not None):
        """Add *data*. Releases the GIL for 16 KiB and more."""
        cdef size_t length = <size_t>data.shape[0]
        self.require_idle()
        if length == 0:
            pass                  # &data[0] of an empty view is not an address
        elif length < GIL_RELEASE_BYTES:
            self.hash.absorb(&self.hash, &data[0], length)
        else:
            self.mark(True)
            with nogil:
                self.hash.absorb(&self.hash, &data[0], length)
            self.mark(False)

    def digest(self):
        """Return the checksum of what was added so far, most significant byte first."""
        self.require_idle()
        if self.algorithm in RESTORABLE:
            return sha2_finish(self.hash.context, self.hash.own == _absorb_sha512)
        if self.hash.own == _absorb_evp:
            return _finish_evp(&self.hash)
        if self.hash.own == _absorb_xxh64:
            return _finish_xxh64(&self.hash)
        if self.hash.own == _absorb_xxh128:
            return _finish_xxh128(&self.hash)
        return int(self.hash.crc).to_bytes(SIZES[self.algorithm], "big")

    cdef int _require_restorable(self) except -1:
        self.require_idle()
        if self.algorithm not in RESTORABLE:
            raise ValueError(f"no state of {self.algorithm!r} can be kept")
        return 0

    @property
    def seen(self):
        """How many bytes there were, those before it was restored included."""
        self._require_restorable()
        return sha2_seen(self.hash.context, self.hash.own == _absorb_sha512)

    def state(self):
        """Return what `restored` goes on from: the same whatever the pieces were."""
        self._require_restorable()
        return sha2_state(self.hash.context, self.hash.own == _absorb_sha512)


def digest_of(str algorithm not None, const unsigned char[::1] data not None):
    """Return the checksum of *data* by a second source: hashlib, the xxhash package, our crcs.

    Releases the GIL for large data. Raises ValueError for an unknown algorithm.
    """
    if algorithm not in SIZES:
        raise ValueError(f"unknown checksum algorithm {algorithm!r}")
    if algorithm == "xxh3-64":
        return xxhash_package.xxh3_64_digest(data)
    if algorithm == "xxh128":
        return xxhash_package.xxh3_128_digest(data)
    if algorithm in CRC_CHECKS:
        running = Digest(algorithm)
        running.update(data)
        return running.digest()
    return hashlib.new(algorithm, data).digest()


def digest_size(str algorithm not None):
    """Return how many bytes a checksum of *algorithm* has; ValueError for an unknown one."""
    try:
        return SIZES[algorithm]
    except KeyError:
        raise ValueError(f"unknown checksum algorithm {algorithm!r}") from None


# The check values of the CRC catalogue, of "123456789".
cdef dict CRC_CHECKS = {
    "crc32": 0xCBF43926, "crc32c": 0xE3069283, "crc64nvme": 0xAE8B14860A799888,
}


def _agrees(str algorithm):
    """Return whether the kernel, fed in uneven pieces, gives what the second source gives.

    Between the pieces a state that can be kept is kept.
    """
    sample = bytes([(i * 7 + i // 251) & 255 for i in range(20011)])
    running = Digest(algorithm)
    for start, end in ((0, 1), (1, 8), (8, 9000), (9000, 20011)):
        if algorithm in RESTORABLE:
            running = Digest.restored(algorithm, running.state())
        running.update(sample[start:end])
    if running.digest() != digest_of(algorithm, sample):
        return False
    if algorithm in CRC_CHECKS:
        value = int.from_bytes(digest_of(algorithm, b"123456789"), "big")
        return value == CRC_CHECKS[algorithm]
    return True


def _working():
    """Return the algorithms that pass the self-test; say which do not and why."""
    passed = []
    for algorithm in SIZES:
        try:
            if not _agrees(algorithm):
                raise RuntimeError("its kernel disagrees with the second source")
        except (ValueError, RuntimeError) as reason:
            logging.getLogger(__name__).warning("checksum %s is not offered: %s", algorithm, reason)
        else:
            passed.append(algorithm)
    return tuple(passed)


ALGORITHMS = tuple([name for name in _working() if name not in UNADVERTISED])
