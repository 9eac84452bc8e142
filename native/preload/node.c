/* Descriptors of nodes.
 *
 * A node's descriptor is one end of a socket pair whose other end the server holds.  Its name is
 * "\0qda/TOKEN/MAJOR:MINOR"; when the last copy is closed the server sees the end of file. */
#include "lease.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int qda_find(int descriptor, struct qda_node *node)
{
    static const char prefix[] = "\0" QDA_NAME_PREFIX;
    struct sockaddr_un name;
    socklen_t length = sizeof name;
    int before = errno;
    int failed = getsockname(descriptor, (struct sockaddr *)&name, &length);
    errno = before;
    if (failed || name.sun_family != AF_UNIX || length >= sizeof name)
        return 0;
    size_t begin = sizeof prefix - 1, slash = begin + sizeof node->token;
    size_t end = length - offsetof(struct sockaddr_un, sun_path);
    if (end <= slash || memcmp(name.sun_path, prefix, begin) || name.sun_path[slash] != '/')
        return 0;
    name.sun_path[end] = 0;
    char *colon;
    node->major = (unsigned int)strtoul(name.sun_path + slash + 1, &colon, 10);
    node->minor = *colon == ':' ? (unsigned int)strtoul(colon + 1, NULL, 10) : 0;
    memcpy(node->token, name.sun_path + begin, sizeof node->token);
    return 1;
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

int qda_control(const struct qda_node *node, int descriptor, unsigned int code, void *argument)
{
    struct qda_question request =
        request_on(node, QDA_OPERATION_IOCTL, descriptor, code, (uintptr_t)argument);
    return returned(qda_call(&request));
}

int qda_map(const struct qda_node *node, int descriptor, size_t length, off_t offset)
{
    struct qda_question request =
        request_on(node, QDA_OPERATION_MMAP, descriptor, length, (uint64_t)offset);
    return returned(ask_for_descriptor(&request));
}
