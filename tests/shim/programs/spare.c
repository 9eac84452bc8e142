/* An object that is closed becomes the next one of its size where nobody can tell, and only there:
 * a new object is zero, and is nobody else's (hazards.md).  That it is the same memory is seen by
 * the inode of its mapping. */
#include "parts.h"

enum { PAGE = 4096, SIZE = 2 * PAGE, MARK = 0x5a };

struct object {
    int handle;
    int32_t *memory;
    size_t size;
    unsigned long inode;
    off_t offset;
};

static unsigned long inode_at(const void *address)
{
    char line[512];
    unsigned long start, end, inode = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps)) {
        CHECK(sscanf(line, "%lx-%lx %*s %*x %*s %lu", &start, &end, &inode) == 3);
        if (start <= (uintptr_t)address && (uintptr_t)address < end)
            break;
    }
    fclose(maps);
    return inode;
}

static off_t offset_of(int handle)
{
    struct drm_qda_gem_mmap_offset place = { .handle = (uint32_t)handle };
    CHECK(ioctl(node, DRM_IOCTL_QDA_GEM_MMAP_OFFSET, &place) == 0);
    return (off_t)place.offset;
}

/* A new object, in which there is nothing; and which then has numbers of which a call knows. */
static struct object make(size_t size)
{
    struct object made = { .size = size };
    made.memory = allocate(node, size, &made.handle);
    made.inode = inode_at(made.memory);
    made.offset = offset_of(made.handle);
    for (size_t i = 0; i < size / sizeof *made.memory; i++)
        CHECK(made.memory[i] == 0);
    ELEMENT part = inline_part(made.memory, sizeof numbers);
    part.OBJECT = made.handle;
    CHECK(sum(node, calculator, part) == 0);
    memset(made.memory, MARK, size);
    memcpy(made.memory, numbers, sizeof numbers);
    CHECK(sum(node, calculator, part) == TOTAL);
    return made;
}

static void unmap(struct object object)
{
    CHECK(munmap(object.memory, object.size) == 0);
}

static void end(struct object object)
{
    unmap(object);
    give_back(node, object.handle);
}

static void is_reused(void)
{
    struct object first = make(SIZE);
    end(first);
    CHECK(mmap(NULL, SIZE, PROT_READ, MAP_SHARED, node, first.offset) == MAP_FAILED);
    CHECK(errno == EINVAL);
    for (int i = 0; i < 5; i++) {
        struct object next = make(SIZE);
        CHECK(next.inode == first.inode && next.handle == first.handle);
        CHECK(next.offset != first.offset);
        end(next);
    }
    struct object longer = make(SIZE + PAGE), last = make(SIZE - 1);
    CHECK(longer.inode != first.inode && last.inode == first.inode);
    end(last);
    end(longer); /* which takes its place */
    CHECK(make(SIZE + PAGE).inode == longer.inode);
    CHECK(make(SIZE).inode != longer.inode);
}

static void is_not_while_it_is_mapped(void)
{
    struct object first = make(SIZE);
    give_back(node, first.handle);
    struct object next = make(SIZE);
    CHECK(next.inode != first.inode);
    CHECK(((unsigned char *)first.memory)[SIZE - 1] == MARK);
    CHECK(!memcmp(first.memory, numbers, sizeof numbers));
    unmap(first);
    end(next);
}

static void is_not_while_a_part_of_it_is_mapped(void)
{
    struct object first = make(SIZE);
    CHECK(munmap(first.memory, PAGE) == 0);
    give_back(node, first.handle);
    CHECK(make(SIZE).inode != first.inode);
    CHECK(((unsigned char *)first.memory)[PAGE] == MARK);
}

static void is_not_while_a_child_has_it(void)
{
    int gate[2];
    struct object first = make(SIZE);
    CHECK(pipe(gate) == 0);
    pid_t child = fork();
    if (!child) {
        char word;
        close(gate[1]);
        CHECK(read(gate[0], &word, 1) == 0);
        _exit(memcmp(first.memory, numbers, sizeof numbers) != 0);
    }
    close(gate[0]);
    end(first);
    CHECK(make(SIZE).inode != first.inode);
    close(gate[1]);
    wait_for(child);
}

static void is_not_once_it_was_exported(void)
{
    struct object first = make(SIZE);
    struct drm_prime_handle exported = { .handle = (uint32_t)first.handle, .flags = O_CLOEXEC };
    CHECK(ioctl(node, DRM_IOCTL_PRIME_HANDLE_TO_FD, &exported) == 0); /* for reading alone */
    end(first);
    struct object next = make(SIZE);
    CHECK(next.inode != first.inode);
    int32_t *still = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, exported.fd, 0);
    CHECK(still != MAP_FAILED && !memcmp(still, numbers, sizeof numbers));
    end(next);
}

static void is_not_while_the_dsp_has_it(void)
{
    struct object first = make(SIZE);
    struct drm_qda_mem_map map = { .request = QDA_MAP_REQUEST_ATTR, .flags = QDA_MEM_MAP_FD,
                                   .dsp_handle = 7, .size = SIZE };
    map.handle = (uint32_t)first.handle;
    CHECK(ioctl(node, DRM_IOCTL_QDA_REMOTE_MAP, &map) == 0);
    end(first);
    CHECK(make(SIZE).inode != first.inode);
}

static void is_not_of_another_file(void)
{
    int mine = node, other = open(NODE, O_RDWR | O_CLOEXEC);
    struct object first = make(SIZE);
    end(first);
    create_session(other);
    node = other;
    calculator = open_calculator(node);
    CHECK(make(SIZE).inode != first.inode);
    CHECK(close(mine) == 0);
}

static void is_not_of_a_node_that_is_read(void)
{
    CHECK(close(node) == 0);
    node = open(NODE, O_RDONLY);
    create_session(node);
    calculator = open_calculator(node);
    unsigned long inode = 0;
    for (int i = 0; i < 2; i++) { /* what only reads cannot be seen */
        struct drm_qda_gem_create create = { .size = SIZE };
        CHECK(ioctl(node, DRM_IOCTL_QDA_GEM_CREATE, &create) == 0);
        off_t offset = offset_of((int)create.handle);
        int32_t *seen = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, node, offset);
        CHECK(seen != MAP_FAILED && inode_at(seen) != inode);
        ELEMENT part = inline_part(seen, sizeof numbers);
        part.OBJECT = create.handle;
        CHECK(sum(node, calculator, part) == 0);
        inode = inode_at(seen);
        give_back(node, (int)create.handle);
    }
}

int main(void)
{
    node = open(NODE, O_RDWR);
    create_session(node);
    calculator = open_calculator(node);
    is_reused();
    is_not_while_it_is_mapped();
    is_not_while_a_part_of_it_is_mapped();
    is_not_while_a_child_has_it();
    is_not_once_it_was_exported();
    is_not_while_the_dsp_has_it();
    is_not_of_another_file();
    is_not_of_a_node_that_is_read();
    return 0;
}
