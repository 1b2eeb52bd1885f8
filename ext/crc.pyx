"""CRC-32, CRC-32C and CRC-64/NVME: slicing-by-8 everywhere, and what x86-64 has instructions for.

CRC-32C has one of SSE4.2, CRC-64/NVME folds by PCLMULQDQ. All are reflected, start at and end with
all ones inverted. The tables are made at import.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy


cdef extern from * nogil:
    """
    #include <stddef.h>
    #include <stdint.h>
    #include <string.h>

    #if defined(__x86_64__)
    #include <wmmintrin.h>

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

    /* x^(D + 63) and x^(D - 1) modulo the polynomial, of D = 512 and of D = 128 bits: what the two
       halves of a block are multiplied by to move it over D bits. One less than D, since a product
       of reflected numbers is one bit further down. */
    static uint64_t fl_fold_four[2], fl_fold_one[2];

    static uint64_t fl_power(uint64_t polynomial, int exponent) {
        uint64_t value = UINT64_C(1) << 63;                     /* reflected: x^0 */
        while (exponent--) value = value >> 1 ^ (value & 1 ? polynomial : 0);
        return value;
    }

    __attribute__((target("pclmul")))
    static __m128i fl_fold(__m128i block, __m128i powers) {
        return _mm_xor_si128(_mm_clmulepi64_si128(block, powers, 0x00),
                             _mm_clmulepi64_si128(block, powers, 0x11));
    }

    /* Fold whole blocks of 64 bytes, one at least, into 16 bytes with the same remainder. Four
       lanes, since a product takes longer than the next one has to wait. */
    __attribute__((target("pclmul")))
    static void fl_crc64_fold(uint64_t value, const unsigned char *data, size_t blocks,
                              unsigned char *folded) {
        const __m128i *at = (const __m128i *)data;
        const __m128i four = _mm_loadu_si128((const __m128i *)fl_fold_four);
        const __m128i one = _mm_loadu_si128((const __m128i *)fl_fold_one);
        __m128i a = _mm_xor_si128(_mm_loadu_si128(at), _mm_cvtsi64_si128((long long)value));
        __m128i b = _mm_loadu_si128(at + 1);
        __m128i c = _mm_loadu_si128(at + 2);
        __m128i d = _mm_loadu_si128(at + 3);
        while (--blocks) {
            at += 4;
            a = _mm_xor_si128(fl_fold(a, four), _mm_loadu_si128(at));
            b = _mm_xor_si128(fl_fold(b, four), _mm_loadu_si128(at + 1));
            c = _mm_xor_si128(fl_fold(c, four), _mm_loadu_si128(at + 2));
            d = _mm_xor_si128(fl_fold(d, four), _mm_loadu_si128(at + 3));
        }
        b = _mm_xor_si128(b, fl_fold(a, one));
        c = _mm_xor_si128(c, fl_fold(b, one));
        d = _mm_xor_si128(d, fl_fold(c, one));
        _mm_storeu_si128((__m128i *)folded, d);
    }

    static int fl_crc64_prepare(uint64_t polynomial) {
        if (!__builtin_cpu_supports("pclmul")) return 0;
        fl_fold_four[0] = fl_power(polynomial, 512 + 63);
        fl_fold_four[1] = fl_power(polynomial, 512 - 1);
        fl_fold_one[0] = fl_power(polynomial, 128 + 63);
        fl_fold_one[1] = fl_power(polynomial, 128 - 1);
        return 1;
    }
    #else
    static uint32_t fl_crc32c_sse42(uint32_t value, const unsigned char *data, size_t length) {
        (void)data; (void)length;
        return value;
    }
    static int fl_crc32c_prepare(void) { return 0; }
    static void fl_crc64_fold(uint64_t value, const unsigned char *data, size_t blocks,
                              unsigned char *folded) {
        (void)value; (void)data; (void)blocks; (void)folded;
    }
    static int fl_crc64_prepare(uint64_t polynomial) { (void)polynomial; return 0; }
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
    void fl_crc64_fold(uint64_t value, const unsigned char* data, size_t blocks,
                       unsigned char* folded)
    bint fl_crc64_prepare(uint64_t polynomial)


cdef enum:
    CRC32_POLYNOMIAL = 0xEDB88320        # reflected 0x04C11DB7
    CRC32C_POLYNOMIAL = 0x82F63B78       # reflected 0x1EDC6F41
    FOLDED_BYTES = 64

cdef uint64_t CRC64_POLYNOMIAL = 0x9A6C9329AC4BC9B5     # reflected 0xAD93D23594C93659

cdef uint32_t crc32_tables[8][256]
cdef uint32_t crc32c_tables[8][256]
cdef uint64_t crc64_tables[8][256]
cdef bint crc32c_instruction
cdef bint crc64_instruction


ctypedef fused word_t:
    uint32_t
    uint64_t


cdef void _fill_tables(word_t (*tables)[256], word_t polynomial) noexcept nogil:
    cdef word_t value
    cdef int i, k
    for i in range(256):
        value = <word_t>i
        for _ in range(8):
            value = (value >> 1) ^ (polynomial if value & 1 else 0)
        tables[0][i] = value
    for i in range(256):
        for k in range(1, 8):
            tables[k][i] = (tables[k - 1][i] >> 8) ^ tables[0][tables[k - 1][i] & 255]


cdef word_t _slice_by_8(word_t (*tables)[256], word_t value, const unsigned char* data,
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


cdef uint64_t crc64nvme_update(uint64_t value, const unsigned char* data,
                               size_t length) noexcept nogil:
    cdef unsigned char folded[16]
    cdef size_t blocks = length // FOLDED_BYTES
    value = ~value
    if crc64_instruction and blocks:
        fl_crc64_fold(value, data, blocks, folded)
        value = _slice_by_8(crc64_tables, 0, folded, 16)
        data += blocks * FOLDED_BYTES
        length -= blocks * FOLDED_BYTES
    return ~_slice_by_8(crc64_tables, value, data, length)


_fill_tables(crc32_tables, CRC32_POLYNOMIAL)
_fill_tables(crc32c_tables, CRC32C_POLYNOMIAL)
_fill_tables(crc64_tables, CRC64_POLYNOMIAL)
crc32c_instruction = fl_crc32c_prepare()
crc64_instruction = fl_crc64_prepare(CRC64_POLYNOMIAL)
