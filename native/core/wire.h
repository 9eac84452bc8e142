/* What crosses the walls of a call: the records of the interface and of the transport, as they lie
 * in memory.  `qda.uapi` and `qda.fastrpc` declare them; a test compares these with those. */
#ifndef QDA_CORE_WIRE_H
#define QDA_CORE_WIRE_H

#include <stddef.h>
#include <stdint.h>

/* One argument as a client writes it (qda_invoke_args, fastrpc_invoke_args). */
struct qda_element {
    uint64_t address; /* in the client; of a handle argument, offset in the object */
    uint64_t length;
    int32_t fd; /* what names its buffer object; 0 and -1: inline */
    uint32_t attributes;
};

/* The structure of INVOKE. */
struct qda_request {
    uint32_t handle;
    uint32_t scalars;
    uint64_t arguments; /* address of the elements in the client */
};

/* Announces one call to the DSP. */
struct qda_message {
    int32_t client_id;
    int32_t tid;
    uint64_t context;
    uint32_t handle;
    uint32_t scalars;
    uint64_t address; /* of the message buffer, on the bus */
    uint64_t size;
};

/* Ends one call. */
struct qda_response {
    uint64_t context;
    int32_t result;
    uint32_t unused;
};

/* The result of a call whose session is released (qda.errors, which a test compares). */
#define QDA_BAD_STATE 0x8000040du

/* That of one whose protection domain has died. */
#define QDA_DIED 39

/* The parts of a message buffer, for n arguments: n of each, then the tail. */
struct qda_remote_buffer {
    uint64_t pv;
    uint64_t length;
};

struct qda_dma_handle {
    int32_t fd;
    uint32_t offset;
    uint32_t length; /* 4 bytes of zeros follow */
};

struct qda_listed {
    uint32_t pages;
    uint32_t index;
};

struct qda_page {
    uint64_t address;
    uint64_t size;
};

enum {
    QDA_PAGE = 4096,
    QDA_ALIGNMENT = 128, /* of inline buffers in a message */
    QDA_TAIL = 16 * 8 + 64 * 4, /* descriptor list and checksum list, zeros */
    QDA_POLL_WORD = 4, /* bytes behind the tail, where drivers have them */
    QDA_POLLED = 0xdecaf, /* what they say once the call is answered (spec/versions.md 6) */
    QDA_PER_ARGUMENT = 16 + 8 + 16,
    QDA_ARGUMENTS = 255 + 255 + 15 + 15,
    QDA_BUFFERS = 255 + 255,
    QDA_OUTPUTS = 255,
    QDA_HANDLES = 15 + 15,
    QDA_CONTROL_HANDLE = 1, /* the driver's own (hazards.md H04) */
    QDA_LAST_FIXED = 20, /* handles up to this are not of modules that were opened */
    QDA_LONGEST = 0x7fffffff, /* of an argument (H06) */
};

/* The shape of a call: numbers of in-buffers, out-buffers, in-handles, out-handles. */
struct qda_shape {
    uint32_t inputs, buffers, arguments;
};

static inline struct qda_shape qda_shape_of(uint32_t scalars)
{
    struct qda_shape shape;
    shape.inputs = scalars >> 16 & 255;
    shape.buffers = shape.inputs + (scalars >> 8 & 255);
    shape.arguments = shape.buffers + (scalars >> 4 & 15) + (scalars & 15);
    return shape;
}

/* What a compiler asks of any environment; the core includes no header of a libc. */
void *memcpy(void *to, const void *from, size_t count);
void *memset(void *to, int byte, size_t count);

static inline uint64_t qda_align(uint64_t number, uint64_t step)
{
    return (number + step - 1) & -step;
}

static inline uint32_t qda_metadata(uint32_t arguments)
{
    return QDA_PER_ARGUMENT * arguments + QDA_TAIL;
}

_Static_assert(sizeof(struct qda_element) == 24, "layout");
_Static_assert(sizeof(struct qda_message) == 40, "layout");
_Static_assert(offsetof(struct qda_message, context) == 8, "layout");
_Static_assert(offsetof(struct qda_message, address) == 24, "layout");
_Static_assert(sizeof(struct qda_response) == 16, "layout");
_Static_assert(sizeof(struct qda_remote_buffer) == 16, "layout");
_Static_assert(sizeof(struct qda_dma_handle) == 12, "layout");
_Static_assert(sizeof(struct qda_listed) == 8, "layout");
_Static_assert(sizeof(struct qda_page) == 16, "layout");

#endif
