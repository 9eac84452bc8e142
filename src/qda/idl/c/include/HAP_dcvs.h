/* Requests of HAP_power.h, made step by step. */

#ifndef HAP_DCVS_H
#define HAP_DCVS_H

#include "HAP_power.h"

/* Whether the bus corners of a client are kept from others' limits: it makes no difference here. */
static inline void HAP_set_dcvs_v3_protected_bus_corners(
    HAP_power_request_t* request, unsigned char enable) {
    (void)request, (void)enable;
}

#endif
