/* Streams of nodes.  libc opens their files by functions of its own, and so do C++'s file streams,
 * by which many a program looks whether a node is there. */
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* With musl this is a macro. */
#undef fopen64

/* The flags that a mode of fopen(3) stands for; -1 for what is none. */
static int flags_of(const char *mode)
{
    int flags = *mode == 'r' ? 0
        : *mode == 'w'       ? O_CREAT | O_TRUNC
        : *mode == 'a'       ? O_CREAT | O_APPEND
                             : -1;
    int access = *mode == 'r' ? O_RDONLY : O_WRONLY;
    for (const char *more = mode + 1; flags >= 0 && *more && *more != ','; more++)
        if (*more == '+')
            access = O_RDWR;
        else if (*more == 'e')
            flags |= O_CLOEXEC;
        else if (*more == 'x')
            flags |= O_EXCL;
    return flags < 0 ? -1 : flags | access;
}

/* A stream of a path of ours. */
static FILE *stream_of(const char *path, const char *mode)
{
    int flags = flags_of(mode);
    if (flags < 0) {
        errno = EINVAL;
        return NULL;
    }
    int descriptor = open(path, flags, 0666);
    FILE *stream = descriptor < 0 ? NULL : fdopen(descriptor, mode);
    if (descriptor >= 0 && !stream)
        close(descriptor);
    return stream;
}

#define FOPEN(name) \
    WRAP(FILE *, name, const char *path, const char *mode) \
    { \
        char place[PLACE_ROOM]; \
        int is_ours = qda_redirect(AT_FDCWD, path, place) \
            || qda_name_behind(AT_FDCWD, path, place); \
        return is_ours ? stream_of(path, mode) : REAL(name)(path, mode); \
    }

FOPEN(fopen)
FOPEN(fopen64)
