/* A process that calls, for Python: `Port`. */
#define _GNU_SOURCE
#include "module.h"

#include <sys/mman.h>
#include <unistd.h>

/* A thread asks the kernel for its number once: that takes as long as the rest of a call's way
 * through the driver.  A child of fork has another one, and knows itself by a page that the kernel
 * clears for it.  `process` is what stands there, and another number in each child. */
static uint32_t *page, process;

static void make_page(void)
{
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    void *made = page ? MAP_FAILED : mmap(NULL, size, PROT_READ | PROT_WRITE,
                                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (made == MAP_FAILED)
        return;
    if (madvise(made, size, MADV_WIPEONFORK))
        munmap(made, size);
    else
        page = made;
}

int32_t qda_this_thread(void)
{
    static _Thread_local struct {
        uint32_t process;
        int32_t number;
    } known;

    if (!page)
        return gettid();
    if (!*page)
        *page = ++process;
    if (known.process != *page) {
        known.process = *page;
        known.number = gettid();
    }
    return known.number;
}

static PyObject *port_new(PyTypeObject *type, PyObject *arguments, PyObject *names)
{
    static char *words[] = { "pid", "limit", "maps", NULL };
    unsigned long long limit;
    int pid, maps;
    if (!PyArg_ParseTupleAndKeywords(arguments, names, "iKi:Port", words, &pid, &limit, &maps))
        return NULL;
    struct qda_port_object *self = qda_allocate(type);
    make_page();
    if (self)
        qda_client_init(&self->client, pid, limit, maps);
    return (PyObject *)self;
}

static PyType_Slot port_slots[] = {
    { Py_tp_doc, "Port(pid, limit, maps): a process whose memory calls name.  `maps` is a\n"
                 "descriptor of its /proc/PID/maps, `limit` the first address above user space." },
    { Py_tp_new, port_new },
    { Py_tp_dealloc, qda_release },
    { 0, NULL },
};

PyType_Spec qda_port_spec = {
    "qda.core._core.Port", sizeof(struct qda_port_object), 0, Py_TPFLAGS_DEFAULT, port_slots,
};
