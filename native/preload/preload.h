/* The parts of the preload library.
 *
 * The library makes the nodes of a virtual device appear in a program.  It knows descriptors,
 * memory and lanes, not devices: what a request means is decided by the device server, which also
 * says which one is a call and lends lanes for it.
 *
 *     libc.c        the libc functions that are wrapped, as tables
 *     path.c        which paths are ours
 *     folder.c      listings of folders
 *     node.c        descriptors of nodes: open, ioctl, mmap
 *     connection.c  the conversation of a thread with the server
 *     lease.h       lanes that the server lends, and calls on them
 *
 * No descriptor of a node is remembered anywhere.  It is a socket whose name says what it is, so
 * dup, fork, exec, descriptor passing and close are the kernel's business alone.  What is lent
 * belongs to the open node, which its name tells, and to this process. */
#ifndef QDA_PRELOAD_H
#define QDA_PRELOAD_H

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "protocol.h"

_Static_assert(sizeof(void *) == 8 && sizeof(off_t) == 8, "64-bit systems only");

/* Declares what gives NAME's libc function, and begins its wrapper.  The wrapper has a name of its
 * own in C, as headers may declare the symbol otherwise.  The function is looked up at its first
 * use, because constructors of other libraries may run before anything of ours. */
#define WRAP(result, name, ...) \
    typedef result name##_function(__VA_ARGS__); \
    static name##_function *real_##name(void) \
    { \
        static name##_function *found; \
        if (!found) \
            found = (name##_function *)qda_real(#name); \
        return found; \
    } \
    __attribute__((visibility("default"))) result qda_##name(__VA_ARGS__) __asm__(#name); \
    result qda_##name(__VA_ARGS__)

#define REAL(name) real_##name()

/* libc.c: the libc function of that name; one that fails with ENOSYS where libc has none. */
void *qda_real(const char *name);

enum { PLACE_ROOM = 256 }; /* a path in the mirror, or a name below /dev, with its NUL */

/* path.c */

/* The server's socket, NULL if the program is not to see any node. */
const char *qda_socket(void);

/* The name below /dev that PATH, seen from the folder descriptor FOLDER, stands for: "" for /dev
 * itself.  NULL if it is none of ours.  ROOM has PLACE_ROOM bytes. */
const char *qda_name(int folder, const char *path, char *room);

/* Where the mirror has a name below /dev. */
const char *qda_mirror(const char *name, char *room);

/* The same for a path in one step: what is to be asked in its place, NULL if it is not ours. */
const char *qda_redirect(int folder, const char *path, char *room);

/* node.c */

struct qda_node {
    char token[sizeof(((struct qda_question *)0)->token)];
    unsigned int major, minor;
};

/* Whether a descriptor is one of a node.  Leaves errno alone. */
int qda_find(int descriptor, struct qda_node *node);

/* These return what the system call does, with errno set. */
int qda_open_node(const char *name, int flags);
int qda_control(const struct qda_node *node, int descriptor, unsigned int code, void *argument);

/* A descriptor of the memory at OFFSET of a node, to be mapped and closed; or -1. */
int qda_map(const struct qda_node *node, int descriptor, size_t length, off_t offset);

/* connection.c */

/* Ask the server; returns the result or a negative errno.  A descriptor that comes with the answer
 * is put into *RECEIVED, with close-on-exec. */
long qda_ask(struct qda_question *request, int *received);

#endif
