/* Working folders, and links that lead to what is ours: it lies in the mirror, and has its name below
 * /dev. */
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

WRAP(int, chdir, const char *path)
{
    char place[PLACE_ROOM];
    const char *mirror = qda_redirect(AT_FDCWD, path, place);
    return REAL(chdir)(mirror ? mirror : path);
}

/* The working folder if it is in the mirror, by its name below /dev, in SIZE bytes, or as many as it
 * needs; what else libc says.  The name is shorter than the place. */
static char *working_folder(char *room, size_t size)
{
    char text[PLACE_ROOM];
    ssize_t length = qda_read_link(AT_FDCWD, "/proc/self/cwd", text, sizeof text - 1);
    if (length <= 0)
        return NULL;
    text[length] = 0;
    if (room && (size_t)length >= size) {
        errno = ERANGE;
        return NULL;
    }
    return room ? strcpy(room, text) : strdup(text);
}

WRAP(char *, getcwd, char *room, size_t size)
{
    return qda_is_in_mirror() ? working_folder(room, size) : REAL(getcwd)(room, size);
}

WRAP(char *, __getcwd_chk, char *room, size_t size, size_t whole)
{
    return qda_is_in_mirror() ? working_folder(room, size)
                              : REAL(__getcwd_chk)(room, size, whole);
}

WRAP(char *, get_current_dir_name, void)
{
    return qda_is_in_mirror() ? working_folder(NULL, 0) : REAL(get_current_dir_name)();
}

/* What realpath(3) has found: a path in the mirror is longer than the same one in /dev. */
static char *as_seen(char *found)
{
    const char *name = found ? qda_name_of_place(found) : NULL;
    if (name && *name) {
        memmove(found + sizeof "/dev/" - 1, name, strlen(name) + 1);
        memcpy(found, "/dev/", sizeof "/dev/" - 1);
    } else if (name) {
        strcpy(found, "/dev");
    }
    return found;
}

#define LIST(...) __VA_ARGS__

/* name, parameters, arguments */
#define RESOLVE(name, parameters, arguments) \
    WRAP(char *, name, LIST parameters) \
    { \
        char place[PLACE_ROOM]; \
        const char *mirror = qda_redirect(AT_FDCWD, path, place); \
        path = mirror ? mirror : path; \
        return as_seen(REAL(name) arguments); \
    }

RESOLVE(realpath, (const char *path, char *room), (path, room))
RESOLVE(__realpath_chk, (const char *path, char *room, size_t size), (path, room, size))
RESOLVE(canonicalize_file_name, (const char *path), (path))

/* name, folder, parameters, arguments */
#define READLINK(name, folder, parameters, arguments) \
    WRAP(ssize_t, name, LIST parameters) \
    { \
        char place[PLACE_ROOM]; \
        const char *mirror = qda_redirect(folder, path, place); \
        path = mirror ? mirror : path; \
        ssize_t result = REAL(name) arguments; \
        ssize_t ours = result > 0 ? qda_read_link(folder, path, text, room) : 0; \
        if (ours && ours < result) /* a program may have made sure of a NUL */ \
            memset(text + ours, 0, (size_t)(result - ours)); \
        return ours ? ours : result; \
    }

READLINK(readlink, AT_FDCWD, (const char *path, char *text, size_t room), (path, text, room))
READLINK(readlinkat, folder, (int folder, const char *path, char *text, size_t room),
         (folder, path, text, room))
READLINK(__readlink_chk, AT_FDCWD, (const char *path, char *text, size_t room, size_t size),
         (path, text, room, size))
READLINK(__readlinkat_chk, folder,
         (int folder, const char *path, char *text, size_t room, size_t size),
         (folder, path, text, room, size))
