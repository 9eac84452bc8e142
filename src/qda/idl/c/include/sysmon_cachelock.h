/* Memory that stays in the cache of level 2: 512 KiB of ordinary memory for each process. */

#ifndef SYSMON_CACHELOCK_H
#define SYSMON_CACHELOCK_H

#ifdef __cplusplus
extern "C" {
#endif

void* HAP_cache_lock(unsigned int size, unsigned long long* physical);
int HAP_cache_unlock(void* memory);
int HAP_cache_lock_addr(void* memory, unsigned int size);
int HAP_cache_unlock_addr(void* memory);
int HAP_query_avail_cachelock(void); /* bytes */
int HAP_query_total_cachelock(void);

#ifdef __cplusplus
}
#endif

#endif
