/* What one user has at a time: VTCM, the matrix unit, and the right to run alone.
 *
 * Who cannot have what it asks for waits until something is released, and asks cached contexts for
 * it, as the resource manager of a DSP does. */
#include "contexts.h"

#include <stdlib.h>

#include "wait.h"

pthread_mutex_t contexts_lock = PTHREAD_MUTEX_INITIALIZER;
struct context *contexts;
unsigned char *vtcm;
unsigned int contexts_waiting;
static unsigned int last_id, changes;

struct context *find_context(unsigned int id)
{
    struct context *context = contexts;
    while (context && context->id != id)
        context = context->next;
    return context;
}

void contexts_changed(void)
{
    add(&changes, 1);
    wake_word(&changes, INT_MAX);
}

unsigned int changes_so_far(void) { return load(&changes); }

int wait_for_change(unsigned int seen, uint64_t deadline)
{
    pthread_mutex_unlock(&contexts_lock);
    int in_time = wait_word(&changes, seen, deadline);
    pthread_mutex_lock(&contexts_lock);
    return in_time;
}

/* VTCM. */

/* The end of the free place that begins there, `begin` if it is taken.  Cached contexts that have
 * nothing at the moment count if that is wished. */
static unsigned int free_until(const struct context *context, unsigned int begin, int with_cached)
{
    unsigned int end = VTCM;
    for (const struct context *other = contexts; other; other = other->next) {
        if (other == context || !(other->granted || with_cached)
            || other->offset + other->size <= begin)
            continue;
        if (other->offset <= begin)
            return begin;
        if (other->offset < end)
            end = other->offset;
    }
    return end;
}

/* It begins at 0, or where another's ends. */
unsigned int largest_free(const struct context *context, int with_cached, unsigned int *offset)
{
    unsigned int largest = free_until(context, 0, with_cached);
    *offset = 0;
    for (const struct context *other = contexts; other; other = other->next) {
        unsigned int begin = other->offset + other->size;
        unsigned int size = free_until(context, begin, with_cached) - begin;
        if (size > largest) {
            largest = size;
            *offset = begin;
        }
    }
    return largest;
}

static int place(struct context *context, int with_cached)
{
    unsigned int wanted = context->wish.vtcm_size, least = context->wish.min_vtcm_size, offset;
    unsigned int largest = largest_free(context, with_cached, &offset);
    if (largest < wanted && (!least || largest < least))
        return 0;
    context->offset = offset;
    context->size = largest < wanted ? largest : wanted;
    return 1;
}

/* A cached context gets its place for good, so that its address stays. */
static void place_cached(struct context *context)
{
    if (!place(context, 1)) {
        context->offset = 0;
        context->size = context->wish.vtcm_size < VTCM ? context->wish.vtcm_size : VTCM;
    }
}

static int has_vtcm(struct context *context)
{
    if (!context->wish.cached)
        return place(context, 0);
    return free_until(context, context->offset, 0) >= context->offset + context->size;
}

/* Waiting. */

static int is_alone(const struct context *context)
{
    for (const struct context *other = contexts; other; other = other->next)
        if (other != context && other->granted
            && ((other->wish.serialize && context->wish.serialize)
                || (other->wish.hmx && context->wish.hmx)))
            return 0;
    return 1;
}

/* One that has something only for the time being, and has not been asked for it. */
static struct context *someone_to_ask(void)
{
    struct context *other = contexts;
    while (other && !(other->granted && other->wish.callback && !other->asked))
        other = other->next;
    return other;
}

static void ask_others(void)
{
    for (struct context *other; (other = someone_to_ask());) {
        struct wish wish = other->wish;
        unsigned int id = other->id;
        other->asked = 1;
        pthread_mutex_unlock(&contexts_lock);
        wish.callback(id, wish.client_context);
        pthread_mutex_lock(&contexts_lock);
    }
}

int obtain(struct context *context, uint64_t deadline)
{
    int in_time = 1;
    context->waits = 1;
    contexts_waiting++;
    while (!(context->granted = is_alone(context) && has_vtcm(context)) && in_time) {
        unsigned int seen = load(&changes);
        ask_others();
        in_time = wait_for_change(seen, deadline);
    }
    context->waits = context->asked = 0;
    contexts_waiting--;
    return context->granted;
}

/* Contexts. */

struct context *add_context(const struct wish *wish)
{
    if (!vtcm && posix_memalign((void **)&vtcm, VTCM, VTCM)) {
        vtcm = NULL;
        return NULL;
    }
    struct context *context = calloc(1, sizeof *context);
    if (!context)
        return NULL;
    context->wish = *wish;
    context->id = ++last_id;
    if (wish->cached)
        place_cached(context);
    context->next = contexts;
    contexts = context;
    return context;
}

void drop_context(struct context *context)
{
    struct context **at = &contexts;
    while (*at != context)
        at = &(*at)->next;
    *at = context->next;
    free(context);
    contexts_changed();
}

