"""A load client on native threads; see the stub.

The threads are those of crews. The thread that calls ``run`` waits for them, so that it can be
interrupted.
"""

import os
import socket

cimport cython
from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport errno
from libc.math cimport isfinite
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from fileloft_fast.dataplane.atomics cimport load_i64
from fileloft_fast.dataplane.crews cimport close_crew, forgo_crews, open_crew, run_crew
from fileloft_fast.dataplane.histogram cimport Histogram
from fileloft_fast.dataplane.jobs cimport start_thread
from fileloft_fast.dataplane.linux cimport (
    EFD_CLOEXEC, EFD_NONBLOCK, EFD_SEMAPHORE, POLLIN, close, eventfd, htons, inet_pton, poll,
    pollfd, pthread_cond_destroy, pthread_cond_init, pthread_join, pthread_mutex_destroy,
    pthread_mutex_init, read, sockaddr_in, sockaddr_in6, sockaddr_un,
)
from fileloft_fast.dataplane.scores cimport Refusal, Scores, close_scores
from fileloft_fast.dataplane.steps cimport Request, Step
from fileloft_fast.dataplane.units cimport Crew, Plan, Script, cancel_plan
from fileloft_fast.dataplane.wires cimport (
    TROUBLE_ANSWER, TROUBLE_CLOSED, TROUBLE_CONNECT, TROUBLE_EARLY, TROUBLE_FILE, TROUBLE_LOCAL,
    TROUBLE_LOCATION, TROUBLE_OFFSET, TROUBLE_RESET, TROUBLE_STATUS, TROUBLE_TIMEOUT, TROUBLES,
)


cdef enum:
    CONNECTIONS_MAX = 1000000
    THREADS_MAX = 256
    SIGNAL_MS = 100

# a cimport alone gives no name to Python
globals().update(Histogram=Histogram, Step=Step)

cdef dict TROUBLE_NAMES = {
    TROUBLE_CONNECT: "connect",
    TROUBLE_RESET: "reset",
    TROUBLE_CLOSED: "closed",
    TROUBLE_TIMEOUT: "timeout",
    TROUBLE_ANSWER: "bad answer",
    TROUBLE_LOCATION: "no location",
    TROUBLE_FILE: "file",
    TROUBLE_LOCAL: "local",
}
cdef dict REFUSAL_ENDS = {TROUBLE_STATUS: "", TROUBLE_EARLY: " early"}

cdef double LONGEST_S = 1e9


cdef str _refusal_name(const Refusal* refusal):
    if refusal.step < 0:
        return "other answers"
    if refusal.trouble == TROUBLE_OFFSET:
        return f"step {refusal.step}: offset"
    return f"step {refusal.step}: {refusal.status}{REFUSAL_ENDS[refusal.trouble]}"


cdef int _set_unix_address(Plan* plan, str path) except -1:
    cdef sockaddr_un* target = <sockaddr_un*>&plan.address
    cdef bytes name = os.fsencode(path)
    cdef bint abstract = name.startswith(b"\0")
    if not 0 < len(name) < <Py_ssize_t>sizeof(target.sun_path) or (not abstract and b"\0" in name):
        raise ValueError("the path of a Unix socket has 1 to 107 bytes")
    target.sun_family = <unsigned short>int(socket.AF_UNIX)
    memcpy(target.sun_path, <const char*>name, <size_t>len(name))
    # an abstract name ends with the address, a path with a zero byte
    plan.address_bytes = <uint32_t>(sizeof(unsigned short) + len(name) + (0 if abstract else 1))
    return 0


cdef int _set_internet_address(Plan* plan, object host, object port) except -1:
    cdef sockaddr_in* four = <sockaddr_in*>&plan.address
    cdef sockaddr_in6* six = <sockaddr_in6*>&plan.address
    cdef bytes text
    cdef int worked
    if not isinstance(port, int) or not 1 <= port <= 65535:
        raise ValueError(f"no port: {port}")
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    text = found[4][0].partition("%")[0].encode()
    if found[0] == socket.AF_INET6:
        six.sin6_family = <unsigned short>int(socket.AF_INET6)
        six.sin6_port = htons(<unsigned short>port)
        six.sin6_scope_id = found[4][3]
        worked = inet_pton(socket.AF_INET6, text, &six.sin6_addr)
        plan.address_bytes = sizeof(sockaddr_in6)
    else:
        four.sin_family = <unsigned short>int(socket.AF_INET)
        four.sin_port = htons(<unsigned short>port)
        worked = inet_pton(socket.AF_INET, text, &four.sin_addr)
        plan.address_bytes = sizeof(sockaddr_in)
    if worked != 1:
        raise OSError(f"no address: {host}")
    plan.by_tcp = True
    return 0


@cython.final
cdef class Load:
    """*units* units on *connections* connections, to be run once."""

    cdef Plan plan
    cdef Crew** crews
    cdef int count               # crews that were made
    cdef int started
    cdef bint opened             # mutex and condition exist
    cdef bint taken              # run was called
    cdef bint ended
    cdef list steps              # every Step, to keep its memory

    def __cinit__(self):
        self.plan.wake = self.plan.over = -1

    def __init__(self, address, scripts, *, int64_t units, int connections, double rate=0.0,
                 int threads=1, double timeout_s=60.0):
        if self.steps is not None:
            raise RuntimeError("a load is made once")
        if not (units >= 0 and 1 <= connections <= CONNECTIONS_MAX):
            raise ValueError("units or connections are too few or too many")
        if not 1 <= threads <= THREADS_MAX:
            raise ValueError(f"no number of threads: {threads}")
        if not (isfinite(rate) and rate >= 0.0):
            raise ValueError(f"no rate: {rate}")
        if not 0.0 < timeout_s <= LONGEST_S:
            raise ValueError(f"no timeout: {timeout_s}")
        self.plan.units = units
        self.plan.rate = rate
        self.plan.timeout_ns = <int64_t>(timeout_s * 1e9)
        if isinstance(address, str):
            _set_unix_address(&self.plan, address)
        else:
            host, port = address
            _set_internet_address(&self.plan, host, port)
        self._set_scripts(scripts)
        self._open(connections, min(threads, connections))

    cdef int _set_scripts(self, object scripts) except -1:
        cdef Script* script
        self.steps = []
        if not scripts or not all(scripts):
            raise ValueError("a script has at least one step, and there is at least one script")
        self.plan.scripts = <Script*>calloc(<size_t>len(scripts), sizeof(Script))
        if self.plan.scripts == NULL:
            raise MemoryError
        for steps in scripts:
            script = &self.plan.scripts[self.plan.scripts_count]
            script.steps = <const Request**>calloc(<size_t>len(steps), sizeof(Request*))
            self.plan.scripts_count += 1
            if script.steps == NULL:
                raise MemoryError
            self._set_steps(script, steps)
            self.plan.steps_max = max(self.plan.steps_max, script.count)
        return 0

    cdef int _set_steps(self, Script* script, object steps) except -1:
        cdef Step step
        cdef bint kept = False
        for step in steps:
            if step is None or step.head is None:
                raise TypeError("a script is made of steps")
            if step.request.located and not kept:
                raise ValueError("no step before keeps the location that a head asks for")
            if step.request.interval_ns >= self.plan.timeout_ns:
                raise ValueError("an interval between pieces is not less than the timeout")
            kept = kept or step.request.keeps_location
            self.steps.append(step)
            script.steps[script.count] = &step.request
            script.count += 1
        return 0

    cdef int _open(self, int connections, int threads) except -1:
        cdef int i
        cdef int status
        cdef int share
        self.plan.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        self.plan.over = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE)
        if self.plan.wake < 0 or self.plan.over < 0:
            raise OSError(errno, os.strerror(errno))
        pthread_mutex_init(&self.plan.mutex, NULL)
        pthread_cond_init(&self.plan.begun, NULL)
        self.opened = True
        self.plan.awaited = threads
        self.crews = <Crew**>calloc(<size_t>threads, sizeof(Crew*))
        if self.crews == NULL:
            raise MemoryError
        for i in range(threads):
            self.crews[i] = <Crew*>calloc(1, sizeof(Crew))
            if self.crews[i] == NULL:
                raise MemoryError
            self.count += 1
            share = connections // threads + (1 if i < connections % threads else 0)
            status = open_crew(self.crews[i], &self.plan, share)
            if status < 0:
                raise OSError(-status, os.strerror(-status))
        return 0

    def __dealloc__(self):
        cdef int i
        for i in range(self.count):
            close_crew(self.crews[i])
            close_scores(&self.crews[i].scores, self.plan.steps_max)
            free(self.crews[i])
        free(self.crews)
        if self.plan.scripts != NULL:
            for i in range(<int>self.plan.scripts_count):
                free(self.plan.scripts[i].steps)
        free(self.plan.scripts)
        if self.opened:
            pthread_cond_destroy(&self.plan.begun)
            pthread_mutex_destroy(&self.plan.mutex)
        if self.plan.wake >= 0:
            close(self.plan.wake)
        if self.plan.over >= 0:
            close(self.plan.over)

    # -- the run -----------------------------------------------------------------------------------

    def run(self):
        cdef int i
        if self.taken:
            raise RuntimeError("a load is run once")
        self.taken = True
        try:
            self._start()
            self._wait()
        except BaseException:
            cancel_plan(&self.plan, 0)
            raise
        finally:
            with nogil:
                for i in range(self.started):
                    pthread_join(self.crews[i].thread, NULL)
                for i in range(self.count):
                    close_crew(self.crews[i])
            self.ended = True
        if self.plan.failed:
            raise OSError(self.plan.failed, os.strerror(self.plan.failed))

    cdef int _start(self) except -1:
        cdef int status
        while self.started < self.count:
            status = start_thread(&self.crews[self.started].thread, b"fl-load", run_crew,
                                  self.crews[self.started])
            if status < 0:
                cancel_plan(&self.plan, 0)
                forgo_crews(&self.plan, self.count - self.started)
                raise OSError(-status, os.strerror(-status))
            self.started += 1
        return 0

    cdef int _wait(self) except -1:
        # A signal ends the poll, and its handler is run here; one that came just before waits.
        cdef pollfd watched
        cdef uint64_t one
        cdef int left = self.started
        cdef int found
        while left:
            watched.fd = self.plan.over
            watched.events = POLLIN
            with nogil:
                found = poll(&watched, 1, SIGNAL_MS)
            if found > 0 and read(self.plan.over, &one, sizeof(one)) > 0:
                left -= 1
            PyErr_CheckSignals()
        return 0

    def cancel(self):
        cancel_plan(&self.plan, 0)

    @property
    def units_done(self):
        return self._sum_done()

    cdef int64_t _sum_done(self) noexcept:
        cdef int64_t total = 0
        cdef int i
        for i in range(self.count):
            total += load_i64(&self.crews[i].scores.done)
        return total

    @property
    def bytes_sent(self):
        return sum([load_i64(&self.crews[i].hands.sent) for i in range(self.count)])

    @property
    def bytes_received(self):
        return sum([load_i64(&self.crews[i].hands.received) for i in range(self.count)])

    # -- results -----------------------------------------------------------------------------------

    cdef int _require_end(self) except -1:
        if not self.ended:
            raise RuntimeError("the run has not ended")
        return 0

    @property
    def seconds(self):
        cdef int64_t last = self.plan.start_ns
        cdef int i
        self._require_end()
        for i in range(self.count):
            last = max(last, self.crews[i].scores.last_ns)
        return (last - self.plan.start_ns) / 1e9

    def histogram(self, int step):
        cdef Histogram whole = Histogram()
        cdef int i
        self._require_end()
        if not 0 <= step < self.plan.steps_max:
            raise IndexError(f"no script has a step {step}")
        for i in range(self.count):
            if self.crews[i].scores.steps[step] != NULL:
                whole.take(self.crews[i].scores.steps[step])
        return whole

    @property
    def unit_histogram(self):
        cdef Histogram whole = Histogram()
        cdef int i
        self._require_end()
        for i in range(self.count):
            whole.take(self.crews[i].scores.units)
        return whole

    @property
    def failures(self):
        cdef Scores* scores
        cdef int i
        cdef int k
        cdef dict found = {}
        self._require_end()
        for i in range(self.count):
            scores = &self.crews[i].scores
            for k in range(<int>TROUBLES):
                if scores.troubles[k]:
                    name = TROUBLE_NAMES[k]
                    found[name] = found.get(name, 0) + scores.troubles[k]
            for k in range(scores.refusals_count):
                name = _refusal_name(&scores.refusals[k])
                found[name] = found.get(name, 0) + scores.refusals[k].count
        return found

    @property
    def first_failure(self):
        cdef Crew* earliest = NULL
        cdef int i
        self._require_end()
        for i in range(self.count):
            if self.crews[i].scores.failed_ns and (
                    earliest == NULL or self.crews[i].scores.failed_ns < earliest.scores.failed_ns):
                earliest = self.crews[i]
        if earliest == NULL:
            return b""
        if earliest.hands.heard_bytes:
            return earliest.hands.heard_text[:earliest.hands.heard_bytes]
        if earliest.scores.first_error:
            return os.strerror(earliest.scores.first_error).encode()
        return TROUBLE_NAMES.get(earliest.scores.first_trouble, "").encode()

    @property
    def reconnects(self):
        self._require_end()
        return sum([self.crews[i].scores.reconnects for i in range(self.count)])
