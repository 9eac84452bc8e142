/* From argument elements to a message; see qda.driver.packing and qda.fastrpc.payload, which say
 * the same in Python and are its judge. */
#include "driver.h"

static int is_inline(const struct qda_element *element)
{
    return element->fd == 0 || element->fd == -1;
}

static uint64_t end_of(const struct qda_element *element)
{
    return element->address + element->length;
}

/* No correct program asks for any of this: H05, H06, H07, and addresses that are not its own. */
static int is_refused(const struct qda_element *element, uint64_t limit)
{
    if (element->fd < -1 || element->length > QDA_LONGEST)
        return 1;
    if (!element->length)
        return 0; /* nothing of it is touched */
    return element->address >= limit || element->length > limit - element->address;
}

/* Whether A is placed before B: by start, the longer first, then in argument order. */
static int comes_first(const struct qda_element *elements, uint16_t a, uint16_t b)
{
    const struct qda_element *first = &elements[a], *second = &elements[b];
    if (first->address != second->address)
        return first->address < second->address;
    if (first->length != second->length)
        return first->length > second->length;
    return a < b;
}

/* Sort the buffers of a call into the order in which they are placed: merges of growing runs. */
static const uint16_t *placing_order(struct qda_call *call, uint32_t count)
{
    uint16_t *from = call->order, *to = call->other;
    uint32_t sorted = 1;
    for (uint32_t i = 0; i < count; i++) {
        from[i] = (uint16_t)i;
        sorted &= !i || comes_first(call->elements, (uint16_t)(i - 1), (uint16_t)i);
    }
    for (uint32_t run = sorted ? count : 1; run < count; run *= 2) {
        for (uint32_t start = 0; start < count; start += 2 * run) {
            uint32_t middle = start + run < count ? start + run : count;
            uint32_t end = middle + run < count ? middle + run : count;
            uint32_t a = start, b = middle;
            for (uint32_t i = start; i < end; i++) {
                int left = a < middle
                    && (b >= end || comes_first(call->elements, from[a], from[b]));
                to[i] = left ? from[a++] : from[b++];
            }
        }
        uint16_t *swapped = from;
        from = to;
        to = swapped;
    }
    return from;
}

/* Place the inline buffers and list the input bytes, each once (H29).  Returns the size of the
 * message, or 0 if there is no room for it or inline bytes overlap a buffer object's (H08). */
static uint64_t lay_out(struct qda_call *call, struct qda_shape shape, uint32_t *inputs,
                        struct qda_room room, uint64_t metadata)
{
    const uint16_t *order = placing_order(call, shape.buffers);
    uint64_t size = qda_align(metadata, QDA_ALIGNMENT), cursor = metadata;
    uint64_t covered = 0, copied = 0, ends[2] = { 0, 0 };

    *inputs = 0;
    for (uint32_t i = 0; i < shape.buffers; i++) {
        uint32_t index = order[i];
        const struct qda_element *element = &call->elements[index];
        uint64_t start = element->address, end = end_of(element), own = 0, offset = 0;
        int here = is_inline(element);

        call->positions[index] = -1;
        if (element->length && start < ends[!here])
            return 0;
        if (element->length && end > ends[here])
            ends[here] = end;
        if (start >= covered) {
            own = end - start;
            covered = end;
        } else {
            offset = covered - start;
            if (end > covered) {
                own = end - covered;
                covered = end;
            }
        }
        if (!here)
            continue;
        if (!offset)
            size = qda_align(size, QDA_ALIGNMENT);
        size += own;
        if (size > room.size)
            return 0;
        if (!element->length)
            continue;
        if (!offset)
            cursor = qda_align(cursor, QDA_ALIGNMENT);
        call->positions[index] = (int64_t)(cursor - offset);
        cursor += own;
        if (index < shape.inputs) {
            uint64_t from = start > copied ? start : copied;
            if (end > from) {
                struct qda_piece *piece = &call->input[(*inputs)++];
                piece->there = from;
                piece->here = room.bytes + call->positions[index] + (from - start);
                piece->length = end - from;
            }
            if (end > copied)
                copied = end;
        }
    }
    return size;
}

static struct qda_object *take(struct qda_session *session, int32_t name)
{
    if (session->take)
        return session->take(session, name);
    struct qda_object *object = (uint32_t)name < session->names ? session->objects[name] : NULL;
    if (object)
        object->users++;
    return object;
}

/* Find where in its object an argument lies.  `area` is the mapping that was asked for last: the
 * arguments of a call often lie in one.  The next call asks again, since mappings change. */
static int find_offset(struct qda_call *call, struct qda_port *port, uint32_t index, int is_buffer,
                       struct qda_object *object, struct qda_area *area)
{
    const struct qda_element *element = &call->elements[index];
    uint64_t offset = element->address;

    if (is_buffer) {
        /* H09 to H12: the address lies in a mapping of this object, wherever that begins. */
        if ((offset < area->start || offset >= area->end) && port->locate(port, offset, area)) {
            area->end = 0;
            return 0;
        }
        if (area->inode != object->inode || area->major != object->major
            || area->minor != object->minor)
            return 0;
        offset = element->address - area->start + area->offset;
    }
    if (offset > object->size || element->length > object->size - offset)
        return 0; /* H11, H13 */
    call->backing[index].object = object;
    call->backing[index].offset = offset;
    return 1;
}

/* Find the objects of a call's arguments, and keep them in place: of neighbours in one object, once. */
static int pin_all(struct qda_session *session, struct qda_call *call, struct qda_port *port,
                   struct qda_shape shape)
{
    struct qda_object *object = NULL;
    struct qda_area area = { 0 };
    int32_t name = 0;

    for (uint32_t index = 0; index < shape.arguments; index++) {
        const struct qda_element *element = &call->elements[index];
        int is_buffer = index < shape.buffers;
        if (element->fd <= 0 || (!element->length && is_buffer))
            continue;
        if (element->fd != name) {
            object = take(session, element->fd);
            if (!object)
                return 0;
            call->pinned[call->pins++] = object;
            name = element->fd;
        }
        if (!find_offset(call, port, index, is_buffer, object, &area))
            return 0;
    }
    return 1;
}

static uint64_t pages_of(uint64_t address, uint64_t length)
{
    return qda_align((address & (QDA_PAGE - 1)) + length, QDA_PAGE);
}

static void describe_buffer(const struct qda_call *call, uint32_t index, uint64_t device,
                            struct qda_remote_buffer *remote, struct qda_page *page)
{
    const struct qda_element *element = &call->elements[index];
    if (!element->length)
        return;
    remote->length = element->length;
    if (is_inline(element)) {
        remote->pv = device + (uint64_t)call->positions[index];
        page->address = remote->pv & -(uint64_t)QDA_PAGE;
    } else {
        remote->pv = element->address;
        page->address = (call->backing[index].object->device + call->backing[index].offset)
            & -(uint64_t)QDA_PAGE;
    }
    page->size = pages_of(remote->pv, element->length);
}

static void describe_handle(const struct qda_call *call, uint32_t index,
                            struct qda_remote_buffer *remote, struct qda_page *page)
{
    const struct qda_element *element = &call->elements[index];
    if (element->fd <= 0) {
        remote->pv = element->address;
        remote->length = element->length;
        return;
    }
    struct qda_dma_handle *handle = (struct qda_dma_handle *)(void *)remote;
    handle->fd = element->fd;
    handle->offset = (uint32_t)element->address;
    handle->length = (uint32_t)element->length;
    page->address = call->backing[index].object->device;
    page->size = call->backing[index].object->size;
}

/* Write the metadata into the zeroed message.  Its address on the bus also stands for that on the
 * host (H19). */
static void describe(const struct qda_call *call, struct qda_shape shape, struct qda_room room)
{
    struct qda_remote_buffer *remote = (void *)room.bytes;
    struct qda_listed *listed = (void *)(remote + shape.arguments);
    struct qda_page *pages = (void *)(listed + shape.arguments);

    for (uint32_t index = 0; index < shape.arguments; index++) {
        listed[index].pages = call->elements[index].length != 0;
        listed[index].index = index;
        if (index < shape.buffers)
            describe_buffer(call, index, room.device, &remote[index], &pages[index]);
        else
            describe_handle(call, index, &remote[index], &pages[index]);
    }
}

static void list_outputs(struct qda_call *call, struct qda_shape shape, unsigned char *message)
{
    for (uint32_t index = shape.inputs; index < shape.buffers; index++) {
        if (call->positions[index] < 0)
            continue;
        struct qda_piece *piece = &call->output[call->outputs++];
        piece->there = call->elements[index].address;
        piece->here = message + call->positions[index];
        piece->length = call->elements[index].length;
    }
}

/* How long the metadata is, with the poll word behind it where there is one. */
static uint64_t metadata_of(const struct qda_session *session, struct qda_shape shape)
{
    return qda_metadata(shape.arguments)
        + (session->tag & QDA_TAG_NUMBERED ? QDA_POLL_WORD : 0);
}

/* The word by which the answer to a call will be known. */
static uint64_t context_of(const struct qda_session *session, const struct qda_call *call)
{
    uint64_t domain = session->tag & QDA_TAG_DOMAIN;
    if (session->tag & QDA_TAG_NUMBERED)
        return (uint64_t)(call->number + 1) << 16 | (uint64_t)call->lane << 8 | domain;
    return (uint64_t)call->lane << 4 | domain;
}

/* The memory that a message is made in: what the lane has of its own if it may not fit the slot. */
static struct qda_room room_for(const struct qda_session *session, const struct qda_call *call,
                                struct qda_shape shape)
{
    uint64_t offset = (uint64_t)QDA_SLOT * call->lane, most = metadata_of(session, shape);

    for (uint32_t index = 0; index < shape.buffers; index++)
        if (is_inline(&call->elements[index]))
            most += qda_align(call->elements[index].length, QDA_ALIGNMENT);
    if (most + QDA_ALIGNMENT > QDA_SLOT && call->longer.size > QDA_SLOT)
        return call->longer;
    return (struct qda_room){ session->pool + offset, session->device + offset, QDA_SLOT };
}

/* Make the message: where it lies and how long it is, in whole pages; of 0 bytes if the call is
 * declined. */
static struct qda_room fill(struct qda_session *session, struct qda_call *call,
                            struct qda_port *port, struct qda_shape shape, uint64_t elements)
{
    struct qda_room room = { NULL, 0, 0 };
    uint64_t bytes = sizeof(struct qda_element) * shape.arguments;
    struct qda_piece array = { elements, (unsigned char *)call->elements, bytes };
    uint32_t inputs = 0;

    if (bytes && port->fetch(port, &array, 1))
        return room;
    for (uint32_t index = 0; index < shape.buffers; index++)
        if (is_refused(&call->elements[index], port->limit))
            return room;
    for (uint32_t index = 0; session->tag & QDA_TAG_HANDLES && index < shape.arguments; index++)
        if (call->elements[index].fd < 0)
            return room; /* a large handle: nothing that is small and negative */
    struct qda_room whole = room_for(session, call, shape);
    uint64_t used = bytes ? lay_out(call, shape, &inputs, whole, metadata_of(session, shape)) : 1;
    uint64_t size = qda_align(used, QDA_PAGE);
    if (!size || !pin_all(session, call, port, shape))
        return room;
    memset(whole.bytes, 0, (size_t)size);
    if (inputs && port->fetch(port, call->input, inputs))
        return room;
    if (bytes)
        describe(call, shape, whole);
    list_outputs(call, shape, whole.bytes);
    whole.size = size;
    return whole;
}

int64_t qda_driver_begin(struct qda_session *session, struct qda_call *call, struct qda_port *port,
                         int32_t tid, uint32_t handle, uint32_t scalars, uint64_t elements)
{
    struct qda_shape shape = qda_shape_of(scalars);
    struct qda_lane *lane = qda_lane_of(session->pool, call->lane);

    call->outputs = call->pins = 0;
    struct qda_room room = { NULL, 0, 0 };
    if (handle != QDA_CONTROL_HANDLE) /* H04 */
        room = fill(session, call, port, shape, elements);
    if (!room.size) {
        qda_driver_unpin(call);
        return QDA_DECLINED;
    }
    call->context = context_of(session, call);
    struct qda_message message = {
        .client_id = session->client_id,
        .tid = tid,
        .context = call->context,
        .handle = handle,
        .scalars = scalars,
        .address = room.device,
        .size = room.size,
    };
    memcpy(lane->driver.record, &message, sizeof message);
    return 0;
}

int qda_driver_answered(struct qda_session *session, struct qda_call *call, int32_t *result)
{
    struct qda_response response;
    memcpy(&response, qda_lane_of(session->pool, call->lane)->dsp.record, sizeof response);
    *result = response.result;
    return response.context == call->context;
}

long qda_driver_finish(struct qda_call *call, struct qda_port *port)
{
    return call->outputs ? port->store(port, call->output, call->outputs) : 0;
}

void qda_driver_unpin(struct qda_call *call)
{
    while (call->pins)
        call->pinned[--call->pins]->users--;
}
