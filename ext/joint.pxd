"""One fsync of a directory for all who wait for one.

An fsync that begins after a name was made makes that name durable, whoever asked for it. So who
comes while one runs waits for the next, which one of those who wait makes for all of them.
"""

from libc.stdint cimport uint64_t

from fileloft_fast.dataplane.linux cimport pthread_cond_t, pthread_mutex_t


cdef enum:
    JOINT_DIRECTORIES = 8        # that are synced at one time; further ones are synced alone

ctypedef struct Course:          # of one directory
    int directory
    int users                    # threads in here; 0: free for another directory
    bint running
    uint64_t begun               # fsyncs, ever
    uint64_t ended
    uint64_t failed              # the last one that failed
    int status                   # of that one
    pthread_cond_t even          # who waits for an fsync of an even number, or an odd one
    pthread_cond_t odd

ctypedef struct Joint:
    pthread_mutex_t mutex
    Course courses[JOINT_DIRECTORIES]

cdef void open_joint(Joint* joint) noexcept nogil
cdef void close_joint(Joint* joint) noexcept nogil

# 0 or -errno, when an fsync is over that began after the call. One that fails has failed for all
# who waited for it, and for who came while it ran, although the kernel tells each error once.
cdef int sync_directory(Joint* joint, int directory) noexcept nogil
