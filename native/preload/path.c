/* Which paths are ours.
 *
 * Ours are the nodes of accelerators, of the older FastRPC driver and of the system heap, whether
 * the machine has such nodes or not: a real one is not to be reached by accident.  The server keeps
 * a mirror, a folder with a placeholder for each node; what asks about a path is asked about the
 * placeholder. */
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static const struct {
    const char *text; /* a name below /dev */
    enum { WHOLE, TREE, BEGINNING } extent;
} ours[] = {
    { "", WHOLE },
    { "accel", TREE },
    { "dma_heap", WHOLE },
    { "dma_heap/system", WHOLE },
    { "fastrpc-", BEGINNING },
    { "subsys_", BEGINNING }, /* no node: it says to the older library that a DSP is there */
};

/* How the last part of such a path begins. */
static const char *const last_parts[] = { "accel",    "dev",     "dma_heap",
                                          "fastrpc-", "subsys_", "system" };

static char socket_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* The variable is read once: programs may change their environment. */
static void read_environment(void)
{
    const char *found = getenv(QDA_SOCKET_VARIABLE);
    if (found && *found == '/' && strlen(found) < sizeof socket_path)
        strcpy(socket_path, found);
}

const char *qda_socket(void)
{
    pthread_once(&once, read_environment);
    return *socket_path ? socket_path : NULL;
}

/* Whether PATH may be ours, from its last part: the answer for nearly all paths is no, and should
 * cost nothing. */
static int may_be_ours(const char *path)
{
    const char *last = path;
    if (!strncmp(path, "/dev/", 5))
        return 1;
    for (const char *at = path; *at; at++)
        if (*at == '/' && at[1] && at[1] != '/')
            last = at + 1;
    for (size_t i = 0; i < sizeof last_parts / sizeof *last_parts; i++)
        if (!strncmp(last, last_parts[i], strlen(last_parts[i])))
            return 1;
    return 0;
}

/* Append the parts of PATH to the absolute path ROOM, without ".", ".." and double slashes.
 * Symbolic links are not followed.  Returns 0 if it becomes too long. */
static int append(char *room, const char *path)
{
    size_t used = strlen(room);
    while (*path) {
        size_t length = strcspn(path, "/");
        if (length == 2 && !strncmp(path, "..", 2)) {
            while (used && room[--used] != '/')
                ;
        } else if (length && !(length == 1 && *path == '.')) {
            if (used + length + 2 > PLACE_ROOM)
                return 0;
            room[used++] = '/';
            memcpy(room + used, path, length);
            used += length;
        }
        room[used] = 0;
        path += length;
        path += strspn(path, "/");
    }
    return 1;
}

/* The folder from which a relative path starts. */
static int start_from(int folder, char *room)
{
    char link[32] = "/proc/self/cwd";
    if (folder != AT_FDCWD)
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, room, PLACE_ROOM);
    if (length <= 0 || length >= PLACE_ROOM || *room != '/')
        return 0;
    room[length == 1 ? 0 : length] = 0;
    return 1;
}

/* What follows FOLDER in PATH: "" for the folder itself, NULL for a path outside. */
static const char *below(const char *path, const char *folder)
{
    size_t length = strlen(folder);
    if (strncmp(path, folder, length) || (path[length] && path[length] != '/'))
        return NULL;
    return path[length] ? path + length + 1 : path + length;
}

static int is_ours(const char *name)
{
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        const char *text = ours[i].text;
        if (ours[i].extent == WHOLE   ? !strcmp(name, text)
            : ours[i].extent == TREE  ? below(name, text) != NULL
                                      : !strncmp(name, text, strlen(text)) && !strchr(name, '/'))
            return 1;
    }
    return 0;
}

const char *qda_name(int folder, const char *path, char *room)
{
    char mirror[PLACE_ROOM];
    if (!path || !*path || !may_be_ours(path) || !qda_socket())
        return NULL;
    *room = 0;
    int before = errno;
    int known = (*path == '/' || start_from(folder, room)) && append(room, path);
    errno = before;
    if (!known)
        return NULL;
    const char *name = below(room, "/dev");
    if (!name) /* a path that begins at an open folder of the mirror */
        name = below(room, qda_mirror(NULL, mirror));
    return name && is_ours(name) ? name : NULL;
}

const char *qda_mirror(const char *name, char *room)
{
    snprintf(room, PLACE_ROOM, "%s" QDA_MIRROR_SUFFIX "%s%s", qda_socket(), name ? "/" : "",
             name ? name : "");
    return room;
}

const char *qda_redirect(int folder, const char *path, char *room)
{
    char name_room[PLACE_ROOM];
    const char *name = qda_name(folder, path, name_room);
    return !name ? NULL : *name ? qda_mirror(name, room) : "/dev";
}
