"""One fsync of a directory for all who wait for one; see joint.pxd."""

from libc.errno cimport EINTR, errno
from libc.stdint cimport uint64_t
from libc.string cimport memset

from fileloft_fast.dataplane.linux cimport (
    fsync, pthread_cond_broadcast, pthread_cond_destroy, pthread_cond_init, pthread_cond_signal,
    pthread_cond_t, pthread_cond_wait, pthread_mutex_destroy, pthread_mutex_init,
    pthread_mutex_lock, pthread_mutex_unlock,
)


cdef int _fsync(int descriptor) noexcept nogil:
    while fsync(descriptor) < 0:
        if errno != EINTR:
            return -errno
    return 0


cdef void open_joint(Joint* joint) noexcept nogil:
    cdef int i
    memset(joint, 0, sizeof(Joint))
    pthread_mutex_init(&joint.mutex, NULL)
    for i in range(JOINT_DIRECTORIES):
        pthread_cond_init(&joint.courses[i].even, NULL)
        pthread_cond_init(&joint.courses[i].odd, NULL)


cdef void close_joint(Joint* joint) noexcept nogil:
    cdef int i
    for i in range(JOINT_DIRECTORIES):
        pthread_cond_destroy(&joint.courses[i].even)
        pthread_cond_destroy(&joint.courses[i].odd)
    pthread_mutex_destroy(&joint.mutex)


cdef Course* _course_of(Joint* joint, int directory) noexcept nogil:
    # NULL: all of them are taken by other directories
    cdef Course* free = NULL
    cdef int i
    for i in range(JOINT_DIRECTORIES):
        if joint.courses[i].users == 0:
            free = &joint.courses[i]
        elif joint.courses[i].directory == directory:
            return &joint.courses[i]
    if free != NULL:
        free.directory = directory
    return free


cdef pthread_cond_t* _waiting_for(Course* course, uint64_t number) noexcept nogil:
    return &course.odd if number & 1 else &course.even


cdef void _run_one(Joint* joint, Course* course) noexcept nogil:
    # With the mutex, which is given up while the disk works.
    cdef int status
    course.begun += 1
    course.running = True
    pthread_mutex_unlock(&joint.mutex)
    status = _fsync(course.directory)
    pthread_mutex_lock(&joint.mutex)
    course.running = False
    course.ended = course.begun
    if status < 0:
        course.failed = course.ended
        course.status = status
    pthread_cond_broadcast(_waiting_for(course, course.ended))
    pthread_cond_signal(_waiting_for(course, course.ended + 1))       # it makes the next one


cdef int sync_directory(Joint* joint, int directory) noexcept nogil:
    cdef Course* course
    cdef uint64_t wanted, doubted
    cdef int status
    pthread_mutex_lock(&joint.mutex)
    course = _course_of(joint, directory)
    if course == NULL:
        pthread_mutex_unlock(&joint.mutex)
        return _fsync(directory)
    course.users += 1
    wanted = course.begun + 1
    # One that runs may have taken this name along; should it fail, the next would not tell again.
    doubted = course.begun if course.running else wanted
    while course.ended < wanted:
        if course.running:
            pthread_cond_wait(_waiting_for(course, wanted), &joint.mutex)
        else:
            _run_one(joint, course)
    # A later one may have failed by now: nobody is told of a success that is in doubt.
    status = course.status if course.failed >= doubted else 0
    course.users -= 1
    pthread_mutex_unlock(&joint.mutex)
    return status
