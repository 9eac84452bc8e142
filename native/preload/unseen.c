/* Programs that will not see the nodes: this library is not loaded into them, or may not serve them.
 *
 * Who starts such a program says so to `qda run`, which tells its user if nobody has used a node. */
#include "preload.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

extern char **environ;

/* A message at the address of the server's socket, but in the abstract name space: so it needs no
 * permission, and is lost if nobody listens. */
void qda_note_unseen(unsigned char reason, const char *program)
{
    struct sockaddr_un where = { .sun_family = AF_UNIX };
    char note[64] = { (char)reason };
    const char *slash = strrchr(program, '/'), *path = qda_socket();
    int before = errno;
    int outbox = path ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
    if (outbox >= 0) {
        size_t length = strlen(path); /* measured when it was found */
        memcpy(where.sun_path + 1, path, length);
        strncpy(note + 1, slash ? slash + 1 : program, sizeof note - 2);
        sendto(outbox, note, 1 + strlen(note + 1), MSG_DONTWAIT | MSG_NOSIGNAL,
               (struct sockaddr *)&where, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length));
        close(outbox);
    }
    errno = before;
}

static const char *value_of(char *const *variables, const char *name)
{
    size_t length = strlen(name);
    for (; variables && *variables; variables++)
        if (!strncmp(*variables, name, length) && (*variables)[length] == '=')
            return *variables + length + 1;
    return NULL;
}

static unsigned char by_environment(char *const *variables)
{
    const char *preloaded = value_of(variables, "LD_PRELOAD");
    if (preloaded && *preloaded && !strstr(preloaded, QDA_LIBRARY))
        return QDA_UNSEEN_PRELOAD;
    return preloaded && *preloaded && value_of(variables, QDA_SOCKET_VARIABLE)
        ? 0 : QDA_UNSEEN_ENVIRONMENT;
}

/* Whether a file of that beginning is a program that loads no libraries.  The loader itself, which
 * may be called with a program, is none. */
static int is_static(const unsigned char *head, long length, const char *program)
{
    const Elf64_Ehdr *header = (const void *)head;
    const char *slash = strrchr(program, '/');
    if (length < (long)sizeof *header || memcmp(head, ELFMAG, SELFMAG)
        || head[EI_CLASS] != ELFCLASS64 || !strncmp(slash ? slash + 1 : program, "ld", 2))
        return 0;
    for (unsigned int i = 0; i < header->e_phnum; i++) {
        size_t at = header->e_phoff + (size_t)i * header->e_phentsize;
        if (at > (size_t)length - sizeof(Elf64_Phdr))
            return 0; /* too far behind to be told */
        if (((const Elf64_Phdr *)(const void *)(head + at))->p_type == PT_INTERP)
            return 0;
    }
    return 1;
}

static unsigned char by_file(const char *program)
{
    _Alignas(8) unsigned char head[1024];
    struct stat status;
    int file = (int)syscall(SYS_openat, AT_FDCWD, program, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    long length = syscall(SYS_read, file, head, sizeof head);
    int privileged = !syscall(SYS_fstat, file, &status)
        && ((status.st_mode & S_ISUID && status.st_uid != geteuid())
            || (status.st_mode & S_ISGID && status.st_gid != getegid()));
    close(file);
    return privileged                           ? QDA_UNSEEN_PRIVILEGED
        : is_static(head, length, program) ? QDA_UNSEEN_STATIC : 0;
}

/* The file of a program that is looked for in PATH, in ROOM; itself if it is not found. */
static const char *find(const char *program, char *room)
{
    const char *folders = value_of(environ, "PATH");
    if (strchr(program, '/'))
        return program;
    for (; folders && *folders; folders += *folders == ':') {
        size_t length = strcspn(folders, ":");
        if (length + strlen(program) + 2 <= PLACE_ROOM) {
            memcpy(room, folders, length);
            room[length] = '/';
            strcpy(room + length + 1, program);
            if (!syscall(SYS_faccessat, AT_FDCWD, room, X_OK))
                return room;
        }
        folders += length;
    }
    return program;
}

/* Look at a program that is about to be started. */
static void look_at(const char *program, char *const *variables)
{
    char room[PLACE_ROOM];
    int before = errno;
    if (program && qda_socket()) {
        unsigned char reason = by_environment(variables);
        reason = reason ? reason : by_file(find(program, room));
        if (reason)
            qda_note_unseen(reason, program);
    }
    errno = before;
}

/* name, parameters, arguments, the program's variables */
#define START(name, parameters, arguments, variables) \
    WRAP(int, name, LIST parameters) \
    { \
        look_at(program, variables); \
        return REAL(name) arguments; \
    }
#define LIST(...) __VA_ARGS__

START(execve, (const char *program, char *const *words, char *const *given),
      (program, words, given), given)
START(execvpe, (const char *program, char *const *words, char *const *given),
      (program, words, given), given)
START(execv, (const char *program, char *const *words), (program, words), environ)
START(execvp, (const char *program, char *const *words), (program, words), environ)
START(posix_spawn,
      (pid_t *child, const char *program, const posix_spawn_file_actions_t *actions,
       const posix_spawnattr_t *attributes, char *const *words, char *const *given),
      (child, program, actions, attributes, words, given), given)
START(posix_spawnp,
      (pid_t *child, const char *program, const posix_spawn_file_actions_t *actions,
       const posix_spawnattr_t *attributes, char *const *words, char *const *given),
      (child, program, actions, attributes, words, given), given)
