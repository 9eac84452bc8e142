/* The functions by which processes begin, with what they are given of ours and what they are not.
 *
 * libc opens the files of `posix_spawn` by functions of its own, in the child.  So a node is opened
 * here, when it is asked for, and the child duplicates it; it is closed with the list of actions. */
#include "lease.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdlib.h>
#include <unistd.h>

enum { OUT_OF_THE_WAY = 100 }; /* a child's own numbers are low */

struct opened {
    struct opened *next;
    const posix_spawn_file_actions_t *actions;
    int descriptor;
};

static struct opened *all;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Open a path of ours for a list of actions; its descriptor or a negative errno. */
static int open_for(const posix_spawn_file_actions_t *actions, const char *path, int flags,
                    mode_t mode)
{
    struct opened *opened = malloc(sizeof *opened);
    int low = opened ? open(path, flags | O_CLOEXEC, mode) : -1, before = errno;
    if (low < 0) {
        free(opened);
        return opened ? -before : -ENOMEM;
    }
    int descriptor = fcntl(low, F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
    if (descriptor >= 0)
        close(low);
    else
        descriptor = low; /* few numbers are allowed */
    pthread_mutex_lock(&lock);
    *opened = (struct opened){ all, actions, descriptor };
    all = opened;
    pthread_mutex_unlock(&lock);
    return descriptor;
}

WRAP(int, posix_spawn_file_actions_addopen, posix_spawn_file_actions_t *actions, int descriptor,
     const char *path, int flags, mode_t mode)
{
    char place[PLACE_ROOM];
    if (!qda_redirect(AT_FDCWD, path, place))
        return REAL(posix_spawn_file_actions_addopen)(actions, descriptor, path, flags, mode);
    int opened = open_for(actions, path, flags, mode);
    if (opened == -ENOENT || opened == -ENOTDIR) /* as the child will find, and then says */
        return REAL(posix_spawn_file_actions_addopen)(actions, descriptor, place, flags, mode);
    return opened < 0 ? -opened
                      : posix_spawn_file_actions_adddup2(actions, opened, descriptor);
}

WRAP(int, posix_spawn_file_actions_destroy, posix_spawn_file_actions_t *actions)
{
    pthread_mutex_lock(&lock);
    for (struct opened **at = &all, *opened; (opened = *at);)
        if (opened->actions == actions) {
            *at = opened->next;
            close(opened->descriptor);
            free(opened);
        } else {
            at = &opened->next;
        }
    pthread_mutex_unlock(&lock);
    return REAL(posix_spawn_file_actions_destroy)(actions);
}

#define ADD_FOLDER(name) \
    WRAP(int, name, posix_spawn_file_actions_t *actions, const char *path) \
    { \
        char place[PLACE_ROOM]; \
        const char *mirror = qda_redirect(AT_FDCWD, path, place); \
        return REAL(name)(actions, mirror ? mirror : path); \
    }

ADD_FOLDER(posix_spawn_file_actions_addchdir_np)
ADD_FOLDER(posix_spawn_file_actions_addchdir)

/* What a child has inherited of ours goes at once: a signal handler may have forked, and its thread slept on one of them. */
WRAP(pid_t, fork, void)
{
    pid_t child = REAL(fork)();
    int before = errno;
    if (!child) {
        qda_drop_all();
        qda_disown();
    }
    errno = before;
    return child;
}
