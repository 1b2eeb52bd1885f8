# cython: boundscheck=False, wraparound=False
# (slices of bytes need neither)
"""sha256 and sha512 whose state can be kept; see sha2.pxd.

A state is never a memory dump: it is read on other machines and by other versions. It holds, most
significant byte first, h, how many bytes there were, what of them waits for a whole block (filled
up with zeros), and a crc32c of all that. Its size says which algorithm and which version it is of.
"""

import struct

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport malloc
from libc.string cimport memcpy

from fileloft_fast.dataplane.crc cimport crc32c_update


cdef extern from * nogil:
    """
    #define OPENSSL_SUPPRESS_DEPRECATED
    #include <openssl/sha.h>
    """
    ctypedef struct SHA256_CTX:
        unsigned int h[8]
        unsigned int Nl, Nh           # bits, low and high
        unsigned int data[16]         # of which num bytes wait for a whole block
        unsigned int num
    ctypedef union Block512:
        unsigned char p[128]
    ctypedef struct SHA512_CTX:
        unsigned long long h[8]
        unsigned long long Nl, Nh
        Block512 u
        unsigned int num
    # They cannot fail.
    int SHA256_Init(SHA256_CTX* context)
    int SHA256_Update(SHA256_CTX* context, const void* data, size_t length)
    int SHA256_Final(unsigned char* result, SHA256_CTX* context)
    int SHA512_Init(SHA512_CTX* context)
    int SHA512_Update(SHA512_CTX* context, const void* data, size_t length)
    int SHA512_Final(unsigned char* result, SHA512_CTX* context)


cdef object NARROW = struct.Struct(">8IQ64s")
cdef object WIDE = struct.Struct(">8QQ128s")
cdef uint64_t MOST_BYTES = <uint64_t>1 << 61     # sha256 counts bits in 64 bits; no file is longer


cdef void* sha2_new() noexcept nogil:
    return malloc(max(sizeof(SHA256_CTX), sizeof(SHA512_CTX)))


cdef void sha2_begin(void* context, bint wide) noexcept nogil:
    if wide:
        SHA512_Init(<SHA512_CTX*>context)
    else:
        SHA256_Init(<SHA256_CTX*>context)


cdef void sha256_update(void* context, const unsigned char* data, size_t length) noexcept nogil:
    SHA256_Update(<SHA256_CTX*>context, data, length)


cdef void sha512_update(void* context, const unsigned char* data, size_t length) noexcept nogil:
    SHA512_Update(<SHA512_CTX*>context, data, length)


cdef bytes sha2_finish(void* context, bint wide):
    cdef unsigned char result[64]
    cdef SHA256_CTX narrow
    cdef SHA512_CTX large
    if wide:
        large = (<SHA512_CTX*>context)[0]
        SHA512_Final(result, &large)
        return result[:64]
    narrow = (<SHA256_CTX*>context)[0]
    SHA256_Final(result, &narrow)
    return result[:32]


cdef bytes _sealed(bytes state):
    cdef uint32_t seal = crc32c_update(0, state, <size_t>len(state))
    return state + int(seal).to_bytes(4, "big")


cdef uint64_t sha2_seen(void* context, bint wide) noexcept nogil:
    cdef SHA256_CTX* narrow = <SHA256_CTX*>context
    cdef SHA512_CTX* large = <SHA512_CTX*>context
    if wide:
        return (large.Nh << 61) | (large.Nl >> 3)
    return (<uint64_t>narrow.Nh << 29) | (narrow.Nl >> 3)


cdef bytes sha2_state(void* context, bint wide):
    cdef SHA256_CTX* narrow = <SHA256_CTX*>context
    cdef SHA512_CTX* large = <SHA512_CTX*>context
    cdef uint64_t count = sha2_seen(context, wide)
    cdef bytes block
    if wide:
        block = (<const unsigned char*>large.u.p)[:large.num]
        return _sealed(WIDE.pack(*[word for word in large.h], count, block))
    block = (<const unsigned char*>narrow.data)[:narrow.num]
    return _sealed(NARROW.pack(*[word for word in narrow.h], count, block))


cdef int sha2_restore(void* context, bint wide, bytes state) except -1:
    cdef SHA256_CTX* narrow = <SHA256_CTX*>context
    cdef SHA512_CTX* large = <SHA512_CTX*>context
    cdef object form = WIDE if wide else NARROW
    cdef Py_ssize_t size = form.size
    cdef uint64_t count
    cdef size_t waiting
    cdef bytes block
    cdef int i
    if len(state) != size + 4 or _sealed(state[:size]) != state:
        raise ValueError("not a whole state: of another size, or damaged")
    *words, count, block = form.unpack(state[:size])
    waiting = count % <size_t>len(block)
    if count >= MOST_BYTES or any(block[<Py_ssize_t>waiting:]):
        raise ValueError("a state that no run can have")
    if wide:
        for i in range(8):
            large.h[i] = words[i]
        large.Nl = count << 3
        large.num = <unsigned int>waiting
        memcpy(large.u.p, <const unsigned char*>block, waiting)
    else:
        for i in range(8):
            narrow.h[i] = words[i]
        narrow.Nl = <unsigned int>(count << 3)
        narrow.Nh = <unsigned int>(count >> 29)
        narrow.num = <unsigned int>waiting
        memcpy(narrow.data, <const unsigned char*>block, waiting)
    return 0
