/* What the preload library and the device server say to each other.
 * Printed by `python -m qda.shim.protocol`: change that, and print again. */
#ifndef QDA_PRELOAD_PROTOCOL_H
#define QDA_PRELOAD_PROTOCOL_H

#include <stdint.h>

#define QDA_VERSION 2
#define QDA_SOCKET_VARIABLE "QDA_SOCKET"
#define QDA_MIRROR_SUFFIX ".dev"
#define QDA_NAME_PREFIX "qda/"
#define QDA_ENCLOSED 256

#define QDA_OPERATION_OPEN 1
#define QDA_OPERATION_IOCTL 2
#define QDA_OPERATION_MMAP 3
#define QDA_OPERATION_INTERRUPT 4
#define QDA_OPERATION_INSTALLED 5

#define QDA_KIND_WELCOME 1
#define QDA_KIND_ANSWER 2
#define QDA_KIND_INSTALL 3
#define QDA_KIND_WROTE 4

#define QDA_WISH_TRACER 1
#define QDA_WISH_REPORT 2

/* One message to the server. */
struct qda_request {
    uint32_t operation; /* One of QDA_OPERATION_* */
    uint32_t number; /* Number of the request on its connection, which the answer repeats */
    int32_t tid; /* Thread that asks */
    int32_t descriptor; /* IOCTL, MMAP: the client's descriptor of the node; INSTALLED: the result */
    uint32_t wishes; /* QDA_WISH_* */
    uint32_t flags; /* OPEN: as of open(2) */
    uint64_t code; /* IOCTL: the code; MMAP: the length in bytes */
    uint64_t argument; /* IOCTL: the third argument; MMAP: the offset in bytes */
    char token[32]; /* IOCTL, MMAP: which open node */
    char name[64]; /* OPEN: name of the node below /dev, NUL-terminated */
};

/* One message from the server; a descriptor may come with it. */
struct qda_answer {
    uint32_t kind; /* One of QDA_KIND_* */
    uint32_t number; /* Number of the request; WELCOME: version of the protocol */
    uint32_t wishes; /* QDA_WISH_* */
    uint32_t flags; /* INSTALL: O_CLOEXEC if the descriptor is not for other programs */
    int64_t result; /* ANSWER: result of the system call, -4095 to -1 for an errno */
    uint64_t address; /* WROTE: where in the client's memory */
    uint64_t length; /* WROTE: how much */
};

#endif
