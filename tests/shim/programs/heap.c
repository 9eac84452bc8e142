/* Memory of the system heap, without a device, and then shared with one. */
#include "program.h"
#include <linux/dma-heap.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static int allocate_from(int heap, struct dma_heap_allocation_data request)
{
    return ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &request) ? -1 : (int)request.fd;
}

int main(void)
{
    struct dma_heap_allocation_data request = { .len = 5000, .fd_flags = O_RDWR | O_CLOEXEC };
    struct stat status;
    int heap = open("/dev/dma_heap/system", O_RDONLY | O_CLOEXEC);
    CHECK(heap > 0);
    CHECK(fstat(heap, &status) == 0 && S_ISCHR(status.st_mode) && major(status.st_rdev) > 0);

    int memory = allocate_from(heap, request);
    CHECK(memory > 0 && lseek(memory, 0, SEEK_END) == 8192);
    int32_t *mapped = mmap(NULL, 5000, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    CHECK(mapped != MAP_FAILED && mapped[0] == 0 && mapped[1249] == 0);
    memcpy(mapped, numbers, sizeof numbers);

    request.fd = 1;
    CHECK(allocate_from(heap, request) == -1 && errno == EINVAL);
    request.fd = 0, request.len = 0;
    CHECK(allocate_from(heap, request) == -1 && errno == EINVAL);
    CHECK(ioctl(heap, _IOWR('H', 1, struct dma_heap_allocation_data), &request) == -1);
    CHECK(errno == EINVAL);
    CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, heap, 0) == MAP_FAILED && errno == ENODEV);
    CHECK(close(heap) == 0);

    int node = open(NODE, O_RDWR);
    create_session(node);
    struct drm_prime_handle imported = { .fd = memory };
    CHECK(ioctl(node, DRM_IOCTL_PRIME_FD_TO_HANDLE, &imported) == 0);
    CHECK(close(memory) == 0); /* the handle and the mapping keep it */
    ELEMENT shared = inline_part(mapped, sizeof numbers);
    shared.fd = (int)imported.handle;
    CHECK(sum(node, open_calculator(node), shared) == TOTAL);
    return 0;
}
