"""The plain head of a request, in one pass; see head.pyi for what counts as plain."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memcmp


cdef enum:
    FIELDS_MAX = 100             # http1.limits.MAX_FIELDS: more are for the careful reader
    NAME_BYTES_MAX = 64          # no name that means something here is as long
    LENGTH_DIGITS_MAX = 18       # no need to ask whether it fits into 63 bits
    TARGET_BYTES_MAX = 8192      # http1.limits.MAX_TARGET_BYTES

ctypedef struct Span:
    const unsigned char* start
    Py_ssize_t length

ctypedef struct Plain:
    int method                   # index in METHODS
    Span target
    int count
    Span names[FIELDS_MAX]
    Span values[FIELDS_MAX]

cdef extern from "Python.h":
    str PyUnicode_DecodeLatin1(const char* start, Py_ssize_t length, const char* errors)

cdef tuple METHODS = ("POST", "PATCH", "HEAD", "GET", "DELETE", "OPTIONS")
cdef unsigned char TOKEN[256]    # RFC 9110 section 5.6.2: the lower-case character, or 0
cdef unsigned char TEXT[256]     # section 5.5: whether it may stand in a field's value


cdef void _fill_tables() noexcept:
    cdef int c
    for c in range(256):
        TEXT[c] = c == 9 or (c >= 32 and c != 127)
        TOKEN[c] = 0
    for c in b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz":
        TOKEN[c] = <unsigned char>c
    for c in range(c"A", c"Z" + 1):
        TOKEN[c] = <unsigned char>(c + 32)

_fill_tables()


cdef Py_ssize_t _method(const unsigned char* at, Py_ssize_t left, int* method) noexcept nogil:
    # how many bytes it takes with the space after it, or 0
    cdef const char* names = b"POST \0PATCH \0HEAD \0GET \0DELETE \0OPTIONS \0"
    cdef int index = 0
    cdef Py_ssize_t length
    while names[0] != 0:
        length = 0
        while names[length] != 0:
            length += 1
        if left > length and memcmp(at, names, <size_t>length) == 0:
            method[0] = index
            return length
        names += length + 1
        index += 1
    return 0


cdef Py_ssize_t _line_end(const unsigned char* at, Py_ssize_t left) noexcept nogil:
    # how long the text before CR LF is, or -1: something else ends it
    cdef Py_ssize_t length = 0
    while length < left and TEXT[at[length]]:
        length += 1
    if left - length >= 2 and at[length] == c"\r" and at[length + 1] == c"\n":
        return length
    return -1


cdef bint _request_line(const unsigned char* at, Py_ssize_t length, Plain* head) noexcept nogil:
    cdef Py_ssize_t first = _method(at, length, &head.method)
    cdef Py_ssize_t end = first
    if first == 0 or at[first] != c"/":
        return False
    while end < length and 0x21 <= at[end] <= 0x7E and at[end] != c"#":
        end += 1
    head.target.start = at + first
    head.target.length = end - first
    return (head.target.length <= TARGET_BYTES_MAX and length - end == 9
            and memcmp(at + end, b" HTTP/1.1", 9) == 0)


cdef bint _field(const unsigned char* at, Py_ssize_t length, Span* name,
                 Span* value) noexcept nogil:
    cdef Py_ssize_t end = 0
    while end < length and TOKEN[at[end]]:
        end += 1
    if not 0 < end <= NAME_BYTES_MAX or end == length or at[end] != c":":
        return False
    name.start = at
    name.length = end
    at += end + 1
    length -= end + 1
    while length > 0 and (at[0] == c" " or at[0] == c"\t"):
        at += 1
        length -= 1
    while length > 0 and (at[length - 1] == c" " or at[length - 1] == c"\t"):
        length -= 1
    value.start = at
    value.length = length
    return True


cdef bint _scan(const unsigned char* at, Py_ssize_t left, Plain* head) noexcept nogil:
    cdef Py_ssize_t length = _line_end(at, left)
    if length < 0 or not _request_line(at, length, head):
        return False
    head.count = 0
    while True:
        at += length + 2
        left -= length + 2
        length = _line_end(at, left)
        if length <= 0:
            return length == 0 and left == 2       # the empty line, and nothing after it
        if head.count == FIELDS_MAX or not _field(
            at, length, &head.names[head.count], &head.values[head.count]
        ):
            return False
        head.count += 1


cdef str _lower(Span* name):
    cdef char lower[NAME_BYTES_MAX]
    cdef Py_ssize_t i
    for i in range(name.length):
        lower[i] = <char>TOKEN[name.start[i]]
    return PyUnicode_DecodeLatin1(lower, name.length, NULL)


cdef bint _is_length(str value):
    return 0 < len(value) <= LENGTH_DIGITS_MAX and value.isascii() and value.isdecimal()


def maybe_split_head(bytes data not None):
    """Return method, target and fields of a plain head; see the stub."""
    cdef Plain head
    cdef dict fields = {}
    cdef int i
    cdef const unsigned char* start = <const unsigned char*>PyBytes_AS_STRING(data)
    if not _scan(start, PyBytes_GET_SIZE(data), &head):
        return None
    for i in range(head.count):
        fields[_lower(&head.names[i])] = PyUnicode_DecodeLatin1(
            <const char*>head.values[i].start, head.values[i].length, NULL
        )
    # What is joined, or framed in another way than by a sane length, is for the careful reader.
    if len(fields) != head.count or "transfer-encoding" in fields or "upgrade" in fields:
        return None
    length = fields.get("content-length")
    if length is not None and not _is_length(length):
        return None
    target = PyUnicode_DecodeLatin1(<const char*>head.target.start, head.target.length, NULL)
    return METHODS[head.method], target, fields
