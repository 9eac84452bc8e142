/* From a message to arguments in memory; see qda.dsp.call and qda.fastrpc.payload, which say the
 * same in Python and are its judge.  Nothing that the message says is believed. */
#include "dsp.h"

typedef int32_t (*qda_entry)(uint32_t, union qda_remote_argument *);
typedef int32_t (*qda_handle_entry)(uint64_t, uint32_t, union qda_remote_argument *);

/* The region that holds all of [bus, bus + length), NULL if there is none. */
static struct qda_region *find(const struct qda_space *space, uint64_t bus, uint64_t length)
{
    uint32_t low = 0, high = space->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (space->regions[middle]->bus <= bus)
            low = middle + 1;
        else
            high = middle;
    }
    if (!low)
        return NULL;
    struct qda_region *region = space->regions[low - 1];
    uint64_t offset = bus - region->bus;
    return offset <= region->size && length <= region->size - offset ? region : NULL;
}

static unsigned char *reach(struct qda_space *space, struct qda_served *served, uint64_t bus,
                            uint64_t length)
{
    struct qda_region *region = find(space, bus, length);
    if (!region)
        return NULL;
    if (!served->pins || served->pinned[served->pins - 1] != region) {
        region->users++;
        served->pinned[served->pins++] = region;
    }
    return region->bytes + (bus - region->bus);
}

struct entry {
    struct qda_remote_buffer remote;
    struct qda_page page;
    uint32_t pages;
    int has_page;
};

static struct entry read_entry(const struct qda_served *served, uint32_t index)
{
    const unsigned char *remotes = served->metadata;
    const unsigned char *lists = remotes + sizeof(struct qda_remote_buffer) * served->shape.arguments;
    const unsigned char *pages = lists + sizeof(struct qda_listed) * served->shape.arguments;
    struct qda_listed listed;
    struct entry entry = { 0 };

    memcpy(&entry.remote, remotes + sizeof entry.remote * index, sizeof entry.remote);
    memcpy(&listed, lists + sizeof listed * index, sizeof listed);
    entry.pages = listed.pages;
    entry.has_page = listed.pages && listed.index < served->shape.arguments;
    if (entry.has_page)
        memcpy(&entry.page, pages + sizeof entry.page * listed.index, sizeof entry.page);
    return entry;
}

static uint32_t take_buffer(struct qda_space *space, struct qda_served *served, uint32_t index)
{
    static unsigned char nothing[1];
    struct qda_argument *argument = &served->arguments[index];
    struct entry entry = read_entry(served, index);

    memset(argument, 0, sizeof *argument);
    if (!entry.pages) {
        argument->bytes = nothing;
        return 0;
    }
    if (!entry.has_page)
        return QDA_BAD_PARAMETER;
    argument->length = entry.remote.length;
    argument->bytes = reach(space, served, entry.page.address + (entry.remote.pv & (QDA_PAGE - 1)),
                            argument->length);
    return argument->bytes ? 0 : QDA_BAD_ADDRESS;
}

static uint32_t take_handle(struct qda_space *space, struct qda_served *served, uint32_t index)
{
    struct qda_argument *argument = &served->arguments[index];
    struct entry entry = read_entry(served, index);
    struct qda_dma_handle handle;

    memcpy(&handle, &entry.remote, sizeof handle);
    memset(argument, 0, sizeof *argument);
    argument->fd = handle.fd;
    argument->offset = handle.offset;
    argument->length = handle.length;
    argument->raw = entry.remote.pv;
    if (!entry.has_page || !entry.page.size)
        return 0;
    if ((uint64_t)handle.offset + handle.length > entry.page.size)
        return QDA_BAD_ADDRESS;
    argument->bytes = reach(space, served, entry.page.address + handle.offset, handle.length);
    return argument->bytes ? 0 : QDA_BAD_ADDRESS;
}

static uint32_t take_arguments(struct qda_space *space, struct qda_served *served, uint32_t count)
{
    uint32_t needed = qda_metadata(count);
    if (served->message.size < needed)
        return QDA_BAD_PARAMETER;
    const unsigned char *metadata = reach(space, served, served->message.address, needed);
    if (!metadata)
        return QDA_BAD_ADDRESS;
    memcpy(served->metadata, metadata, QDA_PER_ARGUMENT * count);
    for (uint32_t index = 0; index < count; index++) {
        uint32_t status = index < served->shape.buffers ? take_buffer(space, served, index)
                                                        : take_handle(space, served, index);
        if (status)
            return status;
    }
    return 0;
}

static struct qda_module *find_module(const struct qda_space *space,
                                      const struct qda_message *message)
{
    uint32_t handle = message->handle;
    uint32_t low = 0, high = space->opened;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (space->modules[middle]->handle < handle)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == space->opened || space->modules[low]->handle != handle
        || space->modules[low]->client_id != message->client_id
        || space->modules[low]->first > (message->scalars >> 24 & 31))
        return NULL;
    return space->modules[low];
}

uint32_t qda_dsp_take(struct qda_space *space, struct qda_served *served, struct qda_lane *lane,
                      int32_t client_id, int driver)
{
    struct qda_message *message = &served->message;
    memcpy(message, lane->driver.record, sizeof *message);
    served->pins = 0;
    served->poll_word = NULL;
    served->module = NULL;
    served->shape = qda_shape_of(message->scalars);

    int control = message->handle == QDA_CONTROL_HANDLE;
    if ((control && !driver) || message->client_id != (control ? 0 : client_id))
        return QDA_NO_SUCH_CLIENT;
    uint32_t count = served->shape.arguments;
    uint64_t end = message->address + qda_metadata(count);
    /* First, as a call whose arguments are refused is answered as well. */
    if (served->polled && end >= message->address
        && message->size >= (uint64_t)qda_metadata(count) + QDA_POLL_WORD)
        served->poll_word = reach(space, served, end, QDA_POLL_WORD);
    if (count) {
        uint32_t status = take_arguments(space, served, count);
        if (status)
            return status;
    }
    served->module = find_module(space, message);
    if (served->module)
        served->module->users++;
    return 0;
}

int32_t qda_dsp_run(struct qda_served *served)
{
    const struct qda_module *module = served->module;
    uint32_t scalars = served->message.scalars;

    for (uint32_t index = 0; index < served->shape.arguments; index++) {
        const struct qda_argument *argument = &served->arguments[index];
        union qda_remote_argument *remote = &served->remote[index];
        if (index >= served->shape.buffers) {
            remote->handle = argument->raw;
        } else {
            /* C may touch no byte of an empty buffer, and with NULL it is noticed if it does. */
            remote->buffer.bytes = argument->length ? argument->bytes : NULL;
            remote->buffer.length = (size_t)argument->length;
        }
    }
    if (module->has_own)
        return ((qda_handle_entry)module->entry)(module->own, scalars, served->remote);
    return ((qda_entry)module->entry)(scalars, served->remote);
}

void qda_dsp_answer(const struct qda_served *served, struct qda_lane *lane, int32_t result)
{
    struct qda_response response = { .context = served->message.context, .result = result };
    const uint32_t polled = QDA_POLLED;
    memcpy(lane->dsp.record, &response, sizeof response);
    if (served->poll_word)
        memcpy(served->poll_word, &polled, QDA_POLL_WORD);
}

void qda_dsp_unpin(struct qda_served *served)
{
    if (served->module)
        served->module->users--;
    served->module = NULL;
    while (served->pins)
        served->pinned[--served->pins]->users--;
}
