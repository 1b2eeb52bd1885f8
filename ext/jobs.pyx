"""Jobs, lanes and completions; see jobs.pxd for the contracts."""

from libc.errno cimport EINTR, errno
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from fileloft_fast.dataplane.atomics cimport cas_ptr, load_ptr, swap_ptr
from fileloft_fast.dataplane.linux cimport (
    EFD_CLOEXEC, EFD_NONBLOCK, SIG_SETMASK, close, eventfd, pthread_attr_destroy, pthread_attr_init,
    pthread_attr_setstacksize, pthread_attr_t, pthread_cond_broadcast, pthread_cond_destroy,
    pthread_cond_init, pthread_cond_signal, pthread_cond_wait, pthread_create, pthread_join,
    pthread_mutex_destroy, pthread_mutex_init, pthread_mutex_lock, pthread_mutex_unlock,
    pthread_setname_np, pthread_sigmask, read, sigfillset, sigset_t, write,
)


cdef enum:
    JOBS_PER_BLOCK = 64
    BLOCK_HEADER = 64            # keeps jobs on cache lines of their own block
    STACK_BYTES = 256 * 1024     # kernels hold no large arrays


cdef Job* take_job(Pool* pool) noexcept nogil:
    cdef Job* job
    cdef char* block
    cdef int i
    if pool.free == NULL:
        block = <char*>calloc(1, BLOCK_HEADER + JOBS_PER_BLOCK * pool.job_size)
        if block == NULL:
            return NULL
        (<void**>block)[0] = pool.blocks
        pool.blocks = block
        for i in range(JOBS_PER_BLOCK):
            job = <Job*>(block + BLOCK_HEADER + i * pool.job_size)
            job.next = pool.free
            pool.free = job
    job = pool.free
    pool.free = job.next
    memset(job, 0, pool.job_size)
    return job


cdef void give_job(Pool* pool, Job* job) noexcept nogil:
    job.next = pool.free
    pool.free = job


cdef void close_pool(Pool* pool) noexcept nogil:
    cdef void* block = pool.blocks
    cdef void* following
    while block != NULL:
        following = (<void**>block)[0]
        free(block)
        block = following
    pool.blocks = NULL
    pool.free = NULL


cdef int open_completions(Completions* list) noexcept nogil:
    list.head = NULL
    list.signal = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
    return -errno if list.signal < 0 else 0


cdef void close_completions(Completions* list) noexcept nogil:
    if list.signal >= 0:
        close(list.signal)
        list.signal = -1


cdef void complete(Completions* list, Job* job) noexcept nogil:
    cdef void* head = load_ptr(&list.head)
    cdef uint64_t one = 1
    job.next = <Job*>head
    while not cas_ptr(&list.head, &head, job):
        job.next = <Job*>head
    # Whoever finds the list empty signals; the others' jobs ride along. `job` may be gone by now.
    if head == NULL:
        while write(list.signal, &one, sizeof(one)) < 0 and errno == EINTR:
            pass


cdef Job* drain(Completions* list) noexcept nogil:
    cdef uint64_t count
    cdef Job* newest
    cdef Job* following
    cdef Job* oldest = NULL
    # Signal before list: a job that comes between the two signals again, and none is missed.
    while read(list.signal, &count, sizeof(count)) < 0 and errno == EINTR:
        pass
    newest = <Job*>swap_ptr(&list.head, NULL)
    while newest != NULL:
        following = newest.next
        newest.next = oldest
        oldest = newest
        newest = following
    return oldest


cdef int start_thread(pthread_t* thread, const char* name, void* (*body)(void*) noexcept nogil,
                      void* argument) noexcept nogil:
    cdef pthread_attr_t attributes
    cdef sigset_t everything, before
    cdef int failed
    failed = pthread_attr_init(&attributes)
    if failed:
        return -failed
    pthread_attr_setstacksize(&attributes, STACK_BYTES)
    # A thread inherits the mask: signals belong to Python's main thread, and a SIGPIPE of sendfile
    # must not reach anybody.
    sigfillset(&everything)
    pthread_sigmask(SIG_SETMASK, &everything, &before)
    failed = pthread_create(thread, &attributes, body, argument)
    pthread_sigmask(SIG_SETMASK, &before, NULL)
    pthread_attr_destroy(&attributes)
    if failed:
        return -failed
    pthread_setname_np(thread[0], name)
    return 0


cdef void* _work(void* argument) noexcept nogil:
    cdef Lane* lane = <Lane*>argument
    cdef Job* job
    pthread_mutex_lock(&lane.mutex)
    while True:
        job = lane.first
        if job == NULL:
            if lane.closing:
                break
            lane.active -= 1
            while lane.wakes == 0 and not lane.closing:
                pthread_cond_wait(&lane.work, &lane.mutex)
            lane.wakes -= 1       # who wakes counts the thread as active; closing, nobody counts
            continue
        lane.first = job.next
        if lane.first == NULL:
            lane.last = NULL
        lane.queued -= job.weight
        lane.taken += 1
        pthread_mutex_unlock(&lane.mutex)
        job.run(job)
        complete(lane.completions, job)
        pthread_mutex_lock(&lane.mutex)
    pthread_mutex_unlock(&lane.mutex)
    return NULL


cdef void open_lane(Lane* lane, const char* name, int limit, int depth,
                    Completions* list) noexcept nogil:
    memset(lane, 0, sizeof(Lane))
    lane.name = name
    lane.depth = depth
    lane.limit = min(limit, <int>LANE_THREADS_MAX)
    lane.completions = list
    pthread_mutex_init(&lane.mutex, NULL)
    pthread_cond_init(&lane.work, NULL)


cdef int _engage(Lane* lane, bint* wake) noexcept nogil:
    # One more thread, where there is one: 0 or -errno. `wake`: it is asleep and must be signalled.
    cdef int status
    wake[0] = lane.active < lane.started
    if wake[0]:
        lane.wakes += 1
    elif lane.started < lane.limit:
        status = start_thread(&lane.threads[lane.started], lane.name, _work, lane)
        if status < 0:
            return status
        lane.started += 1
    else:
        return 0
    lane.active += 1
    return 0


cdef int enqueue(Lane* lane, Job* job) noexcept nogil:
    cdef int status = 0
    cdef bint wake = False
    job.next = NULL
    pthread_mutex_lock(&lane.mutex)
    # Two threads that create files in one directory spin on its lock: 0.15 s of CPU for 1,000
    # uploads instead of 0.1, and fewer of them.
    if lane.queued >= lane.depth * lane.active:
        status = _engage(lane, &wake)
    if lane.started == 0:
        pthread_mutex_unlock(&lane.mutex)
        return status
    if lane.last == NULL:
        lane.first = job
    else:
        lane.last.next = job
    lane.last = job
    lane.queued += job.weight
    pthread_mutex_unlock(&lane.mutex)
    if wake:
        pthread_cond_signal(&lane.work)       # unlocked, or the woken thread waits for the mutex
    return 0


cdef bint relieve(Lane* lane) noexcept nogil:
    cdef bint again
    cdef bint wake = False
    pthread_mutex_lock(&lane.mutex)
    if lane.queued > 0 and lane.taken == lane.taken_before:
        _engage(lane, &wake)      # where it fails, the next call tries again
    lane.taken_before = lane.taken
    again = lane.active > 0
    pthread_mutex_unlock(&lane.mutex)
    if wake:
        pthread_cond_signal(&lane.work)
    return again


cdef void close_lane(Lane* lane) noexcept nogil:
    cdef int i
    pthread_mutex_lock(&lane.mutex)
    lane.closing = True
    pthread_cond_broadcast(&lane.work)
    pthread_mutex_unlock(&lane.mutex)
    for i in range(lane.started):
        pthread_join(lane.threads[i], NULL)
    lane.started = 0
    pthread_cond_destroy(&lane.work)
    pthread_mutex_destroy(&lane.mutex)
