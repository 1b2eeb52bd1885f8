"""Jobs, the lanes that run them, and the list on which they come back to the loop thread."""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint64_t

from fileloft_fast.dataplane.linux cimport pthread_cond_t, pthread_mutex_t, pthread_t


ctypedef void (*Kernel)(Job* job) noexcept nogil

# One unit of work. A kernel reads what the loop thread filled in and writes `error` and `result`;
# the Python objects belong to the loop thread alone. Larger jobs begin with a Job.
ctypedef struct Job:
    Job* next            # free list, lane or completion list: never two of them at once
    Kernel run
    PyObject* future     # owned
    PyObject* kept       # owned, or NULL: the objects whose memory the kernel reads
    int outcome          # how the loop thread makes a Python value of it
    int weight           # 1, and 1 more for each page that it writes
    int error            # an errno, 0 where it succeeded
    int64_t result

# Where jobs come from. Loop thread only. Nothing is given back before the pool is closed, so that a
# thread that looks at a job too late reads old values and not freed memory.
ctypedef struct Pool:
    size_t job_size
    Job* free
    void* blocks

cdef Job* take_job(Pool* pool) noexcept nogil               # zeroed; NULL: no memory
cdef void give_job(Pool* pool, Job* job) noexcept nogil
cdef void close_pool(Pool* pool) noexcept nogil

# Finished jobs, from any thread to the loop thread.
ctypedef struct Completions:
    void* head           # of Job; a stack, so newest first
    int signal           # eventfd, readable while the list may hold something

cdef int open_completions(Completions* list) noexcept nogil         # 0 or -errno
cdef void close_completions(Completions* list) noexcept nogil
cdef void complete(Completions* list, Job* job) noexcept nogil      # any thread
cdef Job* drain(Completions* list) noexcept nogil                   # oldest first, NULL: none

cdef enum:
    LANE_THREADS_MAX = 64

# A queue and its threads. A thread that runs takes jobs until none is left; a further one is woken
# or started only where `depth` waits for each that runs, or by `relieve`.
ctypedef struct Lane:
    pthread_mutex_t mutex
    pthread_cond_t work
    Job* first
    Job* last
    int queued           # weight of what waits
    int depth            # 0: every job wakes a thread
    int active           # threads that run, or were told to
    int wakes            # of those: told to, and still asleep
    int started
    int limit
    uint64_t taken       # jobs, ever
    uint64_t taken_before        # at the last `relieve`
    bint closing
    const char* name
    Completions* completions
    pthread_t threads[LANE_THREADS_MAX]

cdef void open_lane(Lane* lane, const char* name, int limit, int depth,
                    Completions* list) noexcept nogil
cdef int enqueue(Lane* lane, Job* job) noexcept nogil                # 0 or -errno
cdef void close_lane(Lane* lane) noexcept nogil                     # finishes what is queued; joins

# To be called now and then while it returns True: one more thread, where work waits and no job was
# taken since the last call, so that a thread which waits for a disk stalls nobody for long.
cdef bint relieve(Lane* lane) noexcept nogil

cdef int start_thread(pthread_t* thread, const char* name, void* (*body)(void*) noexcept nogil,
                      void* argument) noexcept nogil                # 0 or -errno
