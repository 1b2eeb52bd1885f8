"""Framing of answers (RFC 9112); see answers.pxd.

Lines may end with a bare LF, as section 2.2 allows. What is ambiguous is broken, or ends the
connection after it.
"""

from libc.stdint cimport int64_t
from libc.string cimport memchr, memcmp, memset


cdef extern from "<strings.h>" nogil:
    int strncasecmp(const char* one, const char* other, size_t length)

cdef enum:
    DIGITS_MAX = 18          # of a decimal number that fits
    HEX_BITS_MAX = 56        # of a chunk's size
    FRAMING_MAX = 16 * 1024

# What the fields of one head said, until it is whole.
ctypedef struct Fields:
    int64_t length           # Content-Length, or -1
    bint coded               # there is a Transfer-Encoding
    bint chunked             # and it ends with chunked
    bint close
    bint keep


cdef void begin_answer(Answer* answer) noexcept nogil:
    memset(answer, 0, sizeof(Answer))


# -- heads -----------------------------------------------------------------------------------------

cdef ssize_t _head_length(const unsigned char* data, size_t length) noexcept nogil:
    # with its blank line; 0 where that has not come
    cdef size_t at = 0
    cdef const unsigned char* feed
    while at < length:
        feed = <const unsigned char*>memchr(data + at, 10, length - at)
        if feed == NULL:
            return 0
        at = <size_t>(feed - data) + 1
        if at < length and data[at] == 10:
            return <ssize_t>(at + 1)
        if at + 1 < length and data[at] == 13 and data[at + 1] == 10:
            return <ssize_t>(at + 2)
    return 0


cdef Bytes _trimmed(const unsigned char* start, const unsigned char* end) noexcept nogil:
    cdef Bytes value
    while start < end and (start[0] == 32 or start[0] == 9):
        start += 1
    while end > start and (end[-1] == 32 or end[-1] == 9 or end[-1] == 13):
        end -= 1
    value.start = start
    value.length = <size_t>(end - start)
    return value


cdef bint _is(Bytes text, const char* word, size_t length) noexcept nogil:
    return text.length == length and strncasecmp(<const char*>text.start, word, length) == 0


cdef int64_t _number(Bytes digits) noexcept nogil:
    # or -1
    cdef int64_t number = 0
    cdef size_t i
    if digits.length == 0 or digits.length > DIGITS_MAX:
        return -1
    for i in range(digits.length):
        if not 48 <= digits.start[i] <= 57:
            return -1
        number = number * 10 + digits.start[i] - 48
    return number


cdef Bytes _token(Bytes* rest) noexcept nogil:
    # the first element of a list with commas; it is taken off `rest`
    cdef const unsigned char* end = rest.start + rest.length
    cdef const unsigned char* comma = NULL
    cdef Bytes token
    if rest.length:
        comma = <const unsigned char*>memchr(rest.start, 44, rest.length)
    token = _trimmed(rest.start, end if comma == NULL else comma)
    rest.start = end if comma == NULL else comma + 1
    rest.length = <size_t>(end - rest.start)
    return token


cdef void _read_connection(Fields* fields, Bytes value) noexcept nogil:
    cdef Bytes token
    while value.length:
        token = _token(&value)
        if _is(token, b"close", 5):
            fields.close = True
        elif _is(token, b"keep-alive", 10):
            fields.keep = True


cdef void _read_coding(Fields* fields, Bytes value) noexcept nogil:
    cdef Bytes token
    fields.coded = True
    while value.length:
        token = _token(&value)
        fields.chunked = _is(token, b"chunked", 7)


cdef int _read_length(Fields* fields, Bytes value) noexcept nogil:
    cdef int64_t length = _number(value)
    if length < 0 or (fields.length >= 0 and fields.length != length):
        return -1
    fields.length = length
    return 0


cdef int _read_field(Answer* answer, Fields* fields, Bytes name, Bytes value) noexcept nogil:
    # 0, or -1 for a field that breaks the framing
    if _is(name, b"content-length", 14):
        return _read_length(fields, value)
    if _is(name, b"transfer-encoding", 17):
        _read_coding(fields, value)
    elif _is(name, b"connection", 10):
        _read_connection(fields, value)
    elif _is(name, b"location", 8):
        answer.location = value
    elif _is(name, b"upload-offset", 13):
        answer.offset = _number(value)
    return 0


cdef int _read_fields(Answer* answer, Fields* fields, const unsigned char* at,
                      const unsigned char* end) noexcept nogil:
    # The lines after the first, up to the blank one: 0 or -1. Each ends with LF before `end`.
    cdef const unsigned char* feed
    cdef const unsigned char* colon
    cdef Bytes name
    while at < end:
        feed = <const unsigned char*>memchr(at, 10, <size_t>(end - at))
        if feed == NULL or feed == at or (at[0] == 13 and feed == at + 1):
            return 0
        colon = <const unsigned char*>memchr(at, 58, <size_t>(feed - at))
        if colon == NULL or colon == at or at[0] == 32 or at[0] == 9:
            return -1
        name.start = at
        name.length = <size_t>(colon - at)
        if _read_field(answer, fields, name, _trimmed(colon + 1, feed)) < 0:
            return -1
        at = feed + 1
    return 0


cdef void _set_phase(Answer* answer, const Fields* fields, bint bodiless) noexcept nogil:
    # RFC 9112, 6.3
    if answer.status < 200:
        return
    if bodiless or answer.status == 204 or answer.status == 304:
        answer.phase = PHASE_WHOLE
    elif fields.chunked:
        answer.phase = PHASE_CHUNKS
        answer.chunk = CHUNK_FIRST
        answer.closes = answer.closes or fields.length >= 0
    elif fields.coded or fields.length < 0:
        answer.phase = PHASE_TO_END
        answer.closes = True
    else:
        answer.left = fields.length
        answer.phase = PHASE_LENGTH if fields.length else PHASE_WHOLE


cdef int _read_status(Answer* answer, const unsigned char* data, size_t length) noexcept nogil:
    # "HTTP/1.1 204" and a space or the end of the line: the minor version, or -1
    cdef int i
    cdef int status = 0
    if length < 13 or memcmp(data, b"HTTP/1.", 7) != 0 or not 48 <= data[7] <= 57 or data[8] != 32:
        return -1
    for i in range(9, 12):
        if not 48 <= data[i] <= 57:
            return -1
        status = status * 10 + data[i] - 48
    if data[12] != 32 and data[12] != 13 and data[12] != 10:
        return -1
    # 101 was not asked for, and what follows it would not be HTTP
    if not 100 <= status <= 599 or status == 101:
        return -1
    answer.status = status
    return data[7] - 48


cdef ssize_t take_head(Answer* answer, const unsigned char* data, size_t length,
                       bint bodiless) noexcept nogil:
    cdef Fields fields
    cdef const unsigned char* feed
    cdef int minor
    cdef ssize_t whole
    if memcmp(data, b"HTTP/1.", min(length, <size_t>7)) != 0:
        return -1                     # garbage is told at once and not when the time is up
    whole = _head_length(data, length)
    if whole == 0 or whole > HEAD_BYTES_MAX:
        return -1 if whole or length > HEAD_BYTES_MAX else 0
    begin_answer(answer)
    answer.offset = -1
    minor = _read_status(answer, data, <size_t>whole)
    if minor < 0:
        return -1
    memset(&fields, 0, sizeof(Fields))
    fields.length = -1
    feed = <const unsigned char*>memchr(data, 10, <size_t>whole)
    if _read_fields(answer, &fields, feed + 1, data + whole) < 0:
        return -1
    answer.closes = fields.close or (minor == 0 and not fields.keep)
    _set_phase(answer, &fields, bodiless)
    return whole


# -- bodies ----------------------------------------------------------------------------------------

cdef int _hex(unsigned char digit) noexcept nogil:
    # or -1
    if 48 <= digit <= 57:
        return digit - 48
    digit |= 32
    return digit - 87 if 97 <= digit <= 102 else -1


cdef int _take_size(Answer* answer, unsigned char byte) noexcept nogil:
    # 0, or -1. Spaces are tolerated behind the digits, as old servers pad them.
    cdef int digit = _hex(byte)
    if digit >= 0:
        if answer.chunk == CHUNK_FIRST:
            answer.left = 0
        answer.left = answer.left << 4 | digit
        answer.chunk = CHUNK_SIZE
        return -1 if answer.left >> HEX_BITS_MAX else 0
    if answer.chunk == CHUNK_FIRST:
        return -1
    if byte == 10:
        answer.chunk = CHUNK_DATA if answer.left else CHUNK_TRAILER
    elif byte == 59 or byte == 32 or byte == 9 or byte == 13:
        answer.chunk = CHUNK_EXTENSION
    else:
        return -1
    return 0


cdef int _take_framing(Answer* answer, unsigned char byte) noexcept nogil:
    # One byte that is not data: 0, or -1.
    answer.framing += 1
    if answer.framing > FRAMING_MAX:
        return -1
    if answer.chunk == CHUNK_FIRST or answer.chunk == CHUNK_SIZE:
        return _take_size(answer, byte)
    if answer.chunk == CHUNK_EXTENSION:
        if byte == 10:
            answer.chunk = CHUNK_DATA if answer.left else CHUNK_TRAILER
    elif answer.chunk == CHUNK_DATA_END:
        if byte == 10:
            answer.chunk = CHUNK_FIRST
        elif byte != 13:
            return -1
    elif byte == 10:
        if answer.chunk == CHUNK_TRAILER:
            answer.phase = PHASE_WHOLE
        answer.chunk = CHUNK_TRAILER
    elif byte != 13:
        answer.chunk = CHUNK_TRAILER_LINE
    return 0


cdef void drop_body(Answer* answer, int64_t count) noexcept nogil:
    if answer.phase == PHASE_TO_END:
        return
    answer.left -= count
    if answer.phase == PHASE_CHUNKS:
        answer.framing = 0
    if answer.left == 0:
        if answer.phase == PHASE_CHUNKS:
            answer.chunk = CHUNK_DATA_END
        else:
            answer.phase = PHASE_WHOLE


cdef ssize_t take_body(Answer* answer, const unsigned char* data, size_t length,
                       int64_t* body) noexcept nogil:
    cdef size_t at = 0
    cdef int64_t count
    body[0] = 0
    while at < length and answer.phase != PHASE_WHOLE:
        if answer.phase == PHASE_CHUNKS and answer.chunk != CHUNK_DATA:
            if _take_framing(answer, data[at]) < 0:
                return -1
            at += 1
            continue
        count = <int64_t>(length - at)
        if answer.phase != PHASE_TO_END:
            count = min(count, answer.left)
        drop_body(answer, count)
        body[0] += count
        at += <size_t>count
    return <ssize_t>at
