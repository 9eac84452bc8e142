/* The resource manager of a compute DSP: VTCM and the matrix unit (HMX), for one user at a time.

   Here each process has 8 MiB of VTCM, and one matrix unit, which has nothing to compute with.
   Functions return 0 or an error of AEEStdErr.h, with the DSP's offset. */

#ifndef HAP_COMPUTE_RES_H
#define HAP_COMPUTE_RES_H

#ifdef __cplusplus
extern "C" {
#endif

#define HAP_COMPUTE_RES_NOT_SUPPORTED 0x80000404

typedef struct {
    unsigned long long attributes[8];
} compute_res_attr_t;

typedef struct {
    unsigned int page_size;
    unsigned int num_pages;
} compute_res_vtcm_page_def_t;

typedef struct {
    unsigned int block_size;
    unsigned int page_list_len;
    compute_res_vtcm_page_def_t page_list[8];
} compute_res_vtcm_page_t;

typedef int (*compute_res_release_callback_t)(unsigned int context_id, void* client_context);

/* Each function has two names: that of the library, which an old DSP may lack, and HAP_compute_res_
   with the rest of it, which says so then. */
#define HAP_COMPUTE_RES(result, name, parameters, arguments)                                       \
    result __attribute__((weak)) compute_resource_##name parameters;                               \
    static inline result HAP_compute_res_##name parameters {                                       \
        return compute_resource_##name ? compute_resource_##name arguments                         \
                                       : (result)HAP_COMPUTE_RES_ABSENT;                           \
    }

#define HAP_COMPUTE_RES_ABSENT HAP_COMPUTE_RES_NOT_SUPPORTED

HAP_COMPUTE_RES(int, attr_init, (compute_res_attr_t * attr), (attr))
HAP_COMPUTE_RES(
    int, attr_set_serialize, (compute_res_attr_t * attr, unsigned char enable), (attr, enable))
HAP_COMPUTE_RES(
    int, attr_set_hmx_param, (compute_res_attr_t * attr, unsigned char enable), (attr, enable))
HAP_COMPUTE_RES(
    int, attr_set_vtcm_param,
    (compute_res_attr_t * attr, unsigned int vtcm_size, unsigned char single_page),
    (attr, vtcm_size, single_page))
HAP_COMPUTE_RES(
    int, attr_set_vtcm_param_v2,
    (compute_res_attr_t * attr, unsigned int vtcm_size, unsigned int min_page_size,
     unsigned int min_vtcm_size),
    (attr, vtcm_size, min_page_size, min_vtcm_size))
HAP_COMPUTE_RES(
    int, attr_set_app_type, (compute_res_attr_t * attr, unsigned int application_id),
    (attr, application_id))
/* Cached: acquire gives a context, and acquire_cached what it is for, as often as needed. */
HAP_COMPUTE_RES(
    int, attr_set_cache_mode, (compute_res_attr_t * attr, unsigned char enable), (attr, enable))
/* Called when somebody else waits for what a cached context has. */
HAP_COMPUTE_RES(
    int, attr_set_release_callback,
    (compute_res_attr_t * attr, compute_res_release_callback_t callback, void* client_context),
    (attr, callback, client_context))
HAP_COMPUTE_RES(
    int, attr_get_vtcm_ptr_v2,
    (compute_res_attr_t * attr, void** vtcm_ptr, unsigned int* vtcm_size),
    (attr, vtcm_ptr, vtcm_size))
HAP_COMPUTE_RES(
    int, query_VTCM,
    (unsigned int application_id, unsigned int* total_block_size,
     compute_res_vtcm_page_t* total_block_layout, unsigned int* avail_block_size,
     compute_res_vtcm_page_t* avail_block_layout),
    (application_id, total_block_size, total_block_layout, avail_block_size, avail_block_layout))
HAP_COMPUTE_RES(int, release, (unsigned int context_id), (context_id))
HAP_COMPUTE_RES(
    int, acquire_cached, (unsigned int context_id, unsigned int timeout_us),
    (context_id, timeout_us))
HAP_COMPUTE_RES(int, release_cached, (unsigned int context_id), (context_id))
HAP_COMPUTE_RES(int, hmx_lock, (unsigned int context_id), (context_id))
HAP_COMPUTE_RES(int, hmx_unlock, (unsigned int context_id), (context_id))
/* Whether the context has something that somebody waits for: 0 if not. */
HAP_COMPUTE_RES(int, check_release_request, (unsigned int context_id), (context_id))

#undef HAP_COMPUTE_RES_ABSENT
#define HAP_COMPUTE_RES_ABSENT 0

/* The number of a context, 0 if what it is for could not be had in time. */
HAP_COMPUTE_RES(
    unsigned int, acquire, (compute_res_attr_t * attr, unsigned int timeout_us), (attr, timeout_us))
HAP_COMPUTE_RES(void*, attr_get_vtcm_ptr, (compute_res_attr_t * attr), (attr))

#undef HAP_COMPUTE_RES_ABSENT
#undef HAP_COMPUTE_RES

#ifdef __cplusplus
}
#endif

#endif
