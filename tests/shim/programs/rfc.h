/* The accelerator's interface as the RFC series has it: fd fields are GEM handles. */
#include "rfc/qda_accel.h"

#define NODE "/dev/accel/accel1"
#define ELEMENT struct fastrpc_invoke_args
#define OBJECT fd /* the field of an element that names a buffer, and what says that none does */
#define NO_OBJECT -1

static int call(int node, uint32_t handle, uint32_t sc, ELEMENT *elements)
{
    struct qda_invoke_args request = { .handle = handle, .sc = sc, .args = (uintptr_t)elements };
    return ioctl(node, DRM_IOCTL_QDA_INVOKE, &request);
}

static void create_session(int node)
{
    struct qda_init_create request = { .filefd = -1, .attrs = 8 };
    CHECK(ioctl(node, DRM_IOCTL_QDA_INIT_CREATE, &request) == 0);
}

/* A buffer object of SIZE bytes, mapped; *NAME is what fd fields call it. */
static void *allocate(int node, size_t size, int *name)
{
    struct drm_qda_gem_create create = { .size = size };
    struct drm_qda_gem_mmap_offset place = { 0 };
    CHECK(ioctl(node, DRM_IOCTL_QDA_GEM_CREATE, &create) == 0);
    *name = (int)create.handle;
    place.handle = create.handle;
    CHECK(ioctl(node, DRM_IOCTL_QDA_GEM_MMAP_OFFSET, &place) == 0);
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, node, (off_t)place.offset);
    CHECK(memory != MAP_FAILED);
    return memory;
}

static void give_back(int node, int name)
{
    struct drm_gem_close request = { .handle = (uint32_t)name };
    CHECK(ioctl(node, DRM_IOCTL_GEM_CLOSE, &request) == 0);
}

/* What the driver says of an fd that names nothing. */
enum { NAMES_NOTHING = ENOENT };
