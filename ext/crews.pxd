"""Threads of a load client: each has its own connections and takes units from what is left."""

from fileloft_fast.dataplane.units cimport Crew, Plan


cdef int open_crew(Crew* crew, Plan* plan, int count) noexcept nogil     # 0 or -errno
cdef void close_crew(Crew* crew) noexcept nogil                          # but for its scores
cdef void* run_crew(void* crew) noexcept nogil
cdef void forgo_crews(Plan* plan, int count) noexcept nogil      # so many threads will not come
