/* Memory of code on the DSP: the heap, and buffers that the host has mapped under an fd.

   Functions return 0 or an error of AEEStdErr.h, those that return an address HAP_MEM_FAILED. */

#ifndef HAP_MEM_H
#define HAP_MEM_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "HAP_numbers.h"
#include "AEEStdErr.h"
#include "HAP_runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HAP_MEM_FAILED ((void*)(intptr_t)-1)

#define HAP_PROT_NONE 0
#define HAP_PROT_READ 1
#define HAP_PROT_WRITE 2
#define HAP_PROT_EXEC 4

/* How the DSP is to cache a mapping; here memory is coherent, and it makes no difference. */
#define HAP_MEM_CACHE_WRITEBACK 0x10
#define HAP_MEM_CACHE_NON_SHARED 0x20
#define HAP_MEM_CACHE_WRITETHROUGH 0x40

HAP_RUNTIME_POINTER int (*qda_HAP_mem_map)(
    int fd, uint64_t offset, uint64_t length, uint64_t* address);
HAP_RUNTIME_POINTER int (*qda_HAP_mem_unmap)(uint64_t address, uint64_t length);
HAP_RUNTIME_POINTER int (*qda_HAP_mem_hold)(int fd, uint64_t* address, uint64_t* size);
HAP_RUNTIME_POINTER int (*qda_HAP_mem_let_go)(int fd);

HAP_RUNTIME int HAP_malloc(uint32_t size, void** memory) {
    *memory = malloc(size);
    return *memory ? 0 : AEE_ENOMEMORY;
}

HAP_RUNTIME int HAP_free(void* memory) {
    if (!memory) return AEE_EBADCLASS;
    free(memory);
    return 0;
}

/* Map the memory under `fd`, and return the address of its byte `offset`: a dmahandle argument of
   the running call, or what the host has mapped.  It stays until HAP_munmap, or the end of the
   client.  `address`, `protection` and `flags` are not looked at. */
HAP_RUNTIME void* HAP_mmap2(
    void* address, size_t length, int protection, int flags, int fd, int64_t offset) {
    uint64_t start = 0;
    (void)address, (void)protection, (void)flags;
    if (!qda_HAP_mem_map || offset < 0 || length > INT64_MAX
        || qda_HAP_mem_map(fd, (uint64_t)offset, length, &start))
        return HAP_MEM_FAILED;
    return (void*)(uintptr_t)start;
}

HAP_RUNTIME void* HAP_mmap(
    void* address, int length, int protection, int flags, int fd, long offset) {
    return length < 0 ? HAP_MEM_FAILED
                      : HAP_mmap2(address, (size_t)length, protection, flags, fd, offset);
}

/* Undo one HAP_mmap; the memory goes with the last.  `address` is in it, with `length` bytes. */
HAP_RUNTIME int HAP_munmap2(void* address, size_t length) {
    return qda_HAP_mem_unmap ? qda_HAP_mem_unmap((uintptr_t)address, length) : HAP_RUNTIME_ABSENT;
}

HAP_RUNTIME int HAP_munmap(void* address, int length) {
    return length < 0 ? AEE_EBADPARM : HAP_munmap2(address, (size_t)length);
}

/* Where the memory is that is mapped under an fd, which stays until HAP_mmap_put.  Address and
   physical address are one; `physical` is of type uint64*, or uint64_t*, which on a DSP is the
   same. */
HAP_RUNTIME int HAP_mmap_get(int fd, void** address, void* physical) {
    uint64_t start = 0, size = 0;
    int status = qda_HAP_mem_hold ? qda_HAP_mem_hold(fd, &start, &size) : HAP_RUNTIME_ABSENT;
    if (!status && address) *address = (void*)(uintptr_t)start;
    if (!status && physical) memcpy(physical, &start, sizeof start);
    return status;
}

HAP_RUNTIME int HAP_mmap_put(int fd) {
    return qda_HAP_mem_let_go ? qda_HAP_mem_let_go(fd) : HAP_RUNTIME_ABSENT;
}

/* The heap, which is that of a process here: it grows as it needs to, and says nothing of itself. */
struct HAP_mem_stats {
    uint64 bytes_free, bytes_used, seg_free, seg_used, min_grow_bytes;
};

HAP_RUNTIME int HAP_mem_get_stats(struct HAP_mem_stats* stats) {
    memset(stats, 0, sizeof *stats);
    return 0;
}

HAP_RUNTIME int HAP_mem_set_grow_size(uint64 least, uint64 most) {
    return least > most ? AEE_EBADPARM : 0;
}

/* How many bytes of this thread's stack are left. */
uint64 HAP_mem_available_stack(void);

HAP_RUNTIME int HAP_mem_set_heap_thresholds(unsigned int lowest, unsigned int highest) {
    (void)lowest, (void)highest;
    return 0;
}

#ifdef __cplusplus
}
#endif

#endif
