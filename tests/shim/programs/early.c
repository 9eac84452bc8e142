/* A library as the RPC library is (clients.md 4, 5, 11, 13.1): its constructor opens nodes before
 * main begins, and its destructor, after those of preloaded libraries, still makes calls, joins a
 * thread that makes calls, and closes. */
#include "program.h"
#include <linux/dma-heap.h>
#include <pthread.h>
#include <sys/stat.h>

static int node = -1, heap = -1;
static pthread_key_t at_thread_exit;

static void thread_exit(void *unused)
{
    struct drm_qda_query query;
    (void)unused;
    CHECK(ioctl(node, DRM_IOCTL_QDA_QUERY, &query) == 0); /* from a thread that ends */
}

static void *listen(void *unused)
{
    struct drm_qda_query query;
    CHECK(pthread_setspecific(at_thread_exit, &node) == 0);
    CHECK(ioctl(node, DRM_IOCTL_QDA_QUERY, &query) == 0);
    return unused;
}

__attribute__((constructor)) static void begin(void)
{
    struct stat status;
    node = open(NODE, O_RDWR | O_CLOEXEC);
    heap = open("/dev/dma_heap/system", O_RDONLY | O_CLOEXEC);
    CHECK(node > 0 && heap > 0 && fstat(heap, &status) == 0);
    CHECK(pthread_key_create(&at_thread_exit, thread_exit) == 0);
    create_session(node);
}

__attribute__((destructor)) static void end(void)
{
    struct dma_heap_allocation_data request = { .len = 100, .fd_flags = O_RDWR };
    pthread_t thread;
    CHECK(ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &request) == 0);
    CHECK(sum(node, open_calculator(node), inline_part(numbers, sizeof numbers)) == TOTAL);
    CHECK(pthread_create(&thread, NULL, listen, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(close(node) == 0 && close(heap) == 0);
    fprintf(stderr, "ended\n");
}

int early_node(void);

int early_node(void)
{
    return node;
}
