/* One open file in several processes: forked, executed several times, passed over a socket. */
#include "program.h"
#include <sys/socket.h>
#include <sys/wait.h>

static void check_node(int node, uint32_t calculator)
{
    CHECK(sum(node, calculator, inline_part(numbers, sizeof numbers)) == TOTAL);
}

static void wait_for(pid_t child)
{
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void send_descriptor(int to, int descriptor)
{
    char room[CMSG_SPACE(sizeof(int))] = { 0 };
    struct iovec part = { "x", 1 };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = room,
                              .msg_controllen = sizeof room };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    CHECK(sendmsg(to, &message, 0) == 1);
}

static int receive_descriptor(int from)
{
    char room[CMSG_SPACE(sizeof(int))], byte;
    struct iovec part = { &byte, 1 };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = room,
                              .msg_controllen = sizeof room };
    int descriptor;
    CHECK(recvmsg(from, &message, 0) == 1 && CMSG_FIRSTHDR(&message));
    memcpy(&descriptor, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof descriptor);
    return descriptor;
}

int main(int count, char **arguments)
{
    if (count == 3) { /* executed: the descriptor is known by its number alone */
        check_node(atoi(arguments[1]), (uint32_t)atoi(arguments[2]));
        return 0;
    }
    int node = open(NODE, O_RDWR); /* no O_CLOEXEC */
    int early[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, early) == 0);
    pid_t stranger = fork(); /* before there is anything to inherit */
    CHECK(stranger >= 0);
    if (!stranger) {
        CHECK(close(node) == 0);
        int received = receive_descriptor(early[0]);
        uint32_t calculator;
        CHECK(read(early[0], &calculator, sizeof calculator) == sizeof calculator);
        check_node(received, calculator);
        _exit(0);
    }

    create_session(node);
    uint32_t calculator = open_calculator(node);
    check_node(node, calculator);
    send_descriptor(early[1], node);
    CHECK(write(early[1], &calculator, sizeof calculator) == sizeof calculator);
    wait_for(stranger);

    pid_t child = fork();
    CHECK(child >= 0);
    if (!child) {
        int other = dup(node);
        CHECK(close(node) == 0);
        check_node(other, calculator);
        _exit(0);
    }
    check_node(node, calculator); /* while the child may be in a call of its own */
    wait_for(child);
    check_node(node, calculator);

    child = fork();
    CHECK(child >= 0);
    if (!child) { /* as hexagonrpcd starts its programs (clients.md 7) */
        char number[16], handle[16];
        snprintf(number, sizeof number, "%d", node);
        snprintf(handle, sizeof handle, "%u", calculator);
        execl("/usr/bin/env", "env", "/bin/sh", "-c", "exec \"$0\" \"$1\" \"$2\"", arguments[0],
              number, handle, NULL);
        _exit(2);
    }
    wait_for(child);
    check_node(node, calculator);
    return 0;
}
