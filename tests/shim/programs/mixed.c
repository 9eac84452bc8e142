/* A client that mixes dialects on one file: GEM handles and DMA-BUF descriptors, and a layout, as the
 * QDA library and its programs do (clients.md 9).  What the driver says is printed: 0 or an errno. */
#include "program.h"
#include <linux/dma-heap.h>

static int result_of(int result)
{
    return result == -1 ? errno : result;
}

int main(void)
{
    enum { SIZE = 5000, HANDLES = 40 };
    struct drm_prime_handle exported = { .flags = O_CLOEXEC | O_RDWR }, imported = { 0 };
    struct dma_heap_allocation_data request = { .len = SIZE, .fd_flags = O_RDWR | O_CLOEXEC };
    int allocator = open(NODE, O_RDWR | O_CLOEXEC), session = open(NODE, O_RDWR);
    int heap = open("/dev/dma_heap/system", O_RDONLY | O_CLOEXEC), handle;
    create_session(session);
    uint32_t calculator = open_calculator(session), count = 8;
    int64_t total = 0;

    /* What is imported is called by its handle, in every dialect of this interface. */
    CHECK(ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &request) == 0);
    int32_t *shared = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, (int)request.fd, 0);
    imported.fd = (int)request.fd;
    CHECK(shared != MAP_FAILED && ioctl(session, DRM_IOCTL_PRIME_FD_TO_HANDLE, &imported) == 0);
    memcpy(shared, numbers, sizeof numbers);
    ELEMENT element = inline_part(shared, sizeof numbers);
    element.fd = (int)imported.handle;
    CHECK(sum(session, calculator, element) == TOTAL);

    /* What was allocated through the other file is called by its descriptor, a number which is a
     * handle of something else as well. */
    int32_t *memory = allocate(allocator, SIZE, &handle);
    memcpy(memory, numbers, sizeof numbers);
    exported.handle = (uint32_t)handle;
    CHECK(ioctl(allocator, DRM_IOCTL_PRIME_HANDLE_TO_FD, &exported) == 0);
    for (int i = 0; i < HANDLES; i++) {
        struct drm_qda_gem_create create = { .size = 4096 };
        CHECK(ioctl(session, DRM_IOCTL_QDA_GEM_CREATE, &create) == 0);
    }
    CHECK(exported.fd > 1 && exported.fd < HANDLES);
    ELEMENT elements[] = { inline_part(&count, sizeof count), inline_part(memory, sizeof numbers),
                           inline_part(&total, sizeof total) };
    elements[1].fd = exported.fd;
    int said = result_of(call(session, calculator, QDA_SCALARS(SUM, 2, 1), elements));
    CHECK(said != 0 || total == TOTAL);
    CHECK(elements[1].fd == exported.fd);
    printf("invoke %d\n", said);

    struct qda_mem_map map = { .request = QDA_MAP_REQUEST_ATTR, .flags = QDA_MEM_MAP_FD,
                               .fd = exported.fd, .vaddrin = (uintptr_t)memory, .size = SIZE };
    said = result_of(ioctl(session, DRM_IOCTL_QDA_MAP, &map));
    CHECK(map.fd == exported.fd);
    printf("map %d\n", said);
    struct qda_mem_unmap unmap = { .request = QDA_MUNMAP_REQUEST_ATTR, .fd = exported.fd,
                                   .vaddr = map.vaddrout, .size = SIZE };
    printf("unmap %d\n", result_of(ioctl(session, DRM_IOCTL_QDA_MUNMAP, &unmap)));

    /* Size first, as in dialect V1, with whatever stands behind it. */
    struct { uint64_t size; uint32_t handle, pad; } later = { SIZE, 0x5555, 0x7fff };
    said = result_of(ioctl(session, DRM_IOCTL_QDA_GEM_CREATE, &later));
    printf("allocate %d\n", said);
    CHECK(said != 0 || (later.handle == imported.handle + HANDLES + 2 && later.size == SIZE));
    return 0;
}
