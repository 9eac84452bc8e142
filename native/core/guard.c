/* Who looks after the waits of a session.
 *
 * A lane lies in memory that the DSP's program can write to by mistake.  Then a side says that it
 * is awake when it sleeps, or an answer that was there is no more, and both wait for ever.  The
 * driver's own words nobody else may write, and those of the DSP can only have two values: the
 * number of what was asked last, if that is answered, or the one before.  Who finds others, and a
 * while later again, knows that the protection domain is out of order. */
#include "pool.h"

#include <poll.h>
#include <unistd.h>

PyObject *qda_pool_guard(PyObject *object, PyObject *bell)
{
    struct qda_pool *self = (struct qda_pool *)object;
    long number = PyLong_AsLong(bell);
    if (number == -1 && PyErr_Occurred())
        return NULL;
    atomic_store(&self->guard.told, number < 0); /* nobody is to be told */
    self->guard.bell = (int)number;
    Py_RETURN_NONE;
}

/* Wake who sleeps on our end of a pipe, unless it has bytes; never waits. */
static void rouse(int end)
{
    struct pollfd room = { end, POLLOUT, 0 };
    if (poll(&room, 1, 0) == 1 && room.revents & POLLOUT)
        (void)!write(end, "", 1);
}

/* Whether the words of a lane are as they can be, of which the waiter sleeps. */
static int is_in_order(struct qda_entry *entry)
{
    struct qda_waiter *waiter = &entry->waiter;
    uint32_t number = entry->call.number, told = atomic_load(&waiter->other->bell);
    if (atomic_load(&waiter->mine->bell) != number)
        return 0;
    if (told == number) {
        int answered = qda_has_rung(waiter->other, number, &entry->call.context);
        if (answered)
            rouse(waiter->sleep);
        return answered;
    }
    if (told != number - 1)
        return 0;
    rouse(waiter->wake);
    /* Python's handler of a signal that came after the last look at them, and before the sleep, has
     * not run: nothing would end the sleep for it. */
    atomic_store(&waiter->roused, 1);
    rouse(waiter->sleep);
    return 1;
}

PyObject *qda_pool_look(PyObject *object, PyObject *nothing)
{
    struct qda_pool *self = (struct qda_pool *)object;
    long sleepers = 0;
    (void)nothing;
    if (self->guard.bell >= 0)
        atomic_store(&self->guard.told, 0);
    for (uint32_t number = 1; number <= QDA_LANES; number++) {
        struct qda_entry *entry = self->lanes[number];
        uint32_t sleep = entry ? atomic_load(&entry->waiter.sleeps) : 0;
        if (!(sleep & 1))
            continue;
        sleepers++;
        uint32_t asked = entry->call.number;
        if (is_in_order(entry) || atomic_load(&entry->waiter.sleeps) != sleep)
            entry->doubted = asked - 1;
        else if (entry->doubted == asked)
            return PyLong_FromLong(-(long)number);
        else
            entry->doubted = asked;
    }
    return PyLong_FromLong(sleepers);
}
