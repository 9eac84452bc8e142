/* The connection of a thread with the device server, which it makes at its first request.
 *
 * So a blocked call of one thread holds up no other, and the server knows who asks.  A connection
 * survives neither fork nor exec. */
#include "lease.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ioctl.h> /* the one of musl does not take commands apart */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

enum { OUT_OF_THE_WAY = 100 }; /* programs expect their own descriptors to have low numbers */

struct connection {
    int descriptor, busy;
    pid_t owner, tid, server;
    uint32_t number;
    uint64_t cookie;
    struct iovec enclosed; /* the structure that travels with the request and its answer */
};

static __thread struct connection own __attribute__((tls_model("initial-exec"))) = {
    .descriptor = -1,
};

/* The kernel's name for a socket, which it never uses again; 0 for what is no socket. */
static uint64_t cookie_of(int descriptor)
{
    uint64_t cookie = 0;
    socklen_t length = sizeof cookie;
    getsockopt(descriptor, SOL_SOCKET, SO_COOKIE, &cookie, &length);
    return cookie;
}

/* Whether there is a connection: the program may have closed its descriptor before us, and perhaps
 * has something else there now. */
static int is_there(const struct connection *connection)
{
    return connection->descriptor >= 0 && cookie_of(connection->descriptor) == connection->cookie;
}

/* Close a connection; in a forked child it goes on being the parent's.  By system calls: a thread
 * that ends while another unloads a library, and waits for it there, may not look for a function of
 * libc, since to look waits for the unloading. */
static void disconnect(struct connection *connection)
{
    if (is_there(connection)) {
        if (connection->owner == getpid())
            syscall(SYS_shutdown, connection->descriptor, SHUT_RDWR);
        syscall(SYS_close, connection->descriptor);
    }
    connection->descriptor = -1;
}

/* Whether a process is stopped, as by Ctrl-Z; not if that cannot be told. */
static int is_stopped(pid_t process)
{
    char path[32], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)process);
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? 0 : read(file, text, sizeof text - 1);
    if (file >= 0)
        close(file);
    text[length > 0 ? length : 0] = 0;
    const char *name_end = strrchr(text, ')');
    return name_end && name_end[1] == ' ' && (name_end[2] == 'T' || name_end[2] == 't');
}

/* A handler of signals has run, and the program perhaps wants to end.  Wait for a message for a
 * while, or until the next signal; returns whether none is going to come, because the server is
 * stopped. */
static int gives_up(const struct connection *connection)
{
    enum { GRACE = 1000 /* milliseconds */ };
    struct pollfd watched = { connection->descriptor, POLLIN, 0 };
    return poll(&watched, 1, GRACE) <= 0 && is_stopped(connection->server);
}

/* A signal handler may fork in the middle of a request: the child must not receive the answer, which
 * is the parent's.  It asks anew, as the kernel would begin its system call anew.  This is no result
 * of a call, which has 32 bits. */
#define AGAIN (-(1L << 32))

void qda_disown(void)
{
    disconnect(&own);
}

static pthread_key_t at_end_of_thread;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_key(void)
{
    pthread_key_create(&at_end_of_thread, (void (*)(void *))disconnect);
}

enum { DESCRIPTORS = 2 }; /* of a message, at most */

/* Receive one message; returns its length or a negative errno, -EFAULT for the answer that has come
 * with a structure which cannot be written.  Descriptors replace those RECEIVED. */
static long receive(const struct connection *connection, struct qda_answer *answer, int *received)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(DESCRIPTORS * sizeof(int))];
    } control;
    struct iovec parts[] = { { answer, sizeof *answer }, connection->enclosed };
    struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2, .msg_control = &control,
                              .msg_controllen = sizeof control };
    ssize_t length = syscall(SYS_recvmsg, connection->descriptor, &message, MSG_CMSG_CLOEXEC);
    if (length < 0)
        return -errno;
    received[0] = received[1] = -1;
    struct cmsghdr *found = CMSG_FIRSTHDR(&message);
    if (found && found->cmsg_level == SOL_SOCKET && found->cmsg_type == SCM_RIGHTS)
        memcpy(received, CMSG_DATA(found), found->cmsg_len - CMSG_LEN(0));
    else if (message.msg_flags & MSG_CTRUNC)
        received[0] = -EMFILE; /* it was sent, and there was no number for it */
    return length >= (ssize_t)sizeof *answer ? length : -ENODEV;
}

static long send_request(struct connection *connection, struct qda_question *request)
{
    struct iovec parts[] = { { request, sizeof *request }, connection->enclosed };
    struct msghdr message = { .msg_iov = parts, .msg_iovlen = 1 };
    ssize_t length;
    message.msg_iovlen += request->operation == QDA_OPERATION_IOCTL;
    do {
        length = syscall(SYS_sendmsg, connection->descriptor, &message, MSG_NOSIGNAL);
        if (length < 0 && errno == EFAULT) /* whether that matters is decided by the driver */
            parts[1] = connection->enclosed = (struct iovec){ 0 };
    } while (length < 0 && (errno == EINTR || errno == EFAULT));
    return length < 0 ? -ENODEV : 0;
}

/* Connect.  Returns 0 or a negative errno: -EINTR after a signal if the server is stopped, -ENODEV
 * if there is no server, or one that could be anybody's: at the path of a server that has ended,
 * another user may have put his own. */
static long connect_to_server(struct connection *connection)
{
    struct sockaddr_un server = { .sun_family = AF_UNIX };
    struct qda_answer welcome;
    struct ucred peer;
    socklen_t length = sizeof peer;
    int result, none[DESCRIPTORS];
    int low = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (low < 0)
        return -errno;
    connection->descriptor = fcntl(low, F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
    if (connection->descriptor >= 0)
        close(low);
    else
        connection->descriptor = low; /* few numbers are allowed */
    connection->owner = getpid();
    connection->tid = (pid_t)syscall(SYS_gettid);
    connection->cookie = cookie_of(connection->descriptor);
    strcpy(server.sun_path, qda_socket()); /* it was measured when it was found */
    do
        result = connect(connection->descriptor, (struct sockaddr *)&server, sizeof server);
    while (result && errno == EINTR);
    result = result ? -errno : 0;
    if (!getsockopt(connection->descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &length))
        connection->server = peer.pid;
    while (!result || (result == -EINTR && !gives_up(connection)))
        result = (int)receive(connection, &welcome, none);
    if (result < 0 || welcome.kind != QDA_KIND_WELCOME || welcome.number != QDA_VERSION
        || getsockopt(connection->descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &length)
        || (peer.uid && peer.uid != geteuid())) {
        disconnect(connection);
        return result == -EINTR ? result : -ENODEV;
    }
    if (welcome.wishes & QDA_WISH_TRACER)
        prctl(PR_SET_PTRACER, peer.pid, 0, 0, 0); /* without Yama an error, and not needed */
    return 0;
}

/* Take up a descriptor that was sent for good, and tell the server its number. */
static void install(struct connection *connection, const struct qda_answer *answer, int received)
{
    struct qda_question done = { .operation = QDA_OPERATION_INSTALLED, .number = answer->number };
    if (received >= 0 && !(answer->flags & O_CLOEXEC))
        fcntl(received, F_SETFD, 0);
    done.descriptor = received;
    send_request(connection, &done);
}

static struct iovec structure_of(const struct qda_question *request)
{
    struct iovec structure = { (void *)(uintptr_t)request->argument, _IOC_SIZE(request->code) };
    /* A checker would complain of fields that nobody fills. */
    int travels = request->operation == QDA_OPERATION_IOCTL && !CHECKED;
    return travels && structure.iov_len <= QDA_ENCLOSED ? structure : (struct iovec){ 0 };
}

static long converse(struct connection *connection, struct qda_question *request, int *descriptor)
{
    struct qda_answer answer;
    int interrupted = 0, received[DESCRIPTORS];
    long lost = -ENODEV; /* the server is gone */
    request->number = ++connection->number;
    request->tid = connection->tid;
    request->wishes |= CHECKED ? QDA_WISH_REPORT : 0;
    connection->enclosed = structure_of(request);
    long result = send_request(connection, request);
    while (!result && connection->descriptor >= 0) { /* not if `qda_disown` has been called */
        if (interrupted && gives_up(connection)) {
            lost = -EINTR;
            break;
        }
        long length = receive(connection, &answer, received);
        if (length == -EINTR) {
            /* A handler without SA_RESTART has run.  Whether that ends the call is decided by the
             * driver, and until it has, the call goes on. */
            struct qda_question stop = { .operation = QDA_OPERATION_INTERRUPT };
            stop.number = request->number;
            if (!interrupted++)
                send_request(connection, &stop);
        } else if (length == -EFAULT) {
            return length;
        } else if (length < 0) {
            result = length;
        } else if (answer.kind == QDA_KIND_INSTALL) {
            install(connection, &answer, *received);
        } else if (answer.kind == QDA_KIND_LEASE || answer.kind == QDA_KIND_LANE) {
            qda_lease_receive(request->token, &answer, received);
        } else if (answer.kind == QDA_KIND_WROTE) {
            NOTE_WRITTEN((void *)(uintptr_t)answer.address, answer.length);
        } else if (answer.kind == QDA_KIND_ANSWER && answer.number == request->number) {
            *descriptor = received[0];
            return answer.result;
        }
    }
    disconnect(connection);
    if (connection->owner != getpid())
        return interrupted ? -EINTR : AGAIN;
    return lost;
}

long qda_ask(struct qda_question *request, int *received)
{
    struct connection spare = { .descriptor = -1 };
    /* A signal handler may make a call in the middle of a call. */
    struct connection *connection = own.busy ? &spare : &own;
    int cancel, before = errno;
    long result = 0;

    *received = -1;
    if (!qda_socket())
        return -ENODEV;
    /* What is no cancellation point in libc must not become one. */
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    connection->busy = 1;
    do {
        result = 0;
        if (!is_there(connection) || connection->owner != getpid()) {
            disconnect(connection);
            result = connect_to_server(connection);
            if (!result && connection == &own) {
                pthread_once(&once, make_key);
                pthread_setspecific(at_end_of_thread, &own);
            }
        }
        if (!result)
            result = converse(connection, request, received);
    } while (result == AGAIN);
    if (connection == &spare)
        disconnect(connection);
    connection->busy = 0;
    pthread_setcancelstate(cancel, NULL);
    errno = before;
    return result;
}
