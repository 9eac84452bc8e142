/* Keeps a buffer mapped between calls, and uses it in a thread of its own. */
#include "AEEStdErr.h"
#include "HAP_mem.h"
#include "q6cache.h"
#include "qurt.h"
#include "skeletons.h"

static uint8 *kept;
static int length;

int maps_open(const char *uri, remote_handle64 *handle)
{
    (void)uri;
    *handle = 1;
    return AEE_SUCCESS;
}

int maps_close(remote_handle64 handle)
{
    (void)handle;
    return kept ? HAP_munmap(kept, length) : AEE_SUCCESS;
}

int maps_keep(remote_handle64 handle, int buffer, uint32 bufferOffset, uint32 bufferLen)
{
    (void)handle;
    void *address = HAP_mmap(NULL, (int)bufferLen, HAP_PROT_READ | HAP_PROT_WRITE, 0, buffer,
                             (long)bufferOffset);
    if (address == HAP_MEM_FAILED)
        return AEE_EFAILED;
    kept = (uint8 *)address;
    length = (int)bufferLen;
    return AEE_SUCCESS;
}

static void invert(void *nothing)
{
    (void)nothing;
    L2fetch((uintptr_t)kept, CreateL2pfParam(128, 128, length / 128, 0));
    for (int i = 0; i < length; i++)
        kept[i] = (uint8)~kept[i];
    qurt_mem_cache_clean((qurt_addr_t)kept, (qurt_size_t)length, QURT_MEM_CACHE_FLUSH,
                         QURT_MEM_DCACHE);
}

int maps_invert(remote_handle64 handle)
{
    qurt_thread_attr_t attr;
    qurt_thread_t thread;
    int status;
    (void)handle;
    if (!kept)
        return AEE_EBADSTATE;
    qurt_thread_attr_init(&attr);
    if (qurt_thread_create(&thread, &attr, invert, NULL))
        return AEE_ENOMEMORY;
    return qurt_thread_join(thread, &status);
}

int maps_drop(remote_handle64 handle)
{
    (void)handle;
    uint8 *gone = kept;
    kept = NULL;
    return HAP_munmap(gone, length);
}
