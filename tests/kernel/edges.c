/* What the older driver's interface answers at its edges, a line each: "question: result errno".
 * Run on the kernel's driver and on ours, the two are compared line by line. */
#define _GNU_SOURCE
#include "program.h"

#include <poll.h>
#include <sys/stat.h>

static int node;
static char text[64];

static void answer(const char *question, long result)
{
    int error = result == -1 ? errno : 0;
    const char *word = error ? strerrorname_np(error) : "";
    printf("%s: %s\n", question, error ? word : result ? "not 0" : "0");
    errno = 0;
}

/* The same for what gives a number that means something. */
static void answer_number(const char *question, long result)
{
    if (result == -1)
        answer(question, -1);
    else
        printf("%s: %#lx\n", question, result);
    errno = 0;
}

static int create(uint32_t length, int descriptor)
{
    struct fastrpc_init_create request = { .filelen = length, .filefd = descriptor, .attrs = 8 };
    return ioctl(node, FASTRPC_IOCTL_INIT_CREATE, &request);
}

static int allocate_bytes(uint64_t size, int *descriptor)
{
    struct fastrpc_alloc_dma_buf request = { .size = size };
    int result = ioctl(node, FASTRPC_IOCTL_ALLOC_DMA_BUFF, &request);
    *descriptor = request.fd;
    return result;
}

static int mem_map(int descriptor, int offset, uint64_t length, uint64_t *address)
{
    struct fastrpc_mem_map request = { .fd = descriptor, .offset = offset, .length = length };
    int result = ioctl(node, FASTRPC_IOCTL_MEM_MAP, &request);
    *address = request.vaddrout;
    return result;
}

static int mem_unmap(int descriptor, uint64_t address, uint64_t length)
{
    struct fastrpc_mem_unmap request = { .fd = descriptor, .vaddr = address, .length = length };
    return ioctl(node, FASTRPC_IOCTL_MEM_UNMAP, &request);
}

static int add_pages(uint64_t size, uint64_t *address)
{
    struct fastrpc_req_mmap request = { .fd = -1, .flags = 0x1000, .size = size };
    int result = ioctl(node, FASTRPC_IOCTL_MMAP, &request);
    *address = request.vaddrout;
    return result;
}

static int remove_pages(uint64_t address, uint64_t size)
{
    struct fastrpc_req_munmap request = { .vaddrout = address, .size = size };
    return ioctl(node, FASTRPC_IOCTL_MUNMAP, &request);
}

static int capability(uint32_t domain, uint32_t attribute)
{
    struct fastrpc_ioctl_capability request = { .domain = domain, .attribute_id = attribute };
    int result = ioctl(node, FASTRPC_IOCTL_GET_DSP_INFO, &request);
    return result ? result : (int)request.capability;
}

static void the_node(void)
{
    struct stat about;
    char byte = 0;
    answer("read the node", read(node, &byte, 1));
    answer("write the node", write(node, &byte, 1));
    answer("seek in the node", lseek(node, 0, SEEK_CUR));
    answer("map the node", (long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, node, 0));
    CHECK(fstat(node, &about) == 0);
    answer_number("kind of the node", about.st_mode & S_IFMT);
    answer("an unknown command", ioctl(node, _IO('R', 0x7f), 0));
    answer("a command of another size", ioctl(node, _IOWR('R', 0x03, uint64_t), text));
    answer("invoke without a session", call(node, 0, 0, NULL));
}

static void the_session(void)
{
    uint64_t address;
    answer("create with a descriptor of nothing", create(4096, 999));
    answer("create with a length and no file", create(4096, -1));
    answer("create", create(0, -1));
    answer("invoke handle 1", call(node, 1, 0, NULL));
    answer_number("invoke a handle of nothing", call(node, 0x7ffffff0, 0, NULL));
    answer("invoke without arguments at hand", call(node, 0, QDA_SCALARS(0, 2, 2), NULL));
    answer("capability 6", capability(0, 6) > 0 ? 0 : -1);
    answer("capability of an attribute beyond all", capability(0, 1u << 20));
    answer("remove pages of nowhere", remove_pages(0x12345000, 4096));
    answer("add pages", add_pages(8192, &address));
    answer("remove them with another size", remove_pages(address, 4096));
    answer("remove them", remove_pages(address, 8192));
    answer("remove them again", remove_pages(address, 8192));
}

static void the_buffers(void)
{
    enum { SIZE = 8192 };
    struct stat about;
    uint64_t first;
    int buffer;
    CHECK(allocate_bytes(SIZE, &buffer) == 0);
    CHECK(fstat(buffer, &about) == 0);
    answer_number("kind of a buffer", about.st_mode & S_IFMT);
    answer_number("rights of a buffer", about.st_mode & 0777);
    answer_number("size of a buffer", lseek(buffer, 0, SEEK_END));
    answer("seek in a buffer", lseek(buffer, 0, SEEK_CUR));
    answer("read a buffer", read(buffer, text, 1));
    answer("map a buffer",
           (long)mmap(NULL, SIZE, PROT_READ, MAP_SHARED, buffer, 0) == -1 ? -1 : 0);
    answer("map beyond a buffer",
           (long)mmap(NULL, 2 * SIZE, PROT_READ, MAP_SHARED, buffer, 0) == -1 ? -1 : 0);
    answer("MEM_MAP of no descriptor", mem_map(-1, 0, SIZE, &first));
    answer("MEM_MAP", mem_map(buffer, 0, SIZE, &first));
    answer("MEM_UNMAP of nowhere", mem_unmap(buffer, first + 0x100000, SIZE));
    answer("MEM_UNMAP", mem_unmap(buffer, first, SIZE));
    answer("MEM_UNMAP again", mem_unmap(buffer, first, SIZE));
    answer("close a buffer", close(buffer));
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    node = open(NODE, O_RDWR | O_CLOEXEC);
    CHECK(node > 0);
    the_node();
    the_session();
    the_buffers();
    answer("attach after create", ioctl(node, FASTRPC_IOCTL_INIT_ATTACH));
    answer("close the node", close(node));
    return 0;
}
