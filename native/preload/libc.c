/* The libc functions that open nodes, ask about them, and use their devices.  Each table lists the
 * spellings of one function: for 64-bit files, for fortified programs, for programs that were built
 * with an older glibc. */
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
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

/* Whether a path has been opened: then *RESULT is the descriptor of a node, or -1.  Otherwise *PATH
 * is to be opened, perhaps in the mirror, where the kernel says what is to be said of names, folders
 * and flags. */
static int open_ours(int folder, const char **path, int flags, char *place, int *result)
{
    char room[PLACE_ROOM];
    struct stat status = { 0 };
    const char *name = qda_name(folder, *path, room);
    name = name ? name : qda_name_behind(folder, *path, room);
    if (!name && !(flags & O_PATH) && qda_is_buffer_behind(folder, *path)) {
        errno = ENXIO; /* only its descriptors lead to it */
        return 1;
    }
    if (!name)
        return 0;
    *path = *name ? qda_mirror(name, place) : "/dev";
    if (!*name)
        return 0;
    int missing = syscall(SYS_newfstatat, AT_FDCWD, place, &status, 0) && errno == ENOENT;
    if (!missing && !status.st_mode && errno == EACCES) /* the server is another user's */
        qda_note_unseen(QDA_UNSEEN_USER, program_invocation_name);
    if ((flags & O_TMPFILE) == O_TMPFILE && S_ISDIR(status.st_mode)) {
        errno = EACCES; /* it is the server's to say what there is */
        return 1;
    }
    if (!missing && (flags & (O_PATH | O_DIRECTORY) || (flags & O_CREAT && flags & O_EXCL)
                     || name[strlen(name) - 1] == '/' || !S_ISREG(status.st_mode)))
        return 0;
    *result = qda_open_node(name, flags);
    if (*result < 0 && errno == ENOENT && flags & O_CREAT)
        errno = EACCES;
    return 1;
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
        int is_done = open_ours(folder, &path, flags, place, &result); \
        return is_done ? result : REAL(name) arguments; \
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
#define ATTRIBUTE \
    AT_FDCWD, (const char *path, const char *name, void *value, size_t room), \
        (path, name, value, room)

QUESTION(int, access, ACCESS)
QUESTION(int, eaccess, ACCESS)
QUESTION(int, euidaccess, ACCESS)
QUESTION(int, faccessat, folder, (int folder, const char *path, int mode, int flags),
         (folder, path, mode, flags))
QUESTION(ssize_t, getxattr, ATTRIBUTE)
QUESTION(ssize_t, lgetxattr, ATTRIBUTE)
QUESTION(ssize_t, listxattr, AT_FDCWD, (const char *path, char *list, size_t room),
         (path, list, room))
QUESTION(ssize_t, llistxattr, AT_FDCWD, (const char *path, char *list, size_t room),
         (path, list, room))

/* --- stat: of a placeholder, whose length is its device number, or of a descriptor of ours ---- */

enum { MINOR_BITS = 20, OWN_FILE = 0600, EVERYBODY = 0666 };

static dev_t device_by(off_t size)
{
    return makedev((unsigned int)(size >> MINOR_BITS),
                   (unsigned int)size & ((1u << MINOR_BITS) - 1));
}

/* Others cannot reach a placeholder, and could a node, until the program has said otherwise. */
static mode_t mode_by(mode_t mode)
{
    mode_t permissions = mode & ~(mode_t)S_IFMT;
    return S_IFCHR | (permissions == OWN_FILE ? EVERYBODY : permissions);
}

static int as_node(int result, const char *mirror, struct stat *status)
{
    if (result || !mirror || !S_ISREG(status->st_mode))
        return result;
    status->st_rdev = device_by(status->st_size);
    status->st_mode = mode_by(status->st_mode);
    status->st_size = status->st_blocks = 0;
    return 0;
}

/* The node behind a path such as /proc/self/fd/N, whose status is that of a socket; of a buffer,
 * which is there, too, only the kind of file is another one. */
static const char *behind(int folder, const char *path, struct stat *status, char *place)
{
    char room[PLACE_ROOM];
    struct stat found;
    const char *name = S_ISSOCK(status->st_mode) ? qda_name_behind(folder, path, room) : NULL;
    if (S_ISREG(status->st_mode) && !status->st_nlink && qda_is_buffer_behind(folder, path))
        status->st_mode = OWN_FILE;
    if (!name || syscall(SYS_newfstatat, AT_FDCWD, qda_mirror(name, place), &found, 0))
        return NULL;
    *status = found;
    return place;
}

/* Whether a file may be a placeholder: it takes no room, and has the length of a device number. */
static int may_be_placeholder(mode_t mode, uint64_t blocks, uint64_t size)
{
    return S_ISREG(mode) && !blocks && size >> MINOR_BITS;
}

/* The placeholder of a descriptor of the kind MODE: one of a node, or of the placeholder itself.
 * NULL if it is neither. */
static const char *placeholder(int descriptor, mode_t mode, uint64_t blocks, uint64_t size,
                               char *place)
{
    char link[32], room[PLACE_ROOM];
    struct qda_node node;
    if (S_ISSOCK(mode) && qda_find(descriptor, &node))
        return qda_mirror(qda_name_of(&node), place);
    if (!may_be_placeholder(mode, blocks, size))
        return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    const char *name = qda_name_behind(AT_FDCWD, link, room);
    return name ? qda_mirror(name, place) : NULL;
}

static int as_descriptor(int result, int descriptor, struct stat *status)
{
    char place[PLACE_ROOM];
    struct qda_node node;
    struct stat found;
    if (result)
        return result;
    if (S_ISREG(status->st_mode) && !status->st_nlink && qda_is_buffer(descriptor)) {
        status->st_mode = OWN_FILE; /* it is a file of no kind */
        return 0;
    }
    const char *mirror = placeholder(descriptor, status->st_mode, (uint64_t)status->st_blocks,
                                     (uint64_t)status->st_size, place);
    if (mirror && !syscall(SYS_newfstatat, AT_FDCWD, mirror, &found, 0)) {
        *status = found;
    } else if (mirror && qda_find(descriptor, &node)) { /* the server is gone */
        status->st_mode = S_IFCHR | EVERYBODY;
        status->st_rdev = qda_device_of(&node);
        return 0;
    }
    return as_node(0, mirror, status);
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
        int result = REAL(name) arguments; \
        if (!result && !mirror) \
            mirror = behind(folder, path, status, place); \
        return as_node(result, mirror, status); \
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
    int by_descriptor = means_descriptor(path, flags);
    ASK(folder);
    int result = REAL(statx)(folder, path, flags, mask, out);
    if (!result && !by_descriptor && !mirror) {
        struct stat kind = { .st_mode = status->mode, .st_nlink = status->links };
        mirror = behind(folder, path, &kind, place);
        status->mode = (uint16_t)kind.st_mode;
        result = mirror ? REAL(statx)(AT_FDCWD, mirror, 0, mask, out) : 0;
    } else if (!result && by_descriptor) {
        if (S_ISREG(status->mode) && !status->links && qda_is_buffer(folder))
            status->mode = OWN_FILE;
        mirror = placeholder(folder, status->mode, status->blocks, status->size, place);
        result = mirror ? REAL(statx)(AT_FDCWD, mirror, 0, mask, out) : 0;
    }
    if (result || !mirror || !S_ISREG(status->mode))
        return result;
    status->mode = (uint16_t)mode_by(status->mode);
    status->device_major = major(device_by((off_t)status->size));
    status->device_minor = minor(device_by((off_t)status->size));
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
        return REAL(ioctl)(descriptor, code, argument);
    }
    int answer = qda_control_file(descriptor, (unsigned int)code, argument);
    if (answer != QDA_NO_COMMAND)
        return answer;
    if (qda_find(descriptor, &node))
        return qda_control(&node, descriptor, (unsigned int)code, argument);
    if (_IOC_TYPE(code) == DMA_BUF_BASE && qda_is_shared(descriptor)) {
        int result = qda_control_buffer((unsigned int)code, argument);
        if (result != QDA_NO_COMMAND)
            return result;
    }
    return REAL(ioctl)(descriptor, code, argument);
}

#define MMAP(name) \
    WRAP(void *, name, void *address, size_t length, int protection, int flags, int descriptor, \
         off_t offset) \
    { \
        struct qda_node node; \
        if (descriptor >= 0 && !(flags & MAP_ANONYMOUS) \
            && (flags & MAP_SHARED ? qda_is_beyond(descriptor, length, offset) \
                                   : qda_is_buffer(descriptor))) { \
            errno = EINVAL; \
            return MAP_FAILED; \
        } \
        if (descriptor < 0 || !(flags & MAP_SHARED) || flags & MAP_ANONYMOUS \
            || !qda_find(descriptor, &node)) \
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
