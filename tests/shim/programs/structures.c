/* Structures of ioctls in memory of every kind: what is copied, and which error comes first. */
#include "program.h"

enum { PAGE = 4096, NEVER = _IOWR('d', 0x7f, struct drm_qda_gem_mmap_offset) };

static int node;

/* A place for SIZE bytes that ends with its page; what follows has the rights AFTER. */
static void *end_of_page(size_t size, int after)
{
    char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED && mprotect(pages + PAGE, PAGE, after) == 0);
    return pages + PAGE - size;
}

static void refused(unsigned int code, void *structure, int expected)
{
    CHECK(ioctl(node, code, structure) == -1 && errno == expected);
}

static void *in_rights(struct drm_qda_gem_mmap_offset request, int rights)
{
    struct drm_qda_gem_mmap_offset *place = end_of_page(sizeof *place, PROT_NONE);
    *place = request;
    CHECK(mprotect((char *)place + sizeof *place - PAGE, PAGE, rights) == 0);
    return place;
}

/* The structure of an ioctl with LENGTH bytes, of which ours are the first. */
static void asked_by_length(uint32_t handle, size_t length)
{
    unsigned int code = _IOC(_IOC_READ | _IOC_WRITE, 'd', _IOC_NR(DRM_IOCTL_QDA_GEM_MMAP_OFFSET),
                             length);
    unsigned char *room = end_of_page(length, PROT_NONE);
    struct drm_qda_gem_mmap_offset request = { .handle = handle };
    memset(room, 0xa5, length);
    memcpy(room, &request, length < sizeof request ? length : sizeof request);
    CHECK(ioctl(node, code, room) == 0);
    if (length >= sizeof request) {
        memcpy(&request, room, sizeof request);
        CHECK(request.offset);
    }
    for (size_t i = sizeof request; i < length; i++)
        CHECK(room[i] == 0xa5);
}

int main(void)
{
    struct drm_qda_gem_create create = { .size = PAGE };
    struct drm_qda_query query;
    node = open(NODE, O_RDWR);
    CHECK(ioctl(node, DRM_IOCTL_QDA_GEM_CREATE, &create) == 0);
    struct drm_qda_gem_mmap_offset good = { .handle = create.handle }, unknown = { .handle = 99 };

    /* It cannot be read: nothing is looked at but the command. */
    for (int i = 0; i < 3; i++) {
        void *nowhere[] = { NULL, (void *)8, (void *)(1ul << 63) };
        refused(DRM_IOCTL_QDA_GEM_MMAP_OFFSET, nowhere[i], EFAULT);
        refused(DRM_IOCTL_QDA_QUERY, nowhere[i], EFAULT);
        refused(NEVER, nowhere[i], EINVAL);
        CHECK(ioctl(node, DRM_IOCTL_QDA_INIT_ATTACH, nowhere[i]) == 0 || errno != EFAULT);
    }
    refused(DRM_IOCTL_QDA_GEM_MMAP_OFFSET, in_rights(good, PROT_NONE), EFAULT);
    refused(DRM_IOCTL_QDA_GEM_MMAP_OFFSET, end_of_page(8, PROT_NONE), EFAULT);

    /* It cannot be written: the command is carried out, also one that fails. */
    refused(DRM_IOCTL_QDA_GEM_MMAP_OFFSET, in_rights(good, PROT_READ), EFAULT);
    refused(DRM_IOCTL_QDA_GEM_MMAP_OFFSET, in_rights(unknown, PROT_READ), EFAULT);
    refused(DRM_IOCTL_QDA_GEM_MMAP_OFFSET, &unknown, ENOENT);
    char *first = end_of_page(8, PROT_READ);
    memset(first, 0, 8);
    memcpy(first, &good.handle, sizeof good.handle);
    refused(DRM_IOCTL_QDA_GEM_MMAP_OFFSET, first, EFAULT);
    struct drm_qda_gem_create *hidden = in_rights((struct drm_qda_gem_mmap_offset){ .offset = PAGE },
                                                  PROT_READ);
    refused(DRM_IOCTL_QDA_GEM_CREATE, hidden, EFAULT);
    struct drm_gem_close close_it = { .handle = create.handle + 1 }; /* nobody was told of it */
    CHECK(ioctl(node, DRM_IOCTL_GEM_CLOSE, &close_it) == 0);

    /* And all goes on as before. */
    CHECK(ioctl(node, DRM_IOCTL_QDA_GEM_MMAP_OFFSET, &good) == 0 && good.offset);
    memset(&query, 0xa5, sizeof query);
    CHECK(ioctl(node, DRM_IOCTL_QDA_QUERY, &query) == 0);
    CHECK(!strcmp((char *)query.dsp_name, "cdsp"));
    size_t lengths[] = { 4, 8, 16, 17, 255, 256, 257, PAGE };
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        asked_by_length(create.handle, lengths[i]);
    return 0;
}
