/* Memory: the heap, caches that need no maintenance, regions. */
#define AEE_EOFFSET 0x80000400

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "AEEStdErr.h"
#include "qurt_alloc.h"
#include "qurt_memory.h"
#include "record.h"
#include "sysmon_cachelock.h"
#include "wait.h"

enum { LOCKABLE = 512 << 10, LINE = 128, PAGE = 4096 };

void *qurt_malloc(unsigned int size) { return malloc(size); }
void *qurt_calloc(unsigned int size, unsigned int count) { return calloc(count, size); }
void *qurt_realloc(void *memory, int size) { return realloc(memory, (size_t)size); }
void qurt_free(void *memory) { free(memory); }

void *qurt_memalign(unsigned int alignment, unsigned int size)
{
    void *memory = NULL;
    if (alignment < sizeof(void *))
        alignment = sizeof(void *);
    return posix_memalign(&memory, alignment, size) ? NULL : memory;
}

/* Caches. */

void record_bytes(struct count *count, unsigned long long bytes)
{
    unsigned long long calls = add(&count->calls, 1) + 1;
    unsigned long long all = add(&count->bytes, bytes) + bytes;
    if (!(calls & (calls - 1)))
        HAP_debug_v2(HAP_LEVEL_LOW, "qurt_memory.h", 0, "%s: called %llu times, for %llu bytes",
                     count->function, calls, all);
}

int qurt_mem_cache_clean(qurt_addr_t address, qurt_size_t size, qurt_mem_cache_op_t operation,
                         qurt_mem_cache_type_t type)
{
    static struct count count = { .function = "qurt_mem_cache_clean" };
    (void)address, (void)operation, (void)type;
    record_bytes(&count, size);
    return QURT_EOK;
}

int qurt_mem_cache_clean2(qurt_addr_t address, qurt_size_t size, qurt_mem_cache_op_t operation,
                          qurt_mem_cache_type_t type)
{
    return qurt_mem_cache_clean(address, size, operation, type);
}

int qurt_mem_l2cache_line_lock(qurt_addr_t address, qurt_size_t size)
{
    static struct count count = { .function = "qurt_mem_l2cache_line_lock" };
    if (address % LINE || size % LINE)
        return QURT_EALIGN;
    record_bytes(&count, size);
    return QURT_EOK;
}

int qurt_mem_l2cache_line_unlock(qurt_addr_t address, qurt_size_t size)
{
    return address % LINE || size % LINE ? QURT_EALIGN : QURT_EOK;
}

qurt_paddr_t qurt_lookup_physaddr(qurt_addr_t address) { return address; }
qurt_paddr_64_t qurt_lookup_physaddr_64(qurt_addr_t address) { return address; }
void qurt_mem_barrier(void) { __sync_synchronize(); }
void qurt_mem_syncht(void) { __sync_synchronize(); }

/* Locked memory, found by its address. */

struct locked {
    struct locked *next;
    void *memory;
    unsigned int size;
    int is_ours;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct locked *all_locked;

static unsigned int available(void)
{
    unsigned int left = LOCKABLE;
    for (struct locked *one = all_locked; one; one = one->next)
        left -= one->size;
    return left;
}

/* Lock memory, new memory for NULL; returns it, or NULL if there is not so much. */
static void *lock_memory(void *memory, unsigned int size)
{
    struct locked *made = malloc(sizeof *made);
    pthread_mutex_lock(&lock);
    void *found = memory;
    if (!made || !size || size > available()
        || (!memory && posix_memalign(&found, PAGE, (size + LINE - 1) & ~(LINE - 1u))))
        found = NULL;
    if (found) {
        *made = (struct locked){ all_locked, found, size, !memory };
        all_locked = made;
        record("sysmon_cachelock.h", "locked %u bytes in the cache", size);
    }
    pthread_mutex_unlock(&lock);
    if (!found)
        free(made);
    return found;
}

static int unlock_memory(void *memory)
{
    pthread_mutex_lock(&lock);
    struct locked **place = &all_locked;
    while (*place && (*place)->memory != memory)
        place = &(*place)->next;
    struct locked *gone = *place;
    if (gone) {
        *place = gone->next;
        if (gone->is_ours)
            free(gone->memory);
        record("sysmon_cachelock.h", "unlocked %u bytes in the cache", gone->size);
        free(gone);
    }
    pthread_mutex_unlock(&lock);
    return gone ? 0 : (int)AEE_EBADPARM;
}

void *HAP_cache_lock(unsigned int size, unsigned long long *physical)
{
    void *memory = lock_memory(NULL, size);
    if (memory && physical)
        *physical = (uintptr_t)memory;
    return memory;
}

int HAP_cache_lock_addr(void *memory, unsigned int size)
{
    return memory && lock_memory(memory, size) ? 0 : (int)AEE_ENOMEMORY;
}

int HAP_cache_unlock(void *memory) { return unlock_memory(memory); }
int HAP_cache_unlock_addr(void *memory) { return unlock_memory(memory); }

int HAP_query_avail_cachelock(void)
{
    pthread_mutex_lock(&lock);
    int left = (int)available();
    pthread_mutex_unlock(&lock);
    return left;
}

int HAP_query_total_cachelock(void) { return LOCKABLE; }

/* Regions: pages of the process, with what they were made with before them. */

qurt_mem_pool_t qurt_mem_default_pool = 1;

int qurt_mem_pool_attach(const char *name, qurt_mem_pool_t *pool)
{
    (void)name;
    *pool = qurt_mem_default_pool;
    return QURT_EOK;
}

void qurt_mem_region_attr_init(qurt_mem_region_attr_t *attr)
{
    *attr = (qurt_mem_region_attr_t){ .cache_mode = QURT_MEM_CACHE_WRITEBACK,
                                      .perms = QURT_PERM_READ | QURT_PERM_WRITE };
}

int qurt_mem_region_create(qurt_mem_region_t *region, qurt_size_t size, qurt_mem_pool_t pool,
                           qurt_mem_region_attr_t *attr)
{
    void *memory;
    (void)pool;
    if (!size || attr->mapping_type == QURT_MEM_MAPPING_NONE)
        return QURT_ENOTSUPPORTED;
    size = (size + PAGE - 1) & ~(PAGE - 1u);
    if (posix_memalign(&memory, PAGE, (size_t)size + PAGE))
        return QURT_EMEM;
    unsigned char *pages = (unsigned char *)memory + PAGE;
    attr->virtaddr = attr->physaddr = (uintptr_t)pages;
    attr->size = size;
    memcpy(memory, attr, sizeof *attr);
    memset(pages, 0, size);
    *region = (uintptr_t)memory;
    return QURT_EOK;
}

int qurt_mem_region_attr_get(qurt_mem_region_t region, qurt_mem_region_attr_t *attr)
{
    memcpy(attr, (const void *)region, sizeof *attr);
    return QURT_EOK;
}

int qurt_mem_region_delete(qurt_mem_region_t region)
{
    free((void *)region);
    return QURT_EOK;
}
