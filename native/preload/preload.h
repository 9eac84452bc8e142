/* The parts of the preload library.
 *
 * The library makes the nodes of a virtual device appear in a program.  It knows descriptors,
 * memory and lanes, not devices: what a request means is decided by the device server, which also
 * says which one is a call and lends lanes for it.
 *
 *     libc.c        libc's functions that open nodes, ask about them, and use their devices
 *     change.c      those that change what is at a path
 *     file.c        those that take a descriptor for a file
 *     other.c       those that take it for what nodes and buffers are not
 *     stream.c      those that open streams
 *     spawn.c       those by which a new program is given a node
 *     unseen.c      those that start programs which will not see the nodes
 *     path.c        which paths are ours
 *     folder.c      listings of folders
 *     working.c     working folders, and links
 *     node.c        descriptors of nodes: open, ioctl, mmap
 *     buffer.c      descriptors of buffers
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
 * itself; with a slash behind if PATH has one.  NULL if it is none of ours.  ROOM has PLACE_ROOM
 * bytes. */
const char *qda_name(int folder, const char *path, char *room);

/* The same for /proc/self/fd/N and what leads there, if N is a node's descriptor, or one that was
 * opened as a path of ours. */
const char *qda_name_behind(int folder, const char *path, char *room);

/* Whether such a link leads to a buffer. */
int qda_is_buffer_behind(int folder, const char *path);

/* What a link of /proc says that leads to a descriptor or folder of ours, as it would in a kernel:
 * its length, or 0 for any other link.  Leaves errno alone. */
ssize_t qda_read_link(int folder, const char *path, char *text, size_t room);

/* The name below /dev of an absolute path in the mirror, NULL for any other. */
const char *qda_name_of_place(const char *path);

/* Whether the working folder is in the mirror. */
int qda_is_in_mirror(void);

/* Where the mirror has a name below /dev. */
const char *qda_mirror(const char *name, char *room);

/* The same for a path in one step: what is to be asked in its place, NULL if it is not ours. */
const char *qda_redirect(int folder, const char *path, char *room);

/* node.c */

struct qda_node {
    char token[sizeof(((struct qda_question *)0)->token)];
    char rest[108]; /* "MODE:MAJOR:MINOR/NAME" */
};

/* Whether a descriptor is one of a node.  Leaves errno alone. */
int qda_find(int descriptor, struct qda_node *node);

/* What its name says: the access mode of open(2), the device number, the name below /dev; and so
 * whether it is an accelerator's node, on which events can be waited for. */
int qda_mode_of(const struct qda_node *node);
dev_t qda_device_of(const struct qda_node *node);
const char *qda_name_of(const struct qda_node *node);
int qda_has_events(const struct qda_node *node);

/* These return what the system call does, with errno set. */
int qda_open_node(const char *name, int flags);
int qda_control(const struct qda_node *node, int descriptor, unsigned int code, void *argument);

/* A descriptor of the memory at OFFSET of a node, to be mapped and closed; or -1. */
int qda_map(const struct qda_node *node, int descriptor, size_t length, off_t offset);

/* buffer.c */

/* Whether a descriptor is a DMA-BUF that a device of ours has made.  Leaves errno alone. */
int qda_is_buffer(int descriptor);

/* Whether one is, or is memory of the program's own that a device of ours may have imported. */
int qda_is_shared(int descriptor);

/* Whether a mapping would go beyond the end of a buffer. */
int qda_is_beyond(int descriptor, size_t length, off_t offset);

/* What ioctl says of a command that every DMA-BUF has; QDA_NO_COMMAND for any other. */
enum { QDA_NO_COMMAND = 1 };
int qda_control_buffer(unsigned int code, const void *argument);

/* What the kernel itself says to a command that is for any file, of a node or buffer; the same for
 * any other. */
int qda_control_file(int descriptor, unsigned int code, void *argument);

/* unseen.c */

/* Tell `qda run` that a program does not see the nodes, and for which QDA_UNSEEN_* reason.  Leaves
 * errno alone. */
void qda_note_unseen(unsigned char reason, const char *program);

/* connection.c */

/* Ask the server; returns the result or a negative errno.  A descriptor that comes with the answer
 * is put into *RECEIVED, with close-on-exec. */
long qda_ask(struct qda_question *request, int *received);

/* In a forked child: close this thread's connection, which is the parent's. */
void qda_disown(void);

#endif
