/* Votes for power when it is opened, and takes the vote back when it is closed. */
#include <string.h>

#include "AEEStdErr.h"
#include "HAP_dcvs.h"
#include "HAP_power.h"
#include "skeletons.h"

int voter_open(const char *uri, remote_handle64 *handle)
{
    (void)uri;
    void *client = HAP_utils_create_context();
    if (!client)
        return AEE_ENOMEMORY;

    HAP_power_request_t request;
    memset(&request, 0, sizeof(request));
    request.type = HAP_power_set_apptype;
    request.apptype = HAP_POWER_COMPUTE_CLIENT_CLASS;
    int status = HAP_power_set(client, &request);

    HAP_power_set_dcvs_v3_init(&request);
    request.dcvs_v3.dcvs_option = HAP_DCVS_V2_PERFORMANCE_MODE;
    request.dcvs_v3.core_params.min_corner = HAP_DCVS_VCORNER_NOM;
    request.dcvs_v3.core_params.max_corner = HAP_DCVS_VCORNER_MAX;
    request.dcvs_v3.core_params.target_corner = HAP_DCVS_VCORNER_TURBO;
    HAP_set_dcvs_v3_protected_bus_corners(&request, 1);
    if (!status)
        status = HAP_power_set(client, &request);

    memset(&request, 0, sizeof(request));
    request.type = HAP_power_set_HVX;
    request.hvx.power_up = TRUE;
    if (!status)
        status = HAP_power_set(client, &request);
    *handle = (remote_handle64)(uintptr_t)client;
    return status;
}

int voter_close(remote_handle64 handle)
{
    void *client = (void *)(uintptr_t)handle;
    int status = HAP_power_destroy(client);
    HAP_utils_destroy_context(client);
    return status;
}

int voter_clock(remote_handle64 handle, uint32 *hz)
{
    HAP_power_response_t response;
    response.type = HAP_power_get_clk_Freq;
    int status = HAP_power_get((void *)(uintptr_t)handle, &response);
    *hz = response.clkFreqHz;
    return status;
}

int voter_vote(remote_handle64 handle, int corner)
{
    return HAP_power_set_core_corner((void *)(uintptr_t)handle, (uint32)corner, (uint32)corner,
                                     HAP_DCVS_VCORNER_TURBO);
}
