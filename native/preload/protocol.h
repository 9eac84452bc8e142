/* What the preload library and the device server say to each other.
 * Printed by `python -m qda.shim.protocol`: change that, and print again. */
#ifndef QDA_PRELOAD_PROTOCOL_H
#define QDA_PRELOAD_PROTOCOL_H

#include <stdint.h>

#define QDA_VERSION 3
#define QDA_SOCKET_VARIABLE "QDA_SOCKET"
#define QDA_MIRROR_SUFFIX ".dev"
#define QDA_LIBRARY "libqda_preload.so"
#define QDA_NAME_PREFIX "qda/"
#define QDA_MEMORY_NAME "qda"
#define QDA_LIBRARY_MARK "qda preload library"
#define QDA_ENCLOSED 256

#define QDA_OPERATION_OPEN 1
#define QDA_OPERATION_IOCTL 2
#define QDA_OPERATION_MMAP 3
#define QDA_OPERATION_INTERRUPT 4
#define QDA_OPERATION_INSTALLED 5
#define QDA_OPERATION_RETURN 6

#define QDA_KIND_WELCOME 1
#define QDA_KIND_ANSWER 2
#define QDA_KIND_INSTALL 3
#define QDA_KIND_WROTE 4
#define QDA_KIND_LEASE 5
#define QDA_KIND_LANE 6

#define QDA_WISH_TRACER 1
#define QDA_WISH_REPORT 2
#define QDA_WISH_LEASE 4
#define QDA_WISH_LANE 8

#define QDA_LANE_BUSY 1
#define QDA_LANE_LEFT 2
#define QDA_LANE_RECALLED 4

#define QDA_UNSEEN_STATIC 1
#define QDA_UNSEEN_PRIVILEGED 2
#define QDA_UNSEEN_ENVIRONMENT 3
#define QDA_UNSEEN_PRELOAD 4
#define QDA_UNSEEN_USER 5
#define QDA_UNSEEN_SYSTEM_CALLS 6

#define QDA_LENT_LANES 16 /* of a process, at most */
#define QDA_LENT_OBJECTS 2048 /* places of the table */
#define QDA_LENT_PROBES 8 /* after the place that a name says */
#define QDA_LEASE_WORDS 1024 /* where in the page the lanes' words begin */
#define QDA_LEASE_OBJECTS 4096 /* where the table begins */
#define QDA_LEASE_SIZE 102400

/* One message to the server. */
struct qda_question {
    uint32_t operation; /* One of QDA_OPERATION_* */
    uint32_t number; /* Number of the request on its connection, which the answer repeats */
    int32_t tid; /* Thread that asks */
    int32_t descriptor; /* IOCTL, MMAP: the client's descriptor of the node; INSTALLED: the result */
    uint32_t wishes; /* QDA_WISH_* */
    uint32_t flags; /* OPEN: as of open(2); RETURN: 1 if nobody answers */
    uint64_t code; /* IOCTL: the code; MMAP: the length in bytes */
    uint64_t argument; /* IOCTL: the third argument; MMAP: the offset in bytes */
    char token[32]; /* IOCTL, MMAP, RETURN: which open node */
    char name[64]; /* OPEN: name of the node below /dev, NUL-terminated */
};

/* One message from the server; a descriptor may come with it. */
struct qda_answer {
    uint32_t kind; /* One of QDA_KIND_* */
    uint32_t number; /* Number of the request; WELCOME: version of the protocol */
    uint32_t wishes; /* QDA_WISH_* */
    uint32_t flags; /* INSTALL: O_CLOEXEC, or 0 if for other programs too; LANE: its number */
    int64_t result; /* ANSWER: result of the system call, -4095 to -1 for an errno */
    uint64_t address; /* WROTE: where in the client's memory */
    uint64_t length; /* WROTE: how much */
};

/* How a lease's page begins. */
struct qda_lease {
    uint32_t dead; /* 1: nobody answers calls any more */
    uint32_t tag; /* Kind of protection domain, for context words */
    int32_t client_id; /* As messages say it */
    uint32_t patience; /* For how long to look for an answer before sleeping */
    uint64_t device; /* Address of the pool on the bus */
    uint64_t code; /* The ioctl that is a call */
    uint32_t by_identity; /* 1: objects are named by their inode numbers, 0: by their handles */
    uint32_t writes_back; /* 1: a call's structure is as long as its code says, and written back */
    uint32_t poll; /* To look for longer, in poll mode; 0 in another */
    uint32_t unused; /* 0 */
};

/* A buffer object that calls may name; 0 in `named` if there is none. */
struct qda_lent {
    uint64_t name; /* What an fd field means */
    uint64_t device; /* Its address on the bus */
    uint64_t size; /* Its size */
    uint64_t inode; /* Its memory, as in /proc/PID/maps */
    uint32_t major; /* Its memory's device */
    uint32_t minor; /* Its memory's device */
    uint32_t users; /* Number of calls that have it: the program's */
    uint32_t named; /* 1: calls may name it: the server's */
};

#endif
