"""CRC-32 (zlib), CRC-32C (Castagnoli), CRC-64/NVME: running values, as of zlib.crc32."""

from libc.stdint cimport uint32_t, uint64_t


cdef uint32_t crc32_update(uint32_t value, const unsigned char* data,
                           size_t length) noexcept nogil
cdef uint32_t crc32c_update(uint32_t value, const unsigned char* data,
                            size_t length) noexcept nogil
cdef uint64_t crc64nvme_update(uint64_t value, const unsigned char* data,
                               size_t length) noexcept nogil
