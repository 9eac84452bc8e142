/* The requests of a C library of August 2026, in its order (spec/versions.md 3.2): who asks which DSP
 * a node leads to, in three sizes of the question; buffers that are made on one open file and
 * imported by another, for each call anew; and one object for the small arguments of each call, a
 * page longer than what of it is mapped, which is closed again when the call is over. */
#include "program.h"

enum { PAGE = 4096, ALIGNMENT = 128, BUFFER = 3 * PAGE };

/* As that library has it: built from the structure of an element, which is longer. */
#define LONG_INVOKE DRM_IOWR(DRM_COMMAND_BASE + 7, ELEMENT)

static int ask_for_name(int node, unsigned long code, size_t place)
{
    unsigned char answer[40] = { 0 };
    if (place)
        answer[0] = QDA_QUERY_DSP_NAME;
    CHECK(ioctl(node, code, answer) == 0);
    CHECK(!strcmp((char *)answer + place, "cdsp"));
    return answer[0];
}

static void check_questions(int node)
{
    struct drm_qda_query other = { .query_type = 2 };
    CHECK(ask_for_name(node, DRM_IOCTL_QDA_QUERY, 8) == QDA_QUERY_DSP_NAME);
    CHECK(ask_for_name(node, 0xc0286440, 8) == QDA_QUERY_DSP_NAME);
    CHECK(ask_for_name(node, 0x80106440, 0) == 'c');
    CHECK(ask_for_name(node, 0x80146440, 0) == 'c');
    CHECK(ioctl(node, DRM_IOCTL_QDA_QUERY, &other) == -1 && errno == EINVAL);
}

static uint32_t import(int node, int descriptor)
{
    struct drm_prime_handle request = { .fd = descriptor };
    CHECK(ioctl(node, DRM_IOCTL_PRIME_FD_TO_HANDLE, &request) == 0);
    return request.handle;
}

/* A call as the library makes it: small arguments, whose handle is 0, are packed; DESCRIPTORS has
 * those of the others, which are imported for the call. */
static int call_packed(int node, uint32_t module, uint32_t sc, ELEMENT *elements,
                       const int *descriptors)
{
    struct { struct drm_qda_invoke_args request; uint64_t more; } asked = { 0 };
    ELEMENT packed[8];
    uint32_t inputs = QDA_SCALARS_IN(sc), count = QDA_SCALARS_LENGTH(sc), scratch = 0;
    size_t size = 0, used = 0;
    char *memory = NULL;

    for (uint32_t i = 0; i < count; i++)
        if (!descriptors[i])
            size += (elements[i].length + ALIGNMENT - 1) & -(size_t)ALIGNMENT;
    if (size) {
        struct drm_qda_gem_create create = { .size = size + PAGE };
        struct drm_qda_gem_mmap_offset place = { 0 };
        CHECK(ioctl(node, DRM_IOCTL_QDA_GEM_CREATE, &create) == 0);
        scratch = place.handle = create.handle;
        CHECK(ioctl(node, DRM_IOCTL_QDA_GEM_MMAP_OFFSET, &place) == 0);
        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, node, (off_t)place.offset);
        CHECK(memory != MAP_FAILED);
    }
    for (uint32_t i = 0; i < count; i++) {
        packed[i] = elements[i];
        if (descriptors[i]) {
            packed[i].handle = import(node, descriptors[i]);
        } else if (elements[i].length) {
            packed[i].handle = scratch;
            packed[i].ptr = (uintptr_t)(memory + used);
            if (i < inputs)
                memcpy(memory + used, (void *)(uintptr_t)elements[i].ptr, elements[i].length);
            used += (elements[i].length + ALIGNMENT - 1) & -(size_t)ALIGNMENT;
        }
    }
    asked.request = (struct drm_qda_invoke_args){ .handle = module, .sc = sc,
                                                  .args = (uintptr_t)packed };
    int result = ioctl(node, LONG_INVOKE, &asked);
    for (uint32_t i = inputs; !result && i < count; i++)
        if (!descriptors[i] && elements[i].length)
            memcpy((void *)(uintptr_t)elements[i].ptr, (void *)(uintptr_t)packed[i].ptr,
                   elements[i].length);
    if (size) {
        CHECK(munmap(memory, size) == 0);
        give_back(node, (int)scratch);
    }
    for (uint32_t i = 0; i < count; i++)
        if (descriptors[i])
            give_back(node, (int)packed[i].handle);
    return result;
}

static int64_t sum_packed(int node, uint32_t module, ELEMENT numbers_part, int descriptor)
{
    uint32_t count = (uint32_t)(numbers_part.length / sizeof(int32_t));
    int64_t total = -1;
    ELEMENT elements[] = { inline_part(&count, sizeof count), numbers_part,
                           inline_part(&total, sizeof total) };
    int descriptors[] = { 0, descriptor, 0 };
    CHECK(call_packed(node, module, QDA_SCALARS(SUM, 2, 1), elements, descriptors) == 0);
    return total;
}

static uint32_t open_packed(int node)
{
    static const char uri[] = "file:///libcalculator_skel.so?calculator_skel_handle_invoke"
                              "&_modver=1.0&_dom=cdsp";
    uint32_t in[2] = { sizeof uri, 255 }, out[2] = { 0, 0 };
    char text[255] = "";
    ELEMENT elements[] = { inline_part(in, sizeof in), inline_part(uri, sizeof uri),
                           inline_part(out, sizeof out), inline_part(text, sizeof text) };
    int none[4] = { 0 };
    CHECK(call_packed(node, QDA_HANDLE_REMOTECTL, QDA_SCALARS(0, 2, 2), elements, none) == 0);
    CHECK(out[1] == 0);
    return out[0];
}

/* A mapping for many calls: the DSP is told the descriptor, the driver the handle. */
static void check_mapping(int node, int descriptor)
{
    struct drm_qda_mem_map map = { .request = QDA_MAP_REQUEST_ATTR, .flags = QDA_MEM_MAP_FD,
                                   .dsp_handle = descriptor, .size = BUFFER };
    struct drm_qda_mem_unmap unmap = { .request = QDA_MUNMAP_REQUEST_ATTR,
                                       .dsp_handle = descriptor, .size = BUFFER };
    map.handle = import(node, descriptor);
    CHECK(ioctl(node, DRM_IOCTL_QDA_REMOTE_MAP, &map) == 0 && map.vaddrout);
    unmap.handle = import(node, descriptor);
    CHECK(unmap.handle == map.handle);
    unmap.vaddr = map.vaddrout;
    CHECK(ioctl(node, DRM_IOCTL_QDA_REMOTE_MUNMAP, &unmap) == 0);
    CHECK(ioctl(node, DRM_IOCTL_QDA_REMOTE_MUNMAP, &unmap) == -1 && errno == EINVAL);
}

int main(void)
{
    struct drm_prime_handle exported = { .flags = O_CLOEXEC };
    int allocator = open(NODE, O_RDWR | O_CLOEXEC), node = open(NODE, O_RDWR | O_CLOEXEC), object;
    CHECK(allocator >= 0 && node >= 0);
    check_questions(node);
    int32_t *shared = allocate(allocator, BUFFER, &object);
    exported.handle = (uint32_t)object;
    CHECK(ioctl(allocator, DRM_IOCTL_PRIME_HANDLE_TO_FD, &exported) == 0);
    CHECK(ioctl(node, DRM_IOCTL_QDA_INIT_ATTACH, NULL) == -1 && errno == EINVAL);
    create_session(node);

    uint32_t module = open_packed(node);
    memcpy(shared, numbers, sizeof numbers);
    for (int i = 0; i < 20; i++) {
        CHECK(sum_packed(node, module, inline_part(numbers, sizeof numbers), 0) == TOTAL);
        CHECK(sum_packed(node, module, inline_part(shared, sizeof numbers), exported.fd) == TOTAL);
    }
    check_mapping(node, exported.fd);
    CHECK(munmap(shared, BUFFER) == 0);
    give_back(allocator, object);
    CHECK(close(exported.fd) == 0 && close(allocator) == 0 && close(node) == 0);
    return 0;
}
