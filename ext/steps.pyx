"""Requests of a load client's scripts; see steps.pxd and the stub."""

import os
import re
import stat

cimport cython
from libc.stdint cimport int64_t

from fileloft_fast.dataplane.files cimport Bytes


cdef object _HEAD = re.compile(rb"[!-~]+ ([!-~]+) HTTP/1\.[01]\r\n(?:[!-9;-~][^\r\n\0]*\r\n)*\r\n")
cdef bytes _LOCATION = b"{location}"
cdef double LONGEST_S = 1e9


cdef Bytes _part(bytes whole, Py_ssize_t first, Py_ssize_t last) noexcept:
    cdef Bytes part
    part.start = <const unsigned char*>whole + first
    part.length = <size_t>(last - first)
    return part


cdef int64_t _regular_size(int file) except -1:
    about = os.fstat(file)
    if not stat.S_ISREG(about.st_mode):
        raise ValueError("the body's file must be a regular one")
    return about.st_size


@cython.final
cdef class Step:
    """One request and the answer that is wanted."""

    def __init__(self, bytes head not None, int wanted, *, bytes body not None=b"", int file=-1,
                 int64_t start=0, int64_t length=0, bint keeps_location=False,
                 int64_t piece_bytes=0, double interval_s=0.0, int64_t offset=-1):
        if self.head is not None:
            raise RuntimeError("a step is made once: a run may read it")
        if not 200 <= wanted <= 599:
            raise ValueError(f"no final status: {wanted}")
        if start < 0 or length < 0 or piece_bytes < 0 or offset < -1:
            raise ValueError("a size or an offset is negative")
        if not 0.0 <= interval_s <= LONGEST_S:
            raise ValueError(f"no interval: {interval_s}")
        if (piece_bytes > 0) != (interval_s > 0.0):
            raise ValueError("piece_bytes and interval_s go together")
        self.request.wanted = wanted
        self.request.offset = offset
        self.request.keeps_location = keeps_location
        self.request.piece_bytes = piece_bytes
        self.request.interval_ns = <int64_t>(interval_s * 1e9)
        self.set_head(head)
        self.set_body(body, file, start, length)

    cdef int set_head(self, bytes head) except -1:
        cdef Py_ssize_t first, last, hole
        matched = _HEAD.fullmatch(head)
        if matched is None:
            raise ValueError("no request head: a request line, fields, and a blank line")
        if head.count(_LOCATION) > 1:
            raise ValueError("{location} stands twice in a head")
        self.head = head
        hole = head.find(_LOCATION)
        first, last = matched.span(1)
        self.request.located = hole >= 0
        self.request.bodiless = head.startswith(b"HEAD ")
        if hole < 0:
            self.request.head = _part(head, 0, len(head))
            self.request.tail = _part(head, 0, 0)
        else:
            self.request.head = _part(head, 0, hole)
            self.request.tail = _part(head, hole + len(_LOCATION), len(head))
            if first <= hole < last:
                last = hole
        self.request.target = _part(head, first, last)
        return 0

    cdef int set_body(self, bytes body, int file, int64_t start, int64_t length) except -1:
        if file < 0 and (start or length):
            raise ValueError("start and length are of a file")
        if file >= 0 and body:
            raise ValueError("a body is of memory or of a file")
        self.body = body
        self.request.file = file
        self.request.body = _part(body, 0, len(body))
        self.request.length = len(body)
        if file >= 0:
            self.request.file_size = _regular_size(file)
            self.request.length = length
            if self.request.file_size == 0 and length > 0:
                raise ValueError("an empty file has no bytes to send")
            self.request.start = start % self.request.file_size if self.request.file_size else 0
        return 0

    @property
    def body_bytes(self):
        return self.request.length
