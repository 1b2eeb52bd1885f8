"""CRC-32 and CRC-32C: slicing-by-8 everywhere, the SSE4.2 instruction for CRC-32C where it exists.

Both are reflected, start at and end with all ones inverted. The tables are made at import.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy


cdef extern from * nogil:
    """
    #include <stddef.h>
    #include <stdint.h>
    #include <string.h>

    #if defined(__x86_64__)
    /* One instruction has a latency of three cycles and a throughput of one, so three lanes run
       side by side; fl_shift moves a lane's value over the LANE bytes that follow it. */
    #define FL_LANE 2048
    static uint32_t fl_shift_one[4][256], fl_shift_two[4][256];

    static uint32_t fl_shift(uint32_t table[4][256], uint32_t value) {
        return table[0][value & 255] ^ table[1][value >> 8 & 255]
             ^ table[2][value >> 16 & 255] ^ table[3][value >> 24];
    }

    __attribute__((target("sse4.2")))
    static uint32_t fl_crc32c_run(uint32_t value, const unsigned char *data, size_t length) {
        uint64_t wide = value, word;
        for (; length >= 8; length -= 8, data += 8) {
            memcpy(&word, data, 8);
            wide = __builtin_ia32_crc32di(wide, word);
        }
        value = (uint32_t)wide;
        for (; length; length--) value = __builtin_ia32_crc32qi(value, *data++);
        return value;
    }

    __attribute__((target("sse4.2")))
    static uint32_t fl_crc32c_sse42(uint32_t value, const unsigned char *data, size_t length) {
        for (; length >= 3 * FL_LANE; length -= 3 * FL_LANE, data += 3 * FL_LANE) {
            uint64_t a = value, b = 0, c = 0, word;
            for (size_t at = 0; at < FL_LANE; at += 8) {
                memcpy(&word, data + at, 8);
                a = __builtin_ia32_crc32di(a, word);
                memcpy(&word, data + FL_LANE + at, 8);
                b = __builtin_ia32_crc32di(b, word);
                memcpy(&word, data + 2 * FL_LANE + at, 8);
                c = __builtin_ia32_crc32di(c, word);
            }
            value = fl_shift(fl_shift_two, (uint32_t)a) ^ fl_shift(fl_shift_one, (uint32_t)b)
                  ^ (uint32_t)c;
        }
        return fl_crc32c_run(value, data, length);
    }

    static int fl_crc32c_prepare(void) {
        static unsigned char zeros[2 * FL_LANE];
        if (!__builtin_cpu_supports("sse4.2")) return 0;
        for (int byte = 0; byte < 4; byte++)
            for (uint32_t i = 0; i < 256; i++) {
                fl_shift_one[byte][i] = fl_crc32c_run(i << 8 * byte, zeros, FL_LANE);
                fl_shift_two[byte][i] = fl_crc32c_run(i << 8 * byte, zeros, 2 * FL_LANE);
            }
        return 1;
    }
    #else
    static uint32_t fl_crc32c_sse42(uint32_t value, const unsigned char *data, size_t length) {
        (void)data; (void)length;
        return value;
    }
    static int fl_crc32c_prepare(void) { return 0; }
    #endif

    #if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    #define FL_LITTLE_ENDIAN 1
    #else
    #define FL_LITTLE_ENDIAN 0
    #endif
    """
    const bint FL_LITTLE_ENDIAN
    uint32_t fl_crc32c_sse42(uint32_t value, const unsigned char* data, size_t length)
    bint fl_crc32c_prepare()


cdef enum:
    CRC32_POLYNOMIAL = 0xEDB88320        # reflected 0x04C11DB7
    CRC32C_POLYNOMIAL = 0x82F63B78       # reflected 0x1EDC6F41

cdef uint32_t crc32_tables[8][256]
cdef uint32_t crc32c_tables[8][256]
cdef bint crc32c_instruction


cdef void _fill_tables(uint32_t (*tables)[256], uint32_t polynomial) noexcept nogil:
    cdef uint32_t value
    cdef int i, k
    for i in range(256):
        value = <uint32_t>i
        for _ in range(8):
            value = (value >> 1) ^ (polynomial if value & 1 else 0)
        tables[0][i] = value
    for i in range(256):
        for k in range(1, 8):
            tables[k][i] = (tables[k - 1][i] >> 8) ^ tables[0][tables[k - 1][i] & 255]


cdef uint32_t _slice_by_8(uint32_t (*tables)[256], uint32_t value, const unsigned char* data,
                          size_t length) noexcept nogil:
    cdef uint64_t word
    while FL_LITTLE_ENDIAN and length >= 8:
        memcpy(&word, data, 8)
        word ^= value
        value = (tables[7][word & 255] ^ tables[6][(word >> 8) & 255]
                 ^ tables[5][(word >> 16) & 255] ^ tables[4][(word >> 24) & 255]
                 ^ tables[3][(word >> 32) & 255] ^ tables[2][(word >> 40) & 255]
                 ^ tables[1][(word >> 48) & 255] ^ tables[0][word >> 56])
        data += 8
        length -= 8
    while length:
        value = (value >> 8) ^ tables[0][(value ^ data[0]) & 255]
        data += 1
        length -= 1
    return value


cdef uint32_t crc32_update(uint32_t value, const unsigned char* data,
                           size_t length) noexcept nogil:
    return ~_slice_by_8(crc32_tables, ~value, data, length)


cdef uint32_t crc32c_update(uint32_t value, const unsigned char* data,
                            size_t length) noexcept nogil:
    if crc32c_instruction:
        return ~fl_crc32c_sse42(~value, data, length)
    return ~_slice_by_8(crc32c_tables, ~value, data, length)


_fill_tables(crc32_tables, CRC32_POLYNOMIAL)
_fill_tables(crc32c_tables, CRC32C_POLYNOMIAL)
crc32c_instruction = fl_crc32c_prepare()
