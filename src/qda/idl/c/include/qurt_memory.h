/* Memory as QuRT sees it.  Caches here are coherent: what is done to them is counted and changes
   nothing, and an address is its own physical address.  A region is memory of the process. */

#ifndef QURT_MEMORY_H
#define QURT_MEMORY_H

#include "qurt_error.h"
#include "qurt_types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    qurt_mem_mapping_t mapping_type;
    qurt_mem_cache_mode_t cache_mode;
    unsigned char perms;
    qurt_addr_t virtaddr;
    qurt_paddr_t physaddr;
    qurt_size_t size;
} qurt_mem_region_attr_t;

extern qurt_mem_pool_t qurt_mem_default_pool;

int qurt_mem_cache_clean(
    qurt_addr_t address, qurt_size_t size, qurt_mem_cache_op_t operation,
    qurt_mem_cache_type_t type);
int qurt_mem_cache_clean2(
    qurt_addr_t address, qurt_size_t size, qurt_mem_cache_op_t operation,
    qurt_mem_cache_type_t type);
int qurt_mem_l2cache_line_lock(qurt_addr_t address, qurt_size_t size);
int qurt_mem_l2cache_line_unlock(qurt_addr_t address, qurt_size_t size);
qurt_paddr_t qurt_lookup_physaddr(qurt_addr_t address);
qurt_paddr_64_t qurt_lookup_physaddr_64(qurt_addr_t address);
void qurt_mem_barrier(void);
void qurt_mem_syncht(void);

int qurt_mem_pool_attach(const char* name, qurt_mem_pool_t* pool);
int qurt_mem_region_create(
    qurt_mem_region_t* region, qurt_size_t size, qurt_mem_pool_t pool,
    qurt_mem_region_attr_t* attr);
int qurt_mem_region_delete(qurt_mem_region_t region);
int qurt_mem_region_attr_get(qurt_mem_region_t region, qurt_mem_region_attr_t* attr);
void qurt_mem_region_attr_init(qurt_mem_region_attr_t* attr);

static inline void qurt_mem_region_attr_set_mapping(
    qurt_mem_region_attr_t* attr, qurt_mem_mapping_t mapping) {
    attr->mapping_type = mapping;
}
static inline void qurt_mem_region_attr_set_cache_mode(
    qurt_mem_region_attr_t* attr, qurt_mem_cache_mode_t mode) {
    attr->cache_mode = mode;
}
static inline void qurt_mem_region_attr_set_perms(qurt_mem_region_attr_t* attr, unsigned perms) {
    attr->perms = (unsigned char)perms;
}
static inline void qurt_mem_region_attr_get_virtaddr(
    qurt_mem_region_attr_t* attr, qurt_addr_t* address) {
    *address = attr->virtaddr;
}
static inline void qurt_mem_region_attr_get_physaddr(
    qurt_mem_region_attr_t* attr, qurt_paddr_t* address) {
    *address = attr->physaddr;
}
static inline void qurt_mem_region_attr_get_size(qurt_mem_region_attr_t* attr, qurt_size_t* size) {
    *size = attr->size;
}

#ifdef __cplusplus
}
#endif

#endif
