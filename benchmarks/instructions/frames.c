/* Gives each Python function a C function of its own to run in: callgrind can tell them apart then.
 *
 * PEP 523. Each code object that runs is given one of the functions below; which one goes to a file.
 * Who has called whom how often goes to a table in a file that is mapped: whoever counts reads it at
 * any time. Calls from Python to Python take about 250 instructions more than they would without.
 */
#define Py_BUILD_CORE
#include <Python.h>
#include <internal/pycore_frame.h>
#if PY_VERSION_HEX < 0x030C0000
#define PyUnstable_InterpreterFrame_GetCode(frame) Py_NewRef((PyObject *)(frame)->f_code)
#define PyUnstable_Eval_RequestCodeExtraIndex _PyEval_RequestCodeExtraIndex
#define PyUnstable_Code_GetExtra _PyCode_GetExtra
#define PyUnstable_Code_SetExtra _PyCode_SetExtra
#endif
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct _PyInterpreterFrame Frame;
typedef PyObject *(*Runner)(PyThreadState *, Frame *, int);

PyAPI_FUNC(PyObject *) _PyEval_EvalFrameDefault(PyThreadState *, Frame *, int);

enum { FUNCTIONS = 4096, EDGES = 65536, DEPTH = 4096 };

typedef struct {
    uint32_t caller, callee;
    uint64_t times;
} Edge;

static Edge *edges;
static FILE *names;
static Py_ssize_t extra;
static long seen;
static __thread uint32_t stack[DEPTH];
static __thread int depth;

#define RUN(n)                                                                              \
    __attribute__((noinline)) PyObject *python_##n(PyThreadState *thread, Frame *frame, int thrown) \
    {                                                                                       \
        PyObject *result = _PyEval_EvalFrameDefault(thread, frame, thrown);                 \
        __asm__ volatile("" : : "r"(result) : "memory"); /* no jump in place of the call */ \
        return result;                                                                      \
    }
#define NAME(n) python_##n,
#define EACH_16(do, p)                                                                        \
    do(p##0) do(p##1) do(p##2) do(p##3) do(p##4) do(p##5) do(p##6) do(p##7)                   \
    do(p##8) do(p##9) do(p##a) do(p##b) do(p##c) do(p##d) do(p##e) do(p##f)
#define EACH_256(do, p)                                                                       \
    EACH_16(do, p##0) EACH_16(do, p##1) EACH_16(do, p##2) EACH_16(do, p##3)                   \
    EACH_16(do, p##4) EACH_16(do, p##5) EACH_16(do, p##6) EACH_16(do, p##7)                   \
    EACH_16(do, p##8) EACH_16(do, p##9) EACH_16(do, p##a) EACH_16(do, p##b)                   \
    EACH_16(do, p##c) EACH_16(do, p##d) EACH_16(do, p##e) EACH_16(do, p##f)
#define EACH_4096(do)                                                                         \
    EACH_256(do, 0) EACH_256(do, 1) EACH_256(do, 2) EACH_256(do, 3)                           \
    EACH_256(do, 4) EACH_256(do, 5) EACH_256(do, 6) EACH_256(do, 7)                           \
    EACH_256(do, 8) EACH_256(do, 9) EACH_256(do, a) EACH_256(do, b)                           \
    EACH_256(do, c) EACH_256(do, d) EACH_256(do, e) EACH_256(do, f)

EACH_4096(RUN)
static const Runner runners[FUNCTIONS] = {EACH_4096(NAME)};

static void count_call(uint32_t caller, uint32_t callee)
{
    uint32_t at = (caller * 31u + callee) * 2654435761u >> 16;
    for (int tried = 0; tried < EDGES; tried++, at = (at + 1) % EDGES) {
        Edge *edge = &edges[at];
        if (edge->times == 0) {
            edge->caller = caller;
            edge->callee = callee;
        }
        if (edge->caller == caller && edge->callee == callee) {
            edge->times++;
            return;
        }
    }
}

static long number_of(PyCodeObject *code)
{
    void *number = NULL;
    PyUnstable_Code_GetExtra((PyObject *)code, extra, &number);
    if (number == NULL) {
        seen += seen < FUNCTIONS - 1; /* the last one stands for all that are too many */
        number = (void *)seen;
        PyUnstable_Code_SetExtra((PyObject *)code, extra, number);
        fprintf(names, "python_%03lx\t%s\t%s\t%d\n", seen, PyUnicode_AsUTF8(code->co_qualname),
                PyUnicode_AsUTF8(code->co_filename), code->co_firstlineno);
        fflush(names);
    }
    return (long)number;
}

static PyObject *run(PyThreadState *thread, Frame *frame, int thrown)
{
    PyObject *code = PyUnstable_InterpreterFrame_GetCode(frame);
    long number = number_of((PyCodeObject *)code);
    int makes = ((PyCodeObject *)code)->co_flags & (CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR)
                && frame->owner != FRAME_OWNED_BY_GENERATOR;
    Py_DECREF(code); /* the frame has one */
    if (makes) /* a coroutine, which does not run yet: that is its caller's work */
        return _PyEval_EvalFrameDefault(thread, frame, thrown);
    count_call(depth > 0 && depth <= DEPTH ? stack[depth - 1] : 0, (uint32_t)number);
    if (depth < DEPTH)
        stack[depth] = (uint32_t)number;
    depth++;
    PyObject *result = runners[number](thread, frame, thrown);
    depth--;
    return result;
}

/* Returns 0, or -1 where a file cannot be had. */
int begin(const char *names_path, const char *edges_path)
{
    int file = open(edges_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    names = fopen(names_path, "we");
    if (file < 0 || names == NULL || ftruncate(file, EDGES * sizeof(Edge)) < 0)
        return -1;
    edges = mmap(NULL, EDGES * sizeof(Edge), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (edges == MAP_FAILED)
        return -1;
    extra = PyUnstable_Eval_RequestCodeExtraIndex(NULL);
    _PyInterpreterState_SetEvalFrameFunc(PyInterpreterState_Get(), run);
    return 0;
}
