"""Counts every request on the board in one call; see tally.pyi."""

from cpython.buffer cimport (
    PyBUF_FORMAT, PyBUF_ND, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer,
)
from cpython.mem cimport PyMem_Free, PyMem_Malloc
cimport cython


cdef Py_ssize_t _bucket(const double* bounds, Py_ssize_t count, double value) noexcept nogil:
    # the first bound that is not below the value, as bisect_left has it
    cdef Py_ssize_t low = 0
    cdef Py_ssize_t high = count
    cdef Py_ssize_t middle
    while low < high:
        middle = (low + high) // 2
        if bounds[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@cython.final
cdef class Tally:
    """Where the requests of one method are counted."""
    cdef Py_buffer view
    cdef bint viewing
    cdef double* cells
    cdef double* bounds
    cdef Py_ssize_t buckets
    cdef Py_ssize_t requests
    cdef Py_ssize_t seconds
    cdef Py_ssize_t received

    def __cinit__(self, cells, Py_ssize_t requests, Py_ssize_t seconds, tuple bounds not None,
                  Py_ssize_t received):
        cdef Py_ssize_t count, i
        PyObject_GetBuffer(cells, &self.view, PyBUF_FORMAT | PyBUF_ND | PyBUF_WRITABLE)
        self.viewing = True
        if self.view.format != b"d":
            raise ValueError("the cells of a board are doubles")
        self.cells = <double*>self.view.buf
        count = self.view.len // <Py_ssize_t>sizeof(double)
        self.buckets = len(bounds)
        for place in (requests, received, seconds, seconds + self.buckets + 1):
            if not 0 <= place < count:
                raise ValueError(f"no cell {place} on this board")
        self.requests, self.seconds, self.received = requests, seconds, received
        self.bounds = <double*>PyMem_Malloc(<size_t>(self.buckets + 1) * sizeof(double))
        if self.bounds == NULL:
            raise MemoryError
        for i in range(self.buckets):
            self.bounds[i] = bounds[i]

    def __dealloc__(self):
        PyMem_Free(self.bounds)
        if self.viewing:
            PyBuffer_Release(&self.view)

    def count(self, double seconds, double received):
        """Count one; see the stub."""
        cdef double* buckets = self.cells + self.seconds
        self.cells[self.requests] += 1
        self.cells[self.received] += received
        buckets[_bucket(self.bounds, self.buckets, seconds)] += 1
        buckets[self.buckets + 1] += seconds
