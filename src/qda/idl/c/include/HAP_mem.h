/* Memory of code on the DSP: the heap, and buffers that the host has mapped under an fd.

   Functions return 0 or an error of AEEStdErr.h, those that return an address HAP_MEM_FAILED. */

#ifndef HAP_MEM_H
#define HAP_MEM_H

#include <stddef.h>
#include <stdlib.h>

#include "HAP_runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HAP_MEM_FAILED ((void*)(intptr_t)-1)

#define HAP_PROT_READ 1
#define HAP_PROT_WRITE 2
#define HAP_PROT_EXEC 4

/* Where the memory under an fd is, and how long, in bytes. */
HAP_RUNTIME_POINTER int (*qda_HAP_mem_find)(int fd, uint64_t* address, uint64_t* size);

HAP_RUNTIME int HAP_malloc(uint32_t size, void** memory) {
    *memory = malloc(size);
    return *memory ? 0 : 2;
}

HAP_RUNTIME int HAP_free(void* memory) {
    free(memory);
    return 0;
}

/* The address of the memory under `fd`, from byte `offset`.  `address`, `protection` and `flags`
   are not looked at: the host has mapped it already. */
HAP_RUNTIME void* HAP_mmap2(
    void* address, size_t length, int protection, int flags, int fd, int64_t offset) {
    uint64_t start = 0, size = 0;
    (void)address, (void)protection, (void)flags;
    if (!qda_HAP_mem_find || qda_HAP_mem_find(fd, &start, &size) || offset < 0)
        return HAP_MEM_FAILED;
    if ((uint64_t)offset > size || length > size - (uint64_t)offset)
        return HAP_MEM_FAILED;
    return (void*)(uintptr_t)(start + (uint64_t)offset);
}

HAP_RUNTIME void* HAP_mmap(
    void* address, int length, int protection, int flags, int fd, long offset) {
    return length < 0 ? HAP_MEM_FAILED
                      : HAP_mmap2(address, (size_t)length, protection, flags, fd, offset);
}

/* The host unmaps what it has mapped. */
HAP_RUNTIME int HAP_munmap2(void* address, size_t length) {
    (void)address, (void)length;
    return 0;
}

HAP_RUNTIME int HAP_munmap(void* address, int length) {
    (void)address, (void)length;
    return 0;
}

/* Address and physical address of the memory under an fd; here the two are one. */
HAP_RUNTIME int HAP_mmap_get(int fd, void** address, uint64_t* physical) {
    uint64_t start = 0, size = 0;
    int status = qda_HAP_mem_find ? qda_HAP_mem_find(fd, &start, &size) : HAP_RUNTIME_ABSENT;
    if (!status && address) *address = (void*)(uintptr_t)start;
    if (!status && physical) *physical = start;
    return status;
}

HAP_RUNTIME int HAP_mmap_put(int fd) {
    (void)fd;
    return 0;
}

#ifdef __cplusplus
}
#endif

#endif
