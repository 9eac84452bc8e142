/* The driver's side of a call for vectors: the client's memory and mappings are Python's. */
#include <stdlib.h>

#include "driver.h"

enum { NAMES = 512 };

typedef int (*mover)(uint64_t there, unsigned char *here, uint64_t length);
typedef int (*locator)(uint64_t address, struct qda_area *found);

struct rig {
    struct qda_port port;
    mover read, write;
    locator find;
    struct qda_session session;
    struct qda_call call;
    struct qda_object *objects[NAMES], object[NAMES];
};

static long fetch(struct qda_port *port, const struct qda_piece *pieces, uint32_t count)
{
    struct rig *rig = (struct rig *)(void *)port;
    for (uint32_t i = 0; i < count; i++)
        if (rig->read(pieces[i].there, pieces[i].here, pieces[i].length))
            return -1;
    return 0;
}

static long store(struct qda_port *port, const struct qda_piece *pieces, uint32_t count)
{
    struct rig *rig = (struct rig *)(void *)port;
    for (uint32_t i = 0; i < count; i++)
        if (rig->write(pieces[i].there, pieces[i].here, pieces[i].length))
            return -1;
    return 0;
}

static long locate(struct qda_port *port, uint64_t address, struct qda_area *found)
{
    return ((struct rig *)(void *)port)->find(address, found);
}

struct rig *rig_new(unsigned char *pool, uint64_t device, int32_t client_id, uint32_t tag,
                    uint32_t lane, uint64_t limit, mover read, mover write, locator find)
{
    struct rig *rig = calloc(1, sizeof *rig);
    rig->port = (struct qda_port){ fetch, store, locate, limit };
    rig->read = read;
    rig->write = write;
    rig->find = find;
    rig->session.pool = pool;
    rig->session.device = device;
    rig->session.client_id = client_id;
    rig->session.tag = tag;
    rig->session.objects = rig->objects;
    rig->session.names = NAMES;
    rig->call.lane = lane;
    return rig;
}

void rig_add(struct rig *rig, uint32_t name, uint64_t device, uint64_t size)
{
    struct qda_object *object = rig->objects[name] = &rig->object[name];
    object->device = device;
    object->size = size;
    object->inode = name;
    object->named = 1;
}

long rig_begin(struct rig *rig, int32_t tid, uint32_t handle, uint32_t scalars, uint64_t elements)
{
    return qda_driver_begin(&rig->session, &rig->call, &rig->port, tid, handle, scalars, elements);
}

int rig_answered(struct rig *rig, int32_t *result)
{
    return qda_driver_answered(&rig->session, &rig->call, result);
}

long rig_finish(struct rig *rig)
{
    return qda_driver_finish(&rig->call, &rig->port);
}

/* How many users its objects have, once the call has let go of them. */
uint32_t rig_free(struct rig *rig)
{
    uint32_t users = 0;
    qda_driver_unpin(&rig->call);
    for (uint32_t name = 0; name < NAMES; name++)
        users += rig->object[name].users;
    free(rig);
    return users;
}
