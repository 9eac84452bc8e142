/* Messages there and back over a SEQPACKET pair, C on both sides.
 *
 * As a program, `echo FD` sends back what it is sent.  As a library, `echo_times` makes calls and
 * writes down what each took. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "measured.h"

/* A message without bytes would look like the end: the shortest is a word, as on a pipe. */
enum { WORD = 8 };

/* Microseconds of each of `calls` calls with `size` bytes, at least a word, each after `work` microseconds of work;
 * returns 0 or an errno. */
int echo_times(int fd, char *bytes, size_t size, double work, int calls, double *times)
{
    if (size < WORD)
        size = WORD;
    for (int i = 0; i < calls; i++) {
        double start = now(), end = start + work;
        while (start < end)
            start = now();
        if (send(fd, bytes, size, 0) < 0)
            return errno;
        for (size_t got = 0; got < size;) {
            ssize_t more = recv(fd, bytes + got, size - got, 0);
            if (more <= 0)
                return more ? errno : EPIPE;
            got += more;
        }
        times[i] = now() - start;
    }
    return 0;
}

int main(int count, char **arguments)
{
    static char bytes[1 << 20];
    int fd = count > 1 ? atoi(arguments[1]) : 0;
    ssize_t got;
    while ((got = recv(fd, bytes, sizeof bytes, 0)) > 0)
        if (send(fd, bytes, got, 0) < 0)
            return 1;
    return 0;
}
