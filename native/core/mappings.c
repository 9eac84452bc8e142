#include "mappings.h"

#include "queue.h"

#include <stdlib.h>
#include <string.h>

struct qda_mappings *qda_mappings_make(void)
{
    struct qda_mappings *mappings = calloc(1, sizeof *mappings);
    if (!mappings)
        return NULL;
    pthread_mutex_init(&mappings->lock, NULL);
    mappings->holders = 1;
    return mappings;
}

struct qda_mappings *qda_mappings_hold(struct qda_mappings *mappings)
{
    pthread_mutex_lock(&mappings->lock);
    mappings->holders++;
    pthread_mutex_unlock(&mappings->lock);
    return mappings;
}

void qda_mappings_release(struct qda_mappings *mappings)
{
    pthread_mutex_lock(&mappings->lock);
    int last = !--mappings->holders;
    pthread_mutex_unlock(&mappings->lock);
    if (!last)
        return;
    pthread_mutex_destroy(&mappings->lock);
    free(mappings->all);
    free(mappings);
}

int qda_mappings_add(struct qda_mappings *mappings, struct qda_mapping added)
{
    pthread_mutex_lock(&mappings->lock);
    struct qda_mapping *all = realloc(mappings->all, (mappings->count + 1) * sizeof *all);
    if (all) {
        all[mappings->count++] = added;
        mappings->all = all;
    }
    pthread_mutex_unlock(&mappings->lock);
    return all ? 0 : -1;
}

void qda_mappings_remove(struct qda_mappings *mappings, uint64_t address)
{
    pthread_mutex_lock(&mappings->lock);
    for (uint32_t i = mappings->count; i-- > 0;) {
        if (mappings->all[i].address != address)
            continue;
        mappings->count--;
        memmove(mappings->all + i, mappings->all + i + 1,
                (mappings->count - i) * sizeof *mappings->all);
        break;
    }
    pthread_mutex_unlock(&mappings->lock);
}

uint32_t qda_mappings_refer(struct qda_mappings *mappings, int32_t client_id, int32_t fd, int change,
                            struct qda_mapping *found)
{
    uint32_t status = QDA_QUEUE_NO_SUCH_MAP;
    pthread_mutex_lock(&mappings->lock);
    for (uint32_t i = mappings->count; i-- > 0;) {
        struct qda_mapping *mapping = mappings->all + i;
        if (mapping->fd != fd || mapping->client_id != client_id)
            continue;
        status = change < 0 && !mapping->references ? QDA_QUEUE_BAD_PARAMETER : 0;
        if (!status) {
            mapping->references += (uint32_t)change;
            *found = *mapping;
        }
        break;
    }
    pthread_mutex_unlock(&mappings->lock);
    return status;
}
