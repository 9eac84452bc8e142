/* Descriptors of nodes.
 *
 * A node's descriptor is one end of a socket pair whose other end the server holds.  Its name is
 * "\0qda/TOKEN/MODE:MAJOR:MINOR/NAME"; when the last copy is closed the server sees the end of
 * file. */
#include "lease.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

int qda_find(int descriptor, struct qda_node *node)
{
    static const char prefix[] = "\0" QDA_NAME_PREFIX;
    struct sockaddr_un name;
    socklen_t length = sizeof name;
    int before = errno;
    long failed = syscall(SYS_getsockname, descriptor, &name, &length);
    errno = before;
    if (failed || name.sun_family != AF_UNIX || length >= sizeof name)
        return 0;
    size_t begin = sizeof prefix - 1, slash = begin + sizeof node->token;
    size_t end = length - offsetof(struct sockaddr_un, sun_path);
    if (end <= slash || memcmp(name.sun_path, prefix, begin) || name.sun_path[slash] != '/')
        return 0;
    memcpy(node->token, name.sun_path + begin, sizeof node->token);
    memcpy(node->rest, name.sun_path + slash + 1, end - slash - 1);
    node->rest[end - slash - 1] = 0;
    return 1;
}

int qda_mode_of(const struct qda_node *node)
{
    return *node->rest - '0';
}

dev_t qda_device_of(const struct qda_node *node)
{
    char *end;
    unsigned int major_number = (unsigned int)strtoul(node->rest + sizeof "0:" - 1, &end, 10);
    return makedev(major_number, *end ? (unsigned int)strtoul(end + 1, NULL, 10) : 0);
}

const char *qda_name_of(const struct qda_node *node)
{
    const char *slash = strchr(node->rest, '/');
    return slash ? slash + 1 : "";
}

int qda_has_events(const struct qda_node *node)
{
    return !strncmp(qda_name_of(node), "accel/", sizeof "accel/" - 1);
}

/* The result of a system call in libc's manner. */
static int returned(long result)
{
    if (result < 0 && result >= -4095) {
        errno = (int)-result;
        return -1;
    }
    return (int)result;
}

/* Ask for a descriptor; it or a negative errno. */
static int ask_for_descriptor(struct qda_question *request)
{
    int received;
    long result = qda_ask(request, &received);
    if (result < 0) {
        if (received >= 0)
            close(received);
        return (int)result;
    }
    return received == -1 ? -ENODEV : received;
}

int qda_open_node(const char *name, int flags)
{
    struct qda_question request = { .operation = QDA_OPERATION_OPEN, .flags = (uint32_t)flags };
    strncpy(request.name, name, sizeof request.name - 1);
    if (strlen(name) >= sizeof request.name)
        return returned(-ENOENT);
    int descriptor = ask_for_descriptor(&request);
    if (descriptor == -EINTR) /* after which open would be tried again: the server is stopped */
        descriptor = -ENODEV;
    else if (descriptor == -ERESTART) /* the driver was waiting for a context bank */
        descriptor = -EINTR;
    if (descriptor >= 0 && flags & O_DIRECT) { /* which a driver would have to have */
        close(descriptor);
        descriptor = -EINVAL;
    }
    if (descriptor >= 0 && !(flags & O_CLOEXEC))
        fcntl(descriptor, F_SETFD, 0);
    return returned(descriptor);
}

static struct qda_question request_on(const struct qda_node *node, uint32_t operation,
                                     int descriptor, uint64_t code, uint64_t argument)
{
    struct qda_question request = { .operation = operation, .descriptor = descriptor,
                                   .code = code, .argument = argument };
    memcpy(request.token, node->token, sizeof request.token);
    return request;
}

/* A node is gone with its server, or because the program has closed the descriptor just after it was
 * looked at, which is as if it had been closed before. */
static long result_on(const struct qda_node *node, int descriptor, long result)
{
    struct qda_node now;
    if (result != -ENODEV)
        return result;
    return qda_find(descriptor, &now) && !memcmp(now.token, node->token, sizeof now.token)
        ? result : -EBADF;
}

int qda_control(const struct qda_node *node, int descriptor, unsigned int code, void *argument)
{
    struct qda_question request =
        request_on(node, QDA_OPERATION_IOCTL, descriptor, code, (uintptr_t)argument);
    return returned(result_on(node, descriptor, qda_call(&request)));
}

int qda_map(const struct qda_node *node, int descriptor, size_t length, off_t offset)
{
    struct qda_question request =
        request_on(node, QDA_OPERATION_MMAP, descriptor, length, (uint64_t)offset);
    return returned(result_on(node, descriptor, ask_for_descriptor(&request)));
}
