"""CRC-32 (zlib) and CRC-32C (Castagnoli): running values, as zlib.crc32 takes and gives."""

from libc.stdint cimport uint32_t


cdef uint32_t crc32_update(uint32_t value, const unsigned char* data,
                           size_t length) noexcept nogil
cdef uint32_t crc32c_update(uint32_t value, const unsigned char* data,
                            size_t length) noexcept nogil
