/* What nodes and buffers answer to functions that take any descriptor.
 *
 * Their descriptors are sockets and memory, of which the server has taken care that reads and writes
 * fail: here they get the errno of a kernel.  So most descriptors cost nothing, since most calls do
 * not fail as these do. */
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* With musl these are macros. */
#undef lseek64
#undef pread64
#undef preadv64
#undef pwrite64
#undef pwritev64

#define LIST(...) __VA_ARGS__

/* --- read and write: a driver has no such function ------------------------------------------- */

/* What a read or write has come to, which failed as those of nodes and buffers do.  OTHER_MODE is
 * the access mode in which a file cannot be used so. */
static ssize_t refused(int descriptor, ssize_t result, int other_mode)
{
    struct qda_node node;
    if (qda_find(descriptor, &node)) {
        if (result < 0 && errno == EAGAIN && qda_has_events(&node))
            return result; /* there are no events */
        errno = qda_mode_of(&node) == other_mode ? EBADF : EINVAL;
        return -1;
    }
    if (qda_is_buffer(descriptor)) {
        errno = EINVAL;
        return -1;
    }
    return result;
}

static ssize_t have_read(int descriptor, ssize_t result)
{
    int is_ours = !result || (result < 0 && errno == EAGAIN);
    return is_ours ? refused(descriptor, result, O_WRONLY) : result;
}

static ssize_t have_written(int descriptor, ssize_t result)
{
    int is_ours = !result /* of no bytes */
        || (result < 0 && (errno == EPIPE || errno == EMSGSIZE || errno == EPERM));
    return is_ours ? refused(descriptor, result, O_RDONLY) : result;
}

/* name, what is said of its result, parameters, arguments */
#define TRANSFER(...) TRANSFER_(__VA_ARGS__)
#define TRANSFER_(name, have_done, parameters, arguments) \
    WRAP(ssize_t, name, LIST parameters) \
    { \
        return have_done(descriptor, REAL(name) arguments); \
    }
#define PARTS (int descriptor, const struct iovec *parts, int count), (descriptor, parts, count)

TRANSFER(read, have_read, (int descriptor, void *data, size_t size), (descriptor, data, size))
TRANSFER(__read_chk, have_read, (int descriptor, void *data, size_t size, size_t room),
         (descriptor, data, size, room))
TRANSFER(readv, have_read, PARTS)
TRANSFER(write, have_written, (int descriptor, const void *data, size_t size),
         (descriptor, data, size))
TRANSFER(writev, have_written, PARTS)

/* --- the same at a position, which what cannot be moved in does not have ---------------------- */

/* Whether it is a buffer; then errno says that it has no positions. */
static int has_no_position(int descriptor)
{
    if (!qda_is_buffer(descriptor))
        return 0;
    errno = ESPIPE;
    return 1;
}

/* A device has positions unless its driver says that it has not, as the heap does. */
static ssize_t at_position(int descriptor, ssize_t result, int other_mode)
{
    struct qda_node node;
    char none;
    if (result >= 0 || errno != ESPIPE || !qda_find(descriptor, &node)
        || *qda_name_of(&node) == 'd')
        return result;
    if (other_mode == O_WRONLY && qda_has_events(&node))
        return read(descriptor, &none, sizeof none); /* waits for an event */
    errno = EINVAL;
    return refused(descriptor, -1, other_mode);
}

/* name, in which access mode there is no such thing, parameters, arguments */
#define POSITION(...) POSITION_(__VA_ARGS__)
#define POSITION_(name, other_mode, parameters, arguments) \
    WRAP(ssize_t, name, LIST parameters) \
    { \
        return has_no_position(descriptor) \
            ? -1 : at_position(descriptor, REAL(name) arguments, other_mode); \
    }
#define PIECE_IN (int descriptor, void *data, size_t size, off_t at), (descriptor, data, size, at)
#define PIECE_OUT \
    (int descriptor, const void *data, size_t size, off_t at), (descriptor, data, size, at)
#define PARTS_AT \
    (int descriptor, const struct iovec *parts, int count, off_t at), (descriptor, parts, count, at)
#define PARTS_HOW \
    (int descriptor, const struct iovec *parts, int count, off_t at, int how), \
        (descriptor, parts, count, at, how)

POSITION(pread, O_WRONLY, PIECE_IN)
POSITION(pread64, O_WRONLY, PIECE_IN)
POSITION(preadv, O_WRONLY, PARTS_AT)
POSITION(preadv64, O_WRONLY, PARTS_AT)
POSITION(preadv2, O_WRONLY, PARTS_HOW)
POSITION(preadv64v2, O_WRONLY, PARTS_HOW)
POSITION(pwrite, O_RDONLY, PIECE_OUT)
POSITION(pwrite64, O_RDONLY, PIECE_OUT)
POSITION(pwritev, O_RDONLY, PARTS_AT)
POSITION(pwritev64, O_RDONLY, PARTS_AT)
POSITION(pwritev2, O_RDONLY, PARTS_HOW)
POSITION(pwritev64v2, O_RDONLY, PARTS_HOW)

/* An accelerator's node can be moved in, to no effect.  Of a buffer only the size can be asked. */
#define SEEK(name) \
    WRAP(off_t, name, int descriptor, off_t offset, int whence) \
    { \
        struct qda_node node; \
        if (qda_is_buffer(descriptor)) { \
            if (!offset && whence == SEEK_SET) \
                return 0; \
            if (offset || whence != SEEK_END) { \
                errno = EINVAL; \
                return -1; \
            } \
        } \
        off_t result = REAL(name)(descriptor, offset, whence); \
        if (result == -1 && errno == ESPIPE && qda_find(descriptor, &node) \
            && qda_has_events(&node)) \
            return 0; \
        return result; \
    }

SEEK(lseek)
SEEK(lseek64)

/* --- waiting and flags ------------------------------------------------------------------------ */

/* A driver without a poll function is always ready, so there is nothing to wait for. */
WRAP(int, epoll_ctl, int set, int operation, int descriptor, struct epoll_event *event)
{
    struct qda_node node;
    if (operation == EPOLL_CTL_ADD && qda_find(descriptor, &node) && !qda_has_events(&node)) {
        errno = EPERM;
        return -1;
    }
    return REAL(epoll_ctl)(set, operation, descriptor, event);
}

#define CONTROL(name) \
    WRAP(int, name, int descriptor, int command, ...) \
    { \
        struct qda_node node; \
        va_list rest; \
        va_start(rest, command); \
        void *argument = va_arg(rest, void *); \
        va_end(rest); \
        int of_memory = command == F_GET_SEALS || command == F_ADD_SEALS || command == F_SETLEASE; \
        int direct = command == F_SETFL && (intptr_t)argument & O_DIRECT; \
        if ((of_memory || direct) && qda_is_buffer(descriptor)) { \
            errno = EINVAL; \
            return -1; \
        } \
        int result = REAL(name)(descriptor, command, argument); \
        if (command == F_GETFL && result >= 0 && qda_find(descriptor, &node)) \
            result = (result & ~O_ACCMODE) | qda_mode_of(&node); \
        else if (command == F_GETFL && result > 0 && qda_is_buffer(descriptor)) \
            result &= O_ACCMODE | O_APPEND | O_NONBLOCK; /* it was never opened */ \
        return result; \
    }

CONTROL(fcntl)
CONTROL(fcntl64)
