/* The older driver's interface: fd fields are DMA-BUF descriptors, buffers come from the heap. */
#include "legacy/qda_accel.h"

#define NODE "/dev/fastrpc-cdsp-secure"
#define ELEMENT struct fastrpc_invoke_args
#define OBJECT fd /* the field of an element that names a buffer, and what says that none does */
#define NO_OBJECT -1

static int call(int node, uint32_t handle, uint32_t sc, ELEMENT *elements)
{
    struct fastrpc_invoke request = { .handle = handle, .sc = sc, .args = (uintptr_t)elements };
    return ioctl(node, FASTRPC_IOCTL_INVOKE, &request);
}

static void create_session(int node)
{
    struct fastrpc_init_create request = { .filefd = -1, .attrs = 8 };
    CHECK(ioctl(node, FASTRPC_IOCTL_INIT_CREATE, &request) == 0);
}

/* Whole pages: of others such a kernel's buffer could not be mapped. */
static void *allocate_of_driver(int node, size_t size, int *name)
{
    size_t whole = (size + 4095) & ~(size_t)4095;
    struct fastrpc_alloc_dma_buf request = { .size = whole };
    CHECK(ioctl(node, FASTRPC_IOCTL_ALLOC_DMA_BUFF, &request) == 0);
    *name = request.fd;
    void *memory = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_SHARED, *name, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

/* Shared memory of SIZE bytes, mapped; *NAME is what fd fields call it. */
static void *allocate(int node, size_t size, int *name)
{
#ifdef MEMORY_OF_DRIVER /* few kernels have a heap, and its pages lie apart: bad without an SMMU */
    return allocate_of_driver(node, size, name);
#else
    (void)node;
#endif
    struct dma_heap_allocation_data request = { .len = size, .fd_flags = O_RDWR | O_CLOEXEC };
    int heap = open("/dev/dma_heap/system", O_RDONLY | O_CLOEXEC);
    CHECK(heap > 0);
    CHECK(ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &request) == 0);
    CHECK(close(heap) == 0);
    *name = (int)request.fd;
    CHECK(fcntl(*name, F_GETFD) == FD_CLOEXEC);
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *name, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

static void give_back(int node, int name)
{
    (void)node;
    CHECK(close(name) == 0);
}

/* What the driver says of an fd that names nothing. */
enum { NAMES_NOTHING = EINVAL };
