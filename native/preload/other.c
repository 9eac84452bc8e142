/* What nodes and buffers are not: sockets, files with room of their own, ends of a transfer.
 *
 * A node's descriptor is a socket, and a buffer's is memory that has a size, so all of this would
 * work: here it fails as in a kernel.  What nobody does often is refused before it is tried. */
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* With musl these are macros. */
#undef fallocate64
#undef ftruncate64
#undef posix_fallocate64
#undef sendfile64

#define LIST(...) __VA_ARGS__

static int failed(int number)
{
    errno = number;
    return -1;
}

/* --- transfers between two descriptors --------------------------------------------------------- */

/* What keeps a transfer from being begun: EBADF for a node in another mode, ESPIPE for a position
 * where there are none, EINVAL, as there are no functions for it.  0: neither end is ours. */
static int no_transfer(int from, const void *from_at, int to)
{
    struct qda_node source, sink;
    int from_node = qda_find(from, &source), to_node = qda_find(to, &sink);
    int from_buffer = !from_node && qda_is_buffer(from);
    if (!from_node && !to_node && !from_buffer && !qda_is_buffer(to))
        return 0;
    if (fcntl(from, F_GETFD) < 0 || fcntl(to, F_GETFD) < 0
        || (from_node && qda_mode_of(&source) == O_WRONLY))
        return EBADF;
    if (from_at && (from_buffer || (from_node && *qda_name_of(&source) == 'd')))
        return ESPIPE;
    if (to_node && qda_mode_of(&sink) == O_RDONLY)
        return EBADF;
    return EINVAL;
}

#define SENDFILE(name) \
    WRAP(ssize_t, name, int to, int from, off_t *at, size_t size) \
    { \
        int number = no_transfer(from, at, to); \
        return number ? failed(number) : REAL(name)(to, from, at, size); \
    }

SENDFILE(sendfile)
SENDFILE(sendfile64)

/* Only regular files have it, whatever the positions. */
WRAP(ssize_t, copy_file_range, int from, off_t *from_at, int to, off_t *to_at, size_t size,
     unsigned int flags)
{
    int number = no_transfer(from, NULL, to);
    return number ? failed(number) : REAL(copy_file_range)(from, from_at, to, to_at, size, flags);
}

/* One end is a pipe, which could be waited for. */
WRAP(ssize_t, splice, int from, off_t *from_at, int to, off_t *to_at, size_t size,
     unsigned int flags)
{
    int number = no_transfer(from, from_at, to);
    return number ? failed(number) : REAL(splice)(from, from_at, to, to_at, size, flags);
}

/* --- what can be done to no buffer -------------------------------------------------------------- */

#define NO_BUFFER(result, name, refusal, parameters, arguments) \
    WRAP(result, name, LIST parameters) \
    { \
        return qda_is_buffer(descriptor) ? refusal : REAL(name) arguments; \
    }
#define ROOM (int descriptor, off_t offset, off_t size), (descriptor, offset, size)
#define MODE_AND_ROOM \
    (int descriptor, int mode, off_t offset, off_t size), (descriptor, mode, offset, size)
#define SIZE (int descriptor, off_t size), (descriptor, size)
#define NO_ROOM (offset < 0 || size <= 0 ? EINVAL : ENODEV)

#define NO_BUFFER_(...) NO_BUFFER(__VA_ARGS__)
NO_BUFFER(int, fsync, failed(EINVAL), (int descriptor), (descriptor))
NO_BUFFER(int, fdatasync, failed(EINVAL), (int descriptor), (descriptor))
NO_BUFFER_(int, ftruncate, failed(EINVAL), SIZE)
NO_BUFFER_(int, ftruncate64, failed(EINVAL), SIZE)
NO_BUFFER_(int, fallocate, failed(NO_ROOM), MODE_AND_ROOM)
NO_BUFFER_(int, fallocate64, failed(NO_ROOM), MODE_AND_ROOM)
NO_BUFFER_(int, posix_fallocate, NO_ROOM, ROOM)
NO_BUFFER_(int, posix_fallocate64, NO_ROOM, ROOM)
NO_BUFFER(ssize_t, readahead, failed(EINVAL), (int descriptor, off_t offset, size_t size),
          (descriptor, offset, size))
NO_BUFFER(int, sync_file_range, failed(ESPIPE),
          (int descriptor, off_t offset, off_t size, unsigned int flags),
          (descriptor, offset, size, flags))

/* --- nodes are no sockets ----------------------------------------------------------------------- */

#define NO_SOCKET(result, name, parameters, arguments) \
    WRAP(result, name, LIST parameters) \
    { \
        struct qda_node node; \
        return qda_find(descriptor, &node) ? failed(ENOTSOCK) : REAL(name) arguments; \
    }
#define NAME (int descriptor, struct sockaddr *name, socklen_t *length), (descriptor, name, length)
#define GIVEN_NAME \
    (int descriptor, const struct sockaddr *name, socklen_t length), (descriptor, name, length)
#define NO_SOCKET_(...) NO_SOCKET(__VA_ARGS__)

NO_SOCKET_(int, getsockname, NAME)
NO_SOCKET_(int, getpeername, NAME)
NO_SOCKET_(int, accept, NAME)
NO_SOCKET(int, accept4, (int descriptor, struct sockaddr *name, socklen_t *length, int flags),
          (descriptor, name, length, flags))
NO_SOCKET_(int, bind, GIVEN_NAME)
NO_SOCKET_(int, connect, GIVEN_NAME)
NO_SOCKET(int, listen, (int descriptor, int backlog), (descriptor, backlog))
NO_SOCKET(int, getsockopt, (int descriptor, int level, int option, void *value, socklen_t *length),
          (descriptor, level, option, value, length))
NO_SOCKET(int, setsockopt,
          (int descriptor, int level, int option, const void *value, socklen_t length),
          (descriptor, level, option, value, length))
NO_SOCKET(int, shutdown, (int descriptor, int how), (descriptor, how))

/* To receive could be to wait for an event. */
NO_SOCKET(ssize_t, recv, (int descriptor, void *data, size_t size, int flags),
          (descriptor, data, size, flags))
NO_SOCKET(ssize_t, __recv_chk, (int descriptor, void *data, size_t size, size_t room, int flags),
          (descriptor, data, size, room, flags))
NO_SOCKET(ssize_t, recvfrom,
          (int descriptor, void *data, size_t size, int flags, struct sockaddr *name,
           socklen_t *length),
          (descriptor, data, size, flags, name, length))
NO_SOCKET(ssize_t, __recvfrom_chk,
          (int descriptor, void *data, size_t size, size_t room, int flags, struct sockaddr *name,
           socklen_t *length),
          (descriptor, data, size, room, flags, name, length))
NO_SOCKET(ssize_t, recvmsg, (int descriptor, struct msghdr *message, int flags),
          (descriptor, message, flags))
NO_SOCKET(int, recvmmsg,
          (int descriptor, struct mmsghdr *messages, unsigned int count, int flags,
           struct timespec *time),
          (descriptor, messages, count, flags, time))

/* To send fails, so only what has failed so is looked at. */
static ssize_t have_sent(int descriptor, ssize_t result)
{
    struct qda_node node;
    int is_ours = result < 0
        && (errno == EPIPE || errno == EMSGSIZE || errno == EPERM || errno == EISCONN
            || errno == EOPNOTSUPP || errno == EAGAIN)
        && qda_find(descriptor, &node);
    return is_ours ? failed(ENOTSOCK) : result;
}

#define SEND(result, name, parameters, arguments) \
    WRAP(result, name, LIST parameters) \
    { \
        return (result)have_sent(descriptor, REAL(name) arguments); \
    }

SEND(ssize_t, send, (int descriptor, const void *data, size_t size, int flags),
     (descriptor, data, size, flags))
SEND(ssize_t, sendto,
     (int descriptor, const void *data, size_t size, int flags, const struct sockaddr *name,
      socklen_t length),
     (descriptor, data, size, flags, name, length))
SEND(ssize_t, sendmsg, (int descriptor, const struct msghdr *message, int flags),
     (descriptor, message, flags))
SEND(int, sendmmsg,
     (int descriptor, struct mmsghdr *messages, unsigned int count, int flags),
     (descriptor, messages, count, flags))
