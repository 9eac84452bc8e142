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
    { "dma_heap/system", TREE },
    { "fastrpc-", BEGINNING },
    { "subsys_", BEGINNING }, /* no node: it says to the older library that a DSP is there */
};

/* How the last part of such a path begins; two dots lead out of a folder of ours. */
static const char *const last_parts[] = { "..",       "accel",   "dev",   "dma_heap",
                                          "fastrpc-", "subsys_", "system" };

/* What is nothing but another way to write a path. */
static const char root[] = "/proc/self/root";

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

/* Programs such as env clear their environment before they ask for anything of ours. */
__attribute__((constructor)) static void read_early(void)
{
    qda_socket();
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
        const char *rest = below(name, ours[i].text);
        if (ours[i].extent == WHOLE  ? rest && !*rest
            : ours[i].extent == TREE ? rest != NULL
                                     : !strncmp(name, ours[i].text, strlen(ours[i].text)))
            return 1;
    }
    return 0;
}

/* Whether a path, absolute and plain, is that of a folder. */
static int is_folder(const char *path)
{
    char mirror[PLACE_ROOM];
    struct stat status;
    const char *name = below(path, "/dev");
    if (name && *name && is_ours(name))
        path = qda_mirror(name, mirror);
    return !*path || (!syscall(SYS_newfstatat, AT_FDCWD, path, &status, 0) && S_ISDIR(status.st_mode));
}

/* Append the parts of PATH to the absolute path ROOM, without ".", ".." and double slashes, but with
 * a slash at its end, for which a "." there stands, too.  Symbolic links are not followed.  Where it
 * goes back from a node of ours it ends, with a slash: that is no folder.  Returns 0 if it becomes
 * too long, or goes back from anything else that is no folder. */
static int append(char *room, const char *path)
{
    size_t used = strlen(room);
    const char *begin = path;
    int is_dot = 0;
    while (*path) {
        size_t length = strcspn(path, "/");
        is_dot = length == 1 && *path == '.';
        if (length == 2 && !strncmp(path, "..", 2)) {
            if (!is_folder(room)) {
                const char *name = below(room, "/dev");
                strcpy(room + used, "/"); /* there is room: see below */
                return name && is_ours(name);
            }
            while (used && room[--used] != '/')
                ;
        } else if (length && !is_dot) {
            if (used + length + 3 > PLACE_ROOM)
                return 0;
            room[used++] = '/';
            memcpy(room + used, path, length);
            used += length;
        }
        room[used] = 0;
        path += length;
        path += strspn(path, "/");
    }
    if (is_dot || (path > begin && path[-1] == '/'))
        strcpy(room + used, "/"); /* there is room: see above */
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

const char *qda_name(int folder, const char *path, char *room)
{
    char mirror[PLACE_ROOM];
    if (!path || !*path || !may_be_ours(path) || !qda_socket())
        return NULL;
    *room = 0;
    if (below(path, root))
        path += sizeof root - 1;
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

/* The number N of a path whose last part it is; -1 if that is no number. */
static int number_at_end(const char *path)
{
    const char *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path;
    size_t digits = strspn(last, "0123456789");
    return digits && digits < 10 && !last[digits] ? atoi(last) : -1;
}

/* The node whose descriptor is meant by a link /proc/.../fd/N that says TEXT.  The number alone
 * could be another process's. */
static int node_of_link(const char *path, const char *text, struct qda_node *node)
{
    struct stat status;
    int number = number_at_end(path);
    return !strncmp(text, "socket:[", 8) && number >= 0 && !syscall(SYS_fstat, number, &status)
        && strtoull(text + 8, NULL, 10) == status.st_ino && qda_find(number, node);
}

/* Read a link into PLACE_ROOM bytes; 0 if that cannot be. */
static int read_link(int folder, const char *path, char *text)
{
    int before = errno;
    long length = syscall(SYS_readlinkat, folder, path, text, PLACE_ROOM);
    errno = before;
    if (length <= 0 || length >= PLACE_ROOM)
        return 0;
    text[length] = 0;
    return 1;
}

/* What a link leads to, by its name below /dev, with NODE's room; NULL if that is none of ours. */
static const char *end_of_link(const char *path, const char *text, struct qda_node *node)
{
    char mirror[PLACE_ROOM];
    return node_of_link(path, text, node) ? qda_name_of(node)
                                          : below(text, qda_mirror(NULL, mirror));
}

const char *qda_name_behind(int folder, const char *path, char *room)
{
    char text[PLACE_ROOM];
    struct qda_node node;
    if (!path || number_at_end(path) < 0 || !qda_socket() || !read_link(folder, path, text))
        return NULL;
    const char *name = end_of_link(path, text, &node);
    return name ? strcpy(room, name) : NULL;
}

static int is_buffer_link(const char *text)
{
    return !strcmp(text, "/memfd:" QDA_MEMORY_NAME " (deleted)");
}

int qda_is_buffer_behind(int folder, const char *path)
{
    char text[PLACE_ROOM];
    return path && number_at_end(path) >= 0 && qda_socket() && read_link(folder, path, text)
        && is_buffer_link(text);
}

ssize_t qda_read_link(int folder, const char *path, char *text, size_t room)
{
    char read[PLACE_ROOM], shown[PLACE_ROOM + sizeof "/dev/"] = "/dmabuf:";
    struct qda_node node;
    if (!path || !qda_socket() || !read_link(folder, path, read))
        return 0;
    const char *name = end_of_link(path, read, &node);
    if (name)
        snprintf(shown, sizeof shown, *name ? "/dev/%s" : "/dev", name);
    else if (!is_buffer_link(read))
        return 0;
    size_t length = strlen(shown) < room ? strlen(shown) : room;
    memcpy(text, shown, length);
    return (ssize_t)length;
}

const char *qda_name_of_place(const char *path)
{
    char mirror[PLACE_ROOM];
    return qda_socket() ? below(path, qda_mirror(NULL, mirror)) : NULL;
}

int qda_is_in_mirror(void)
{
    char text[PLACE_ROOM];
    return qda_socket() && read_link(AT_FDCWD, "/proc/self/cwd", text)
        && qda_name_of_place(text) != NULL;
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
