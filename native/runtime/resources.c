/* The resource manager, HAP_compute_res.h and HAP_vtcm_mgr.h: each acquisition is a context. */
#define AEE_EOFFSET 0x80000400

#include "HAP_compute_res.h"

#include <string.h>

#include "AEEStdErr.h"
#include "HAP_vtcm_mgr.h"
#include "contexts.h"
#include "record.h"
#include "wait.h"

enum { MAGIC = 0x71726573 };

static unsigned int hmx_owner;

static int give_up(int status)
{
    pthread_mutex_unlock(&contexts_lock);
    return status;
}

/* The context, 0 if it could not be had. */
static unsigned int acquire(struct wish *wish, unsigned int timeout_us)
{
    if (wish->vtcm_size > VTCM && (!wish->min_vtcm_size || wish->min_vtcm_size > VTCM))
        return 0;
    pthread_mutex_lock(&contexts_lock);
    struct context *context = add_context(wish);
    if (context && !wish->cached && !obtain(context, deadline_in(timeout_us))) {
        drop_context(context);
        context = NULL;
    }
    unsigned int id = wish->context = context ? context->id : 0;
    record("HAP_compute_res.h", "acquired %u: %u of %u bytes of VTCM%s%s%s", id,
           context ? context->size : 0, wish->vtcm_size, wish->hmx ? ", HMX" : "",
           wish->serialize ? ", alone" : "", wish->cached ? ", cached" : "");
    pthread_mutex_unlock(&contexts_lock);
    return id;
}

static int release(struct context *context)
{
    if (!context)
        return give_up((int)AEE_EBADPARM);
    if (context->waits)
        return give_up((int)AEE_EITEMBUSY);
    record("HAP_compute_res.h", "released %u", context->id);
    if (hmx_owner == context->id)
        hmx_owner = 0;
    drop_context(context);
    return give_up(0);
}

static struct wish *wish_of(compute_res_attr_t *attr)
{
    _Static_assert(sizeof(struct wish) <= sizeof(compute_res_attr_t), "a wish fits in an attribute");
    struct wish *wish = (struct wish *)attr;
    return wish && wish->magic == MAGIC ? wish : NULL;
}

int compute_resource_attr_init(compute_res_attr_t *attr)
{
    struct wish wish = { .magic = MAGIC };
    if (!attr)
        return (int)AEE_EBADPARM;
    memset(attr, 0, sizeof *attr);
    memcpy(attr, &wish, sizeof wish);
    return 0;
}

#define SET(attr, statement)                                                                       \
    do {                                                                                           \
        struct wish *wish = wish_of(attr);                                                         \
        if (!wish)                                                                                 \
            return (int)AEE_EBADPARM;                                                              \
        statement;                                                                                 \
        return 0;                                                                                  \
    } while (0)

int compute_resource_attr_set_serialize(compute_res_attr_t *attr, unsigned char enable)
{
    SET(attr, wish->serialize = enable);
}

int compute_resource_attr_set_hmx_param(compute_res_attr_t *attr, unsigned char enable)
{
    SET(attr, wish->hmx = enable);
}

int compute_resource_attr_set_cache_mode(compute_res_attr_t *attr, unsigned char enable)
{
    SET(attr, wish->cached = enable);
}

int compute_resource_attr_set_app_type(compute_res_attr_t *attr, unsigned int application_id)
{
    SET(attr, (void)application_id);
}

int compute_resource_attr_set_release_callback(compute_res_attr_t *attr,
                                               compute_res_release_callback_t callback,
                                               void *client_context)
{
    SET(attr, wish->callback = callback; wish->client_context = client_context);
}

static unsigned int in_pages(unsigned int size)
{
    return size > VTCM ? size : (size + PAGE - 1) & ~(unsigned int)(PAGE - 1);
}

int compute_resource_attr_set_vtcm_param_v2(compute_res_attr_t *attr, unsigned int vtcm_size,
                                            unsigned int min_page_size, unsigned int min_vtcm_size)
{
    (void)min_page_size; /* all of VTCM is one page */
    SET(attr, wish->vtcm_size = in_pages(vtcm_size); wish->min_vtcm_size = in_pages(min_vtcm_size));
}

int compute_resource_attr_set_vtcm_param(compute_res_attr_t *attr, unsigned int vtcm_size,
                                         unsigned char single_page)
{
    (void)single_page;
    return compute_resource_attr_set_vtcm_param_v2(attr, vtcm_size, 0, 0);
}

int compute_resource_attr_get_vtcm_ptr_v2(compute_res_attr_t *attr, void **vtcm_ptr,
                                          unsigned int *vtcm_size)
{
    struct wish *wish = wish_of(attr);
    if (!wish || !vtcm_ptr || !vtcm_size)
        return (int)AEE_EBADPARM;
    pthread_mutex_lock(&contexts_lock);
    struct context *context = find_context(wish->context);
    if (!context || !context->size)
        return give_up((int)AEE_ERESOURCENOTFOUND);
    *vtcm_ptr = vtcm + context->offset;
    *vtcm_size = context->size;
    return give_up(0);
}

void *compute_resource_attr_get_vtcm_ptr(compute_res_attr_t *attr)
{
    void *found = NULL;
    unsigned int size;
    return compute_resource_attr_get_vtcm_ptr_v2(attr, &found, &size) ? NULL : found;
}

unsigned int compute_resource_acquire(compute_res_attr_t *attr, unsigned int timeout_us)
{
    struct wish *wish = wish_of(attr);
    return wish ? acquire(wish, timeout_us) : 0;
}

int compute_resource_release(unsigned int id)
{
    pthread_mutex_lock(&contexts_lock);
    return release(find_context(id));
}

int compute_resource_acquire_cached(unsigned int id, unsigned int timeout_us)
{
    pthread_mutex_lock(&contexts_lock);
    struct context *context = find_context(id);
    if (!context || !context->wish.cached)
        return give_up((int)AEE_EBADPARM);
    if (context->granted || context->waits)
        return give_up((int)AEE_EITEMBUSY);
    return give_up(obtain(context, deadline_in(timeout_us)) ? 0 : (int)AEE_EEXPIRED);
}

int compute_resource_release_cached(unsigned int id)
{
    pthread_mutex_lock(&contexts_lock);
    struct context *context = find_context(id);
    if (!context || !context->wish.cached || !context->granted)
        return give_up((int)AEE_EBADPARM);
    context->granted = context->asked = 0;
    contexts_changed();
    return give_up(0);
}

int compute_resource_check_release_request(unsigned int id)
{
    pthread_mutex_lock(&contexts_lock);
    struct context *context = find_context(id);
    return give_up(!context ? (int)AEE_EBADPARM : context->granted && contexts_waiting ? 1 : 0);
}

int compute_resource_hmx_lock(unsigned int id)
{
    pthread_mutex_lock(&contexts_lock);
    for (;;) {
        struct context *context = find_context(id);
        if (!context || !context->wish.hmx || !context->granted)
            return give_up((int)AEE_EBADPARM);
        if (!hmx_owner)
            break;
        wait_for_change(changes_so_far(), FOR_EVER);
    }
    hmx_owner = id;
    return give_up(0);
}

int compute_resource_hmx_unlock(unsigned int id)
{
    pthread_mutex_lock(&contexts_lock);
    if (!id || hmx_owner != id)
        return give_up((int)AEE_EBADPARM);
    hmx_owner = 0;
    contexts_changed();
    return give_up(0);
}

static void describe(compute_res_vtcm_page_t *layout, unsigned int size)
{
    if (!layout)
        return;
    memset(layout, 0, sizeof *layout);
    layout->block_size = size;
    layout->page_list_len = size != 0;
    layout->page_list[0] = (compute_res_vtcm_page_def_t){ size, size != 0 };
}

int compute_resource_query_VTCM(unsigned int application_id, unsigned int *total_block_size,
                                compute_res_vtcm_page_t *total_block_layout,
                                unsigned int *avail_block_size,
                                compute_res_vtcm_page_t *avail_block_layout)
{
    unsigned int offset;
    (void)application_id;
    pthread_mutex_lock(&contexts_lock);
    unsigned int free_size = largest_free(NULL, 0, &offset);
    if (total_block_size)
        *total_block_size = VTCM;
    if (avail_block_size)
        *avail_block_size = free_size;
    describe(total_block_layout, VTCM);
    describe(avail_block_layout, free_size);
    return give_up(0);
}

/* The older calls: a context goes by the address of its VTCM. */

void *HAP_request_async_VTCM(unsigned int size, unsigned int single_page, unsigned int timeout_us)
{
    compute_res_attr_t attr;
    compute_resource_attr_init(&attr);
    compute_resource_attr_set_vtcm_param(&attr, size, single_page != 0);
    return size && compute_resource_acquire(&attr, timeout_us)
               ? compute_resource_attr_get_vtcm_ptr(&attr)
               : NULL;
}

void *HAP_request_VTCM(unsigned int size, unsigned int single_page)
{
    return HAP_request_async_VTCM(size, single_page, 0);
}

int HAP_release_VTCM(void *memory)
{
    pthread_mutex_lock(&contexts_lock);
    struct context *context = contexts;
    while (context && !(context->granted && context->size && vtcm + context->offset == memory))
        context = context->next;
    return release(context);
}

int HAP_query_total_VTCM(unsigned int *page_size, unsigned int *page_count)
{
    if (page_size)
        *page_size = VTCM;
    if (page_count)
        *page_count = 1;
    return 0;
}

int HAP_query_avail_VTCM(unsigned int *avail_block_size, unsigned int *max_page_size,
                         unsigned int *num_pages)
{
    unsigned int found;
    compute_resource_query_VTCM(0, NULL, NULL, &found, NULL);
    if (avail_block_size)
        *avail_block_size = found;
    if (max_page_size)
        *max_page_size = found;
    if (num_pages)
        *num_pages = found != 0;
    return 0;
}
