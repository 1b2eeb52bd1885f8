"""The compiler's atomic builtins under typed names, all sequentially consistent.

The builtins are generic in C, so each name here only says for which type we use it.
"""

from libc.stdint cimport int64_t, uint64_t


cdef extern from * nogil:
    """
    #define FL_LOAD(at) __atomic_load_n((at), __ATOMIC_SEQ_CST)
    #define FL_STORE(at, value) __atomic_store_n((at), (value), __ATOMIC_SEQ_CST)
    #define FL_SWAP(at, value) __atomic_exchange_n((at), (value), __ATOMIC_SEQ_CST)
    #define FL_ADD(at, value) __atomic_add_fetch((at), (value), __ATOMIC_SEQ_CST)
    #define FL_CAS(at, expected, wanted) __atomic_compare_exchange_n( \
        (at), (expected), (wanted), 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
    """
    int load_int "FL_LOAD"(int* at)
    void store_int "FL_STORE"(int* at, int value)
    int swap_int "FL_SWAP"(int* at, int value)
    int add_int "FL_ADD"(int* at, int value)
    int64_t load_i64 "FL_LOAD"(int64_t* at)
    void store_i64 "FL_STORE"(int64_t* at, int64_t value)
    uint64_t load_u64 "FL_LOAD"(uint64_t* at)
    void store_u64 "FL_STORE"(uint64_t* at, uint64_t value)
    bint cas_u64 "FL_CAS"(uint64_t* at, uint64_t* expected, uint64_t wanted)
    void* load_ptr "FL_LOAD"(void** at)
    void* swap_ptr "FL_SWAP"(void** at, void* value)
    bint cas_ptr "FL_CAS"(void** at, void** expected, void* wanted)
