"""What the engine uses of Linux and pthreads. Declarations only; every call is nogil."""

from libc.stdint cimport int64_t, uint32_t, uint64_t


cdef extern from "<errno.h>" nogil:
    int ECANCELED            # libc.errno lacks it

cdef extern from "<fcntl.h>" nogil:
    int AT_FDCWD
    int O_CLOEXEC
    int O_CREAT
    int O_EXCL
    int O_NOFOLLOW
    int O_NONBLOCK
    int O_RDONLY
    int O_RDWR
    int O_TRUNC
    int O_WRONLY
    int F_SETPIPE_SZ
    int F_GETPIPE_SZ
    int FALLOC_FL_KEEP_SIZE
    int FALLOC_FL_PUNCH_HOLE
    unsigned int SPLICE_F_MOVE
    unsigned int SPLICE_F_NONBLOCK
    unsigned int SYNC_FILE_RANGE_WRITE
    int openat(int directory, const char* name, int flags, ...)
    int fcntl(int descriptor, int command, ...)
    ssize_t splice(int source, int64_t* source_at, int target, int64_t* target_at,
                   size_t length, unsigned int flags)
    int fallocate(int descriptor, int mode, int64_t offset, int64_t length)
    int sync_file_range(int descriptor, int64_t offset, int64_t length, unsigned int flags)

cdef extern from "<stdlib.h>" nogil:
    void* aligned_alloc(size_t alignment, size_t length)      # libc.stdlib lacks it

cdef extern from "<string.h>" nogil:
    void* memmem(const void* start, size_t length, const void* needle, size_t needle_length)

cdef extern from "<unistd.h>" nogil:
    int close(int descriptor)
    ssize_t read(int descriptor, void* buffer, size_t length)
    ssize_t write(int descriptor, const void* buffer, size_t length)
    ssize_t pread(int descriptor, void* buffer, size_t length, int64_t offset)
    ssize_t pwrite(int descriptor, const void* buffer, size_t length, int64_t offset)
    int pipe2(int* ends, int flags)
    int fsync(int descriptor)
    int fdatasync(int descriptor)
    int ftruncate(int descriptor, int64_t length)
    int unlinkat(int directory, const char* name, int flags)
    long syscall(long number, ...)
    ssize_t copy_file_range(int source, int64_t* source_at, int target, int64_t* target_at,
                            size_t length, unsigned int flags)

cdef extern from "<sys/syscall.h>" nogil:
    long SYS_getdents64

cdef extern from "<dirent.h>" nogil:
    int DT_DIR

cdef extern from "<stdio.h>" nogil:
    int renameat(int old_directory, const char* old_name, int new_directory, const char* new_name)

cdef extern from "<sys/stat.h>" nogil:
    ctypedef unsigned int mode_t

    struct timespec:
        int64_t tv_sec
        long tv_nsec

    struct stat:
        int64_t st_size
        timespec st_mtim
    int AT_SYMLINK_NOFOLLOW
    int fstat(int descriptor, stat* result)
    int fstatat(int directory, const char* name, stat* result, int flags)

cdef extern from "<sys/statvfs.h>" nogil:
    struct statvfs:
        unsigned long f_frsize
        uint64_t f_bavail
    int fstatvfs(int descriptor, statvfs* result)

cdef extern from "<linux/fs.h>" nogil:
    struct file_clone_range:
        int64_t src_fd
        uint64_t src_offset
        uint64_t src_length
        uint64_t dest_offset
    unsigned long FICLONERANGE

cdef extern from "<sys/ioctl.h>" nogil:
    unsigned long FIONREAD
    int ioctl(int descriptor, unsigned long request, ...)

cdef extern from "<sys/uio.h>" nogil:
    struct iovec:
        void* iov_base
        size_t iov_len

cdef extern from "<sys/socket.h>" nogil:
    int MSG_DONTWAIT
    int MSG_MORE
    int MSG_NOSIGNAL
    int SOL_SOCKET
    int MSG_TRUNC
    int SO_ERROR
    int SO_RCVLOWAT
    int SOCK_CLOEXEC
    int SOCK_NONBLOCK
    int SOCK_STREAM

    struct sockaddr:
        pass

    struct sockaddr_storage:
        unsigned short ss_family

    struct msghdr:
        iovec* msg_iov
        size_t msg_iovlen
    int socket(int family, int kind, int protocol)
    int connect(int sock, const sockaddr* address, uint32_t length)
    ssize_t sendmsg(int sock, const msghdr* message, int flags)
    int getsockopt(int sock, int level, int option, void* value, uint32_t* length)
    ssize_t recv(int sock, void* buffer, size_t length, int flags)
    ssize_t send(int sock, const void* buffer, size_t length, int flags)
    int setsockopt(int sock, int level, int option, const void* value, uint32_t length)

cdef extern from "<netinet/in.h>" nogil:
    int IPPROTO_TCP

    struct in_addr:
        pass

    struct in6_addr:
        pass

    struct sockaddr_in:
        unsigned short sin_family
        unsigned short sin_port
        in_addr sin_addr

    struct sockaddr_in6:
        unsigned short sin6_family
        unsigned short sin6_port
        in6_addr sin6_addr
        uint32_t sin6_scope_id
    unsigned short htons(unsigned short port)

cdef extern from "<netinet/tcp.h>" nogil:
    int TCP_NODELAY

cdef extern from "<arpa/inet.h>" nogil:
    int inet_pton(int family, const char* text, void* address)

cdef extern from "<sys/un.h>" nogil:
    struct sockaddr_un:
        unsigned short sun_family
        char sun_path[108]

cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
    short POLLIN
    int poll(pollfd* watched, unsigned long count, int timeout_ms)

cdef extern from "<sys/sendfile.h>" nogil:
    ssize_t sendfile(int sock, int file, int64_t* offset, size_t length)

cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        uint64_t u64

    struct epoll_event:
        uint32_t events
        epoll_data_t data
    uint32_t EPOLLIN
    uint32_t EPOLLOUT
    uint32_t EPOLLERR
    uint32_t EPOLLHUP
    uint32_t EPOLLRDHUP
    uint32_t EPOLLET
    uint32_t EPOLLONESHOT
    int EPOLL_CLOEXEC
    int EPOLL_CTL_ADD
    int EPOLL_CTL_MOD
    int EPOLL_CTL_DEL
    int epoll_create1(int flags)
    int epoll_ctl(int epoll, int operation, int descriptor, epoll_event* event)
    int epoll_wait(int epoll, epoll_event* events, int limit, int timeout_ms)

cdef extern from "<sys/eventfd.h>" nogil:
    int EFD_CLOEXEC
    int EFD_NONBLOCK
    int EFD_SEMAPHORE
    int eventfd(unsigned int start, int flags)

cdef extern from "<time.h>" nogil:
    int CLOCK_MONOTONIC
    int CLOCK_MONOTONIC_COARSE
    int clock_gettime(int clock, timespec* now)

cdef extern from "<sys/timerfd.h>" nogil:
    struct itimerspec:
        timespec it_interval
        timespec it_value
    int TFD_CLOEXEC
    int TFD_TIMER_ABSTIME
    int TFD_NONBLOCK
    int timerfd_create(int clock, int flags)
    int timerfd_settime(int timer, int flags, const itimerspec* wanted, itimerspec* old)

cdef extern from "<signal.h>" nogil:
    ctypedef struct sigset_t:
        pass
    int SIG_SETMASK
    int sigfillset(sigset_t* signals)
    int pthread_sigmask(int how, const sigset_t* wanted, sigset_t* old)

cdef extern from "<pthread.h>" nogil:
    ctypedef unsigned long pthread_t
    ctypedef struct pthread_attr_t:
        pass
    ctypedef struct pthread_mutex_t:
        pass
    ctypedef struct pthread_cond_t:
        pass
    int pthread_attr_init(pthread_attr_t* attributes)
    int pthread_attr_setstacksize(pthread_attr_t* attributes, size_t size)
    int pthread_attr_destroy(pthread_attr_t* attributes)
    int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                       void* (*main)(void*) noexcept nogil, void* argument)
    int pthread_join(pthread_t thread, void** result)
    int pthread_setname_np(pthread_t thread, const char* name)
    int pthread_mutex_init(pthread_mutex_t* mutex, const void* attributes)
    int pthread_mutex_destroy(pthread_mutex_t* mutex)
    int pthread_mutex_lock(pthread_mutex_t* mutex)
    int pthread_mutex_unlock(pthread_mutex_t* mutex)
    int pthread_cond_init(pthread_cond_t* condition, const void* attributes)
    int pthread_cond_destroy(pthread_cond_t* condition)
    int pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex)
    int pthread_cond_signal(pthread_cond_t* condition)
    int pthread_cond_broadcast(pthread_cond_t* condition)
