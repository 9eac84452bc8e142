/* VTCM, the DSP's fast memory: 8 MiB of ordinary memory for each process (HAP_compute_res.h). */

#ifndef HAP_VTCM_MGR_H
#define HAP_VTCM_MGR_H

#ifdef __cplusplus
extern "C" {
#endif

/* Memory of `size` bytes, NULL if there is none; `single_page`: within one page of VTCM. */
void* HAP_request_VTCM(unsigned int size, unsigned int single_page);
/* The same, waiting at most that many microseconds. */
void* HAP_request_async_VTCM(unsigned int size, unsigned int single_page, unsigned int timeout);
int HAP_release_VTCM(void* memory);
int HAP_query_total_VTCM(unsigned int* page_size, unsigned int* page_count);
int HAP_query_avail_VTCM(
    unsigned int* avail_block_size, unsigned int* max_page_size, unsigned int* num_pages);

#ifdef __cplusplus
}
#endif

#endif
