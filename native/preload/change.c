/* The functions that change what is at a path.
 *
 * Owner, permissions and times are those of the placeholder, by path and by descriptor.  What is
 * there, and under which name, is the server's to say: to a program /dev is what it is to all but
 * root. */
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <utime.h>

/* With musl these are macros. */
#undef fstatfs64
#undef fstatvfs64
#undef statfs64
#undef statvfs64
#undef truncate64

#define LIST(...) __VA_ARGS__

/* --- owner, permissions, times, and what the file system has more ----------------------------- */

/* name, folder, parameters, arguments */
#define ATTRIBUTES(name, folder, parameters, arguments) \
    WRAP(int, name, LIST parameters) \
    { \
        char place[PLACE_ROOM]; \
        const char *mirror = qda_redirect(folder, path, place); \
        path = mirror ? mirror : path; \
        return REAL(name) arguments; \
    }

ATTRIBUTES(chmod, AT_FDCWD, (const char *path, mode_t mode), (path, mode))
ATTRIBUTES(lchmod, AT_FDCWD, (const char *path, mode_t mode), (path, mode))
ATTRIBUTES(fchmodat, folder, (int folder, const char *path, mode_t mode, int flags),
           (folder, path, mode, flags))
ATTRIBUTES(chown, AT_FDCWD, (const char *path, uid_t user, gid_t group), (path, user, group))
ATTRIBUTES(lchown, AT_FDCWD, (const char *path, uid_t user, gid_t group), (path, user, group))
ATTRIBUTES(fchownat, folder, (int folder, const char *path, uid_t user, gid_t group, int flags),
           (folder, path, user, group, flags))
ATTRIBUTES(utime, AT_FDCWD, (const char *path, const struct utimbuf *times), (path, times))
ATTRIBUTES(utimes, AT_FDCWD, (const char *path, const struct timeval *times), (path, times))
ATTRIBUTES(lutimes, AT_FDCWD, (const char *path, const struct timeval *times), (path, times))
ATTRIBUTES(futimesat, folder, (int folder, const char *path, const struct timeval *times),
           (folder, path, times))
ATTRIBUTES(utimensat, folder,
           (int folder, const char *path, const struct timespec *times, int flags),
           (folder, path, times, flags))

ATTRIBUTES(statvfs, AT_FDCWD, (const char *path, void *status), (path, status))
ATTRIBUTES(statvfs64, AT_FDCWD, (const char *path, void *status), (path, status))
ATTRIBUTES(statfs, AT_FDCWD, (const char *path, void *status), (path, status))
ATTRIBUTES(statfs64, AT_FDCWD, (const char *path, void *status), (path, status))
ATTRIBUTES(setxattr, AT_FDCWD,
           (const char *path, const char *name, const void *value, size_t size, int flags),
           (path, name, value, size, flags))
ATTRIBUTES(lsetxattr, AT_FDCWD,
           (const char *path, const char *name, const void *value, size_t size, int flags),
           (path, name, value, size, flags))
ATTRIBUTES(removexattr, AT_FDCWD, (const char *path, const char *name), (path, name))
ATTRIBUTES(lremovexattr, AT_FDCWD, (const char *path, const char *name), (path, name))

/* --- the same by descriptor: a node's is a socket, which has them of its own ------------------- */

/* name, parameters, arguments, what is done to the placeholder */
#define OF_DESCRIPTOR(name, parameters, arguments, to_placeholder) \
    WRAP(int, name, LIST parameters) \
    { \
        char room[PLACE_ROOM]; \
        struct qda_node node; \
        if (!qda_find(descriptor, &node)) \
            return REAL(name) arguments; \
        const char *place = qda_mirror(qda_name_of(&node), room); \
        return to_placeholder; \
    }

OF_DESCRIPTOR(fchmod, (int descriptor, mode_t mode), (descriptor, mode), REAL(chmod)(place, mode))
OF_DESCRIPTOR(fchown, (int descriptor, uid_t user, gid_t group), (descriptor, user, group),
              REAL(chown)(place, user, group))
OF_DESCRIPTOR(futimens, (int descriptor, const struct timespec *times), (descriptor, times),
              REAL(utimensat)(AT_FDCWD, place, times, 0))
OF_DESCRIPTOR(futimes, (int descriptor, const struct timeval *times), (descriptor, times),
              REAL(utimes)(place, times))
OF_DESCRIPTOR(fstatvfs, (int descriptor, void *status), (descriptor, status),
              REAL(statvfs)(place, status))
OF_DESCRIPTOR(fstatvfs64, (int descriptor, void *status), (descriptor, status),
              REAL(statvfs64)(place, status))

/* A buffer is known by its file system. */
#define FSTATFS(name, by_path) \
    WRAP(int, name, int descriptor, struct statfs *status) \
    { \
        char room[PLACE_ROOM]; \
        struct qda_node node; \
        if (qda_find(descriptor, &node)) \
            return REAL(by_path)(qda_mirror(qda_name_of(&node), room), status); \
        int result = REAL(name)(descriptor, status); \
        if (!result && qda_is_buffer(descriptor)) \
            status->f_type = DMA_BUF_MAGIC; \
        return result; \
    }

FSTATFS(fstatfs, statfs)
FSTATFS(fstatfs64, statfs64)

/* --- names ----------------------------------------------------------------------------------- */

/* Whether a path is ours; then errno says why it stays what it is: an errno for what is there, as a
 * node or as a folder, and one for what is not. */
static int stays(int folder, const char *path, int node, int directory, int missing)
{
    char room[PLACE_ROOM];
    struct stat status;
    const char *mirror = qda_redirect(folder, path, room);
    if (!mirror)
        return 0;
    if (node == EEXIST && mirror == room && room[strlen(room) - 1] == '/')
        room[strlen(room) - 1] = 0; /* the name of what is made may have a slash behind */
    if (syscall(SYS_newfstatat, AT_FDCWD, mirror, &status, 0))
        errno = errno == ENOENT ? missing : errno;
    else
        errno = S_ISDIR(status.st_mode) ? directory : node;
    return 1;
}

#define NEW(folder, path) stays(folder, path, EEXIST, EEXIST, EACCES)
#define OLD(folder, path) stays(folder, path, EACCES, EBUSY, ENOENT)

/* name, whether it is refused, parameters, arguments */
#define CHANGE(name, refused, parameters, arguments) \
    WRAP(int, name, LIST parameters) \
    { \
        return (refused) ? -1 : REAL(name) arguments; \
    }

CHANGE(mkdir, NEW(AT_FDCWD, path), (const char *path, mode_t mode), (path, mode))
CHANGE(mkdirat, NEW(folder, path), (int folder, const char *path, mode_t mode),
       (folder, path, mode))
CHANGE(mkfifo, NEW(AT_FDCWD, path), (const char *path, mode_t mode), (path, mode))
CHANGE(mkfifoat, NEW(folder, path), (int folder, const char *path, mode_t mode),
       (folder, path, mode))
CHANGE(mknod, NEW(AT_FDCWD, path), (const char *path, mode_t mode, dev_t device),
       (path, mode, device))
CHANGE(mknodat, NEW(folder, path), (int folder, const char *path, mode_t mode, dev_t device),
       (folder, path, mode, device))
CHANGE(__xmknod, NEW(AT_FDCWD, path), (int version, const char *path, mode_t mode, dev_t *device),
       (version, path, mode, device))
CHANGE(__xmknodat, NEW(folder, path),
       (int version, int folder, const char *path, mode_t mode, dev_t *device),
       (version, folder, path, mode, device))
CHANGE(symlink, NEW(AT_FDCWD, path), (const char *text, const char *path), (text, path))
CHANGE(symlinkat, NEW(folder, path), (const char *text, int folder, const char *path),
       (text, folder, path))
CHANGE(unlink, stays(AT_FDCWD, path, EACCES, EISDIR, ENOENT), (const char *path), (path))
CHANGE(unlinkat,
       flags & AT_REMOVEDIR ? stays(folder, path, ENOTDIR, EBUSY, ENOENT)
                            : stays(folder, path, EACCES, EISDIR, ENOENT),
       (int folder, const char *path, int flags), (folder, path, flags))
CHANGE(rmdir, stays(AT_FDCWD, path, ENOTDIR, EBUSY, ENOENT), (const char *path), (path))
CHANGE(remove, OLD(AT_FDCWD, path), (const char *path), (path))
CHANGE(rename, OLD(AT_FDCWD, from) || stays(AT_FDCWD, to, EACCES, EACCES, EACCES),
       (const char *from, const char *to), (from, to))
CHANGE(renameat, OLD(old, from) || stays(new, to, EACCES, EACCES, EACCES),
       (int old, const char *from, int new, const char *to), (old, from, new, to))
CHANGE(renameat2, OLD(old, from) || stays(new, to, EACCES, EACCES, EACCES),
       (int old, const char *from, int new, const char *to, unsigned int flags),
       (old, from, new, to, flags))
CHANGE(link, stays(AT_FDCWD, from, EXDEV, EPERM, ENOENT) || NEW(AT_FDCWD, to),
       (const char *from, const char *to), (from, to))
CHANGE(linkat, stays(old, from, EXDEV, EPERM, ENOENT) || NEW(new, to),
       (int old, const char *from, int new, const char *to, int flags),
       (old, from, new, to, flags))
CHANGE(truncate, stays(AT_FDCWD, path, EINVAL, EISDIR, ENOENT),
       (const char *path, off_t length), (path, length))
CHANGE(truncate64, stays(AT_FDCWD, path, EINVAL, EISDIR, ENOENT),
       (const char *path, off_t length), (path, length))
