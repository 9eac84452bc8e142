/* The libc functions that are wrapped.  Each table lists the spellings of one function: for 64-bit
 * files, for fortified programs, for programs that were built with an older glibc. */
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* With musl these are macros. */
#undef creat64
#undef fstat64
#undef fstatat64
#undef lstat64
#undef mmap64
#undef open64
#undef openat64
#undef stat64

static long missing(void)
{
    errno = ENOSYS;
    return -1;
}

void *qda_real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    return found ? found : (void *)missing;
}

#define LIST(...) __VA_ARGS__

/* --- open: a node by the server, a folder in the mirror, everything else by libc ------------- */

/* The place of a path in the mirror, and a node's descriptor in *RESULT if it is a node. */
static const char *open_ours(int folder, const char *path, int flags, char *place, int *result)
{
    char room[PLACE_ROOM];
    const char *name = qda_name(folder, path, room);
    if (!name)
        return NULL;
    if (*name)
        *result = qda_open_node(name, flags);
    else
        errno = EISDIR;
    return *name ? qda_mirror(name, place) : "/dev";
}

/* The argument after FLAGS, which is there if a file may be made. */
static mode_t mode_after(int flags, va_list rest)
{
    return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(rest, mode_t) : 0;
}

#define TAKE_MODE \
    va_list rest; \
    va_start(rest, flags); \
    mode_t mode = mode_after(flags, rest); \
    va_end(rest);
#define NO_MODE

/* name, folder, parameters, arguments, how the mode is found */
#define OPEN(name, ...) OPEN_(name, __VA_ARGS__)
#define OPEN_(name, folder, parameters, arguments, before) \
    WRAP(int, name, LIST parameters) \
    { \
        char place[PLACE_ROOM]; \
        int result = -1; \
        before \
        const char *mirror = open_ours(folder, path, flags, place, &result); \
        if (mirror && (result >= 0 || errno != EISDIR)) \
            return result; \
        path = mirror ? mirror : path; \
        return REAL(name) arguments; \
    }

#define BY_PATH AT_FDCWD, (const char *path, int flags, ...), (path, flags, mode), TAKE_MODE
#define BY_FOLDER \
    folder, (int folder, const char *path, int flags, ...), (folder, path, flags, mode), TAKE_MODE
#define FORTIFIED_PATH AT_FDCWD, (const char *path, int flags), (path, flags), NO_MODE
#define FORTIFIED_FOLDER \
    folder, (int folder, const char *path, int flags), (folder, path, flags), NO_MODE
#define TO_WRITE \
    AT_FDCWD, (const char *path, mode_t mode), (path, mode), int flags = O_CREAT | O_WRONLY | O_TRUNC;

OPEN(open, BY_PATH)
OPEN(open64, BY_PATH)
OPEN(openat, BY_FOLDER)
OPEN(openat64, BY_FOLDER)
OPEN(__open_2, FORTIFIED_PATH)
OPEN(__open64_2, FORTIFIED_PATH)
OPEN(__openat_2, FORTIFIED_FOLDER)
OPEN(__openat64_2, FORTIFIED_FOLDER)
OPEN(creat, TO_WRITE)
OPEN(creat64, TO_WRITE)

/* --- questions about a path: asked about its placeholder ------------------------------------- */

#define ASK(folder) \
    char place[PLACE_ROOM]; \
    const char *mirror = qda_redirect(folder, path, place); \
    path = mirror ? mirror : path

/* result, name, folder, parameters, arguments */
#define QUESTION(result, name, ...) QUESTION_(result, name, __VA_ARGS__)
#define QUESTION_(result, name, folder, parameters, arguments) \
    WRAP(result, name, LIST parameters) \
    { \
        ASK(folder); \
        return REAL(name) arguments; \
    }

#define ACCESS AT_FDCWD, (const char *path, int mode), (path, mode)
#define LINK AT_FDCWD, (const char *path, char *text, size_t room), (path, text, room)
#define ATTRIBUTE \
    AT_FDCWD, (const char *path, const char *name, void *value, size_t room), \
        (path, name, value, room)

QUESTION(int, access, ACCESS)
QUESTION(int, eaccess, ACCESS)
QUESTION(int, euidaccess, ACCESS)
QUESTION(int, faccessat, folder, (int folder, const char *path, int mode, int flags),
         (folder, path, mode, flags))
QUESTION(ssize_t, readlink, LINK)
QUESTION(ssize_t, readlinkat, folder, (int folder, const char *path, char *text, size_t room),
         (folder, path, text, room))
QUESTION(ssize_t, __readlink_chk, AT_FDCWD, (const char *path, char *text, size_t room, size_t size),
         (path, text, room, size))
QUESTION(ssize_t, __readlinkat_chk, folder,
         (int folder, const char *path, char *text, size_t room, size_t size),
         (folder, path, text, room, size))
QUESTION(ssize_t, getxattr, ATTRIBUTE)
QUESTION(ssize_t, lgetxattr, ATTRIBUTE)

/* --- stat: of a placeholder, whose length is its device number, or of a node's descriptor ---- */

enum { MINOR_BITS = 20, EVERYBODY = 0666 };

static int show(struct stat *status, unsigned int major_number, unsigned int minor_number)
{
    status->st_mode = S_IFCHR | EVERYBODY;
    status->st_rdev = makedev(major_number, minor_number);
    status->st_size = status->st_blocks = 0;
    return 0;
}

static int as_node(int result, const char *mirror, struct stat *status)
{
    if (result || !mirror || !S_ISREG(status->st_mode))
        return result;
    return show(status, (unsigned int)(status->st_size >> MINOR_BITS),
                (unsigned int)status->st_size & ((1u << MINOR_BITS) - 1));
}

static int as_descriptor(int result, int descriptor, struct stat *status)
{
    struct qda_node node;
    if (result || !S_ISSOCK(status->st_mode) || !qda_find(descriptor, &node))
        return result;
    return show(status, node.major, node.minor);
}

/* Whether a function that takes folder and path means the folder descriptor itself. */
static int means_descriptor(const char *path, int flags)
{
    return flags & AT_EMPTY_PATH && (!path || !*path);
}

/* name, parameters, arguments; of STAT_AT first whether a descriptor is meant, and which */
#define STAT(name, ...) STAT_AT(name, 0, AT_FDCWD, __VA_ARGS__)
#define FSTAT(name, ...) FSTAT_(name, __VA_ARGS__)
#define FSTAT_(name, parameters, arguments) \
    WRAP(int, name, LIST parameters) \
    { \
        return as_descriptor(REAL(name) arguments, descriptor, status); \
    }
#define STAT_AT(name, ...) STAT_AT_(name, __VA_ARGS__)
#define STAT_AT_(name, descriptor_meant, folder, parameters, arguments) \
    WRAP(int, name, LIST parameters) \
    { \
        if (descriptor_meant) \
            return as_descriptor(REAL(name) arguments, folder, status); \
        ASK(folder); \
        return as_node(REAL(name) arguments, mirror, status); \
    }

#define PATH (const char *path, struct stat *status), (path, status)
#define OLD_PATH \
    (int version, const char *path, struct stat *status), (version, path, status)
#define DESCRIPTOR (int descriptor, struct stat *status), (descriptor, status)
#define OLD_DESCRIPTOR \
    (int version, int descriptor, struct stat *status), (version, descriptor, status)
#define FOLDER \
    means_descriptor(path, flags), folder, \
        (int folder, const char *path, struct stat *status, int flags), \
        (folder, path, status, flags)
#define OLD_FOLDER \
    means_descriptor(path, flags), folder, \
        (int version, int folder, const char *path, struct stat *status, int flags), \
        (version, folder, path, status, flags)

STAT(stat, PATH)
STAT(stat64, PATH)
STAT(lstat, PATH)
STAT(lstat64, PATH)
STAT(__xstat, OLD_PATH)
STAT(__xstat64, OLD_PATH)
STAT(__lxstat, OLD_PATH)
STAT(__lxstat64, OLD_PATH)
FSTAT(fstat, DESCRIPTOR)
FSTAT(fstat64, DESCRIPTOR)
FSTAT(__fxstat, OLD_DESCRIPTOR)
FSTAT(__fxstat64, OLD_DESCRIPTOR)
STAT_AT(fstatat, FOLDER)
STAT_AT(fstatat64, FOLDER)
STAT_AT(__fxstatat, OLD_FOLDER)
STAT_AT(__fxstatat64, OLD_FOLDER)

/* As the kernel lays it out (linux include/uapi/linux/stat.h); not every libc declares it. */
struct kernel_statx {
    uint32_t mask, block_size;
    uint64_t attributes;
    uint32_t links, uid, gid;
    uint16_t mode, pad;
    uint64_t inode, size, blocks, attributes_mask, times[8];
    uint32_t device_major, device_minor;
};
_Static_assert(offsetof(struct kernel_statx, device_major) == 128, "as the kernel has it");

WRAP(int, statx, int folder, const char *path, int flags, unsigned int mask, void *out)
{
    struct kernel_statx *status = out;
    struct qda_node node;
    int by_descriptor = means_descriptor(path, flags);
    ASK(folder);
    int result = REAL(statx)(folder, path, flags, mask, out);
    if (result)
        return result;
    if (mirror && S_ISREG(status->mode)) {
        node.major = (unsigned int)(status->size >> MINOR_BITS);
        node.minor = (unsigned int)status->size & ((1u << MINOR_BITS) - 1);
    } else if (!by_descriptor || !S_ISSOCK(status->mode) || !qda_find(folder, &node)) {
        return 0;
    }
    status->mode = S_IFCHR | EVERYBODY;
    status->device_major = node.major;
    status->device_minor = node.minor;
    status->size = status->blocks = 0;
    return 0;
}

/* --- inotify: nodes below /dev come and go in the mirror, watched beside the real folder ----- */

WRAP(int, inotify_add_watch, int descriptor, const char *path, uint32_t mask)
{
    char room[PLACE_ROOM], place[PLACE_ROOM];
    const char *name = qda_name(AT_FDCWD, path, room);
    if (name && *name)
        return REAL(inotify_add_watch)(descriptor, qda_mirror(name, place), mask);
    int result = REAL(inotify_add_watch)(descriptor, path, mask);
    if (name && result >= 0)
        REAL(inotify_add_watch)(descriptor, qda_mirror(NULL, place), mask);
    return result;
}

/* --- descriptors of nodes -------------------------------------------------------------------- */

WRAP(int, ioctl, int descriptor, unsigned long code, ...)
{
    struct qda_node node;
    va_list rest;
    va_start(rest, code);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    switch ((unsigned int)code) { /* what the kernel answers before it asks a driver */
    case FIOCLEX:
    case FIONCLEX:
    case FIONBIO:
    case FIOASYNC:
        return REAL(ioctl)(descriptor, code, argument);
    }
    if (!qda_find(descriptor, &node))
        return REAL(ioctl)(descriptor, code, argument);
    return qda_control(&node, descriptor, (unsigned int)code, argument);
}

#define MMAP(name) \
    WRAP(void *, name, void *address, size_t length, int protection, int flags, int descriptor, \
         off_t offset) \
    { \
        struct qda_node node; \
        if (descriptor < 0 || !(flags & MAP_SHARED) || !qda_find(descriptor, &node)) \
            return REAL(name)(address, length, protection, flags, descriptor, offset); \
        int memory = qda_map(&node, descriptor, length, offset); \
        if (memory < 0) \
            return MAP_FAILED; \
        void *result = REAL(name)(address, length, protection, flags, memory, 0); \
        int failed = errno; \
        close(memory); \
        errno = failed; \
        return result; \
    }
MMAP(mmap)
MMAP(mmap64)
