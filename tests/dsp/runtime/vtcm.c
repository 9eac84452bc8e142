/* Gets VTCM from the resource manager, and from the older one. */
#include <string.h>

#include "AEEStdErr.h"
#include "HAP_compute_res.h"
#include "HAP_vtcm_mgr.h"
#include "skeletons.h"

int vtcm_open(const char *uri, remote_handle64 *handle)
{
    (void)uri;
    *handle = 1;
    return AEE_SUCCESS;
}

int vtcm_close(remote_handle64 handle)
{
    (void)handle;
    return AEE_SUCCESS;
}

int vtcm_reverse(remote_handle64 handle, const uint8 *given, int givenLen, uint8 *reversed,
                 int reversedLen)
{
    compute_res_attr_t attr;
    unsigned int size = 0, context;
    void *memory = NULL;
    (void)handle;
    if (givenLen != reversedLen)
        return AEE_EBADPARM;
    HAP_compute_res_attr_init(&attr);
    HAP_compute_res_attr_set_serialize(&attr, 1);
    HAP_compute_res_attr_set_vtcm_param_v2(&attr, (unsigned int)givenLen, 0,
                                           (unsigned int)givenLen);
    context = HAP_compute_res_acquire(&attr, 100000);
    if (!context)
        return AEE_ENOMEMORY;
    int status = HAP_compute_res_attr_get_vtcm_ptr_v2(&attr, &memory, &size);
    if (!status) {
        uint8 *bytes = (uint8 *)memory;
        memcpy(bytes, given, (size_t)givenLen);
        for (int i = 0; i < givenLen; i++)
            reversed[i] = bytes[givenLen - 1 - i];
    }
    HAP_compute_res_release(context);
    return status;
}

/* How many megabytes of it there are, one after the other. */
int vtcm_crowd(remote_handle64 handle, uint32 *fitting)
{
    void *blocks[64];
    uint32 count = 0;
    (void)handle;
    while (count < 64 && (blocks[count] = HAP_request_VTCM(1 << 20, 1)) != NULL)
        count++;
    *fitting = count;
    while (count)
        if (HAP_release_VTCM(blocks[--count]))
            return AEE_EFAILED;
    return AEE_SUCCESS;
}
