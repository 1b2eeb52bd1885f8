"""Locations, resolved as far as a client of a tus server needs it; see locations.pxd.

What the server sent goes back as it is, percent-encoded or not: decoding it would make another
name of it.
"""

from libc.stdlib cimport malloc
from libc.string cimport memcpy

from fileloft_fast.dataplane.answers cimport HEAD_BYTES_MAX
from fileloft_fast.dataplane.files cimport Bytes


cdef enum:
    HASH = 35
    SLASH = 47
    COLON = 58
    QUESTION = 63


cdef size_t _find(Bytes text, unsigned char one, unsigned char other) noexcept nogil:
    # The first place of either; the length where there is none.
    cdef size_t at = 0
    while at < text.length and text.start[at] != one and text.start[at] != other:
        at += 1
    return at


cdef Bytes _from(Bytes text, size_t at) noexcept nogil:
    text.start += at
    text.length -= at
    return text


cdef bint _sendable(Bytes text) noexcept nogil:
    # Neither a space nor a control: they would end the request's target.
    cdef size_t i
    for i in range(text.length):
        if text.start[i] <= 32 or text.start[i] == 127:
            return False
    return text.length > 0


cdef bint _begins(Bytes text, unsigned char one, unsigned char other) noexcept nogil:
    return text.length >= 2 and text.start[0] == one and text.start[1] == other


cdef Bytes _path(Bytes location, bint* rooted) noexcept nogil:
    # Without scheme and authority; rooted: it does not depend on the request's target.
    cdef size_t colon = _find(location, COLON, SLASH)
    rooted[0] = True
    if colon < location.length and location.start[colon] == COLON:
        location = _from(location, colon + 1)
    else:
        rooted[0] = _begins(location, SLASH, SLASH)
    if _begins(location, SLASH, SLASH):
        location = _from(location, 2)
        return _from(location, _find(location, SLASH, QUESTION))
    rooted[0] = rooted[0] or (location.length > 0 and location.start[0] == SLASH)
    return location


cdef size_t _folder(Bytes target) noexcept nogil:
    # How many bytes of a path are its folder, with the slash.
    cdef size_t at = _find(target, QUESTION, HASH)
    while at > 0 and target.start[at - 1] != SLASH:
        at -= 1
    return at


cdef unsigned char* _copy(unsigned char* at, Bytes text) noexcept nogil:
    # What follows it. NULL is no source, not even of nothing.
    if text.length:
        memcpy(at, text.start, text.length)
    return at + text.length


cdef Bytes _joined(Bytes one, Bytes two, Bytes three, bint slash) noexcept nogil:
    cdef unsigned char* at
    cdef Bytes whole
    whole.start = NULL
    whole.length = one.length + two.length + three.length + slash
    if whole.length > HEAD_BYTES_MAX:
        return whole
    at = <unsigned char*>malloc(whole.length)
    whole.start = at
    if at == NULL:
        return whole
    if slash:
        at[0] = SLASH
        at += 1
    at = _copy(_copy(at, one), two)
    _copy(at, three)
    return whole


cdef Bytes resolve(Bytes location, Bytes target, Bytes rest) noexcept nogil:
    cdef Bytes none
    cdef Bytes path
    cdef bint rooted = False
    none.start = NULL
    none.length = 0
    location.length = _find(location, HASH, HASH)
    if not _sendable(location):
        return none
    path = _path(location, &rooted)
    if rooted:
        target.length = rest.length = 0
        return _joined(target, rest, path, path.length == 0 or path.start[0] != SLASH)
    if rest.length and _folder(rest):
        rest.length = _folder(rest)
    else:
        rest.length = 0
        target.length = _folder(target)
    if _begins(path, 46, SLASH):
        path = _from(path, 2)
    return _joined(target, rest, path, False)
