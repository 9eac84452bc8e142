/* All spellings of the functions that are asked about a path, and of the paths.  Some spellings only
 * glibc has: those for programs that were fortified, or built with an older one; statx. */
#define _GNU_SOURCE
#include "program.h"
#include <dirent.h>
#include <dlfcn.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define FUNCTION(result, parameters) ((result(*) parameters)function)
#define EACH(...) \
    static const char *const names[] = { __VA_ARGS__ }; \
    void *function; \
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) \
        if ((function = dlsym(RTLD_DEFAULT, names[i])))

static void check_opened(int descriptor)
{
    struct drm_qda_query query;
    CHECK(descriptor > 0 && ioctl(descriptor, DRM_IOCTL_QDA_QUERY, &query) == 0);
    CHECK(!strcmp((char *)query.dsp_name, "cdsp") && close(descriptor) == 0);
}

static void open_spellings(void)
{
    EACH("open", "open64")
    {
        check_opened(FUNCTION(int, (const char *, int, ...))(NODE, O_RDWR));
        check_opened(FUNCTION(int, (const char *, int, ...))(NODE, O_RDONLY | O_NONBLOCK));
        CHECK(FUNCTION(int, (const char *, int, ...))("/dev/accel/accel9", O_RDWR) == -1
              && errno == ENOENT);
    }
}

static void fortified_open_spellings(void)
{
    EACH("__open_2", "__open64_2")
        check_opened(FUNCTION(int, (const char *, int))(NODE, O_RDWR));
}

static void openat_spellings(void)
{
    int dev = open("/dev", O_RDONLY | O_DIRECTORY);
    int accel = open("/dev/accel", O_RDONLY | O_DIRECTORY);
    EACH("openat", "openat64")
    {
        check_opened(FUNCTION(int, (int, const char *, int, ...))(AT_FDCWD, NODE, O_RDWR));
        check_opened(FUNCTION(int, (int, const char *, int, ...))(dev, "accel/accel1", O_RDWR));
        check_opened(FUNCTION(int, (int, const char *, int, ...))(accel, "accel1", O_RDWR));
    }
    CHECK(close(dev) == 0 && close(accel) == 0);
}

static void fortified_openat_spellings(void)
{
    EACH("__openat_2", "__openat64_2")
        check_opened(FUNCTION(int, (int, const char *, int))(AT_FDCWD, NODE, O_RDWR));
}

static void stream_spellings(void)
{
    EACH("fopen", "fopen64")
    {
        FILE *(*opened)(const char *, const char *) = function;
        FILE *stream = opened(NODE, "r+e");
        CHECK(stream && fcntl(fileno(stream), F_GETFD) == FD_CLOEXEC);
        CHECK((fcntl(fileno(stream), F_GETFL) & O_ACCMODE) == O_RDWR);
        check_opened(dup(fileno(stream)));
        CHECK(fclose(stream) == 0 && (stream = opened(NODE, "r")));
        CHECK((fcntl(fileno(stream), F_GETFL) & O_ACCMODE) == O_RDONLY && fclose(stream) == 0);
        CHECK(!opened("/dev/accel/accel9", "r") && errno == ENOENT);
        CHECK(!opened("/dev/accel/accel9", "w") && errno == EACCES);
        CHECK(!opened(NODE, "q") && errno == EINVAL);
        CHECK((stream = opened("/dev/null", "r")) && fclose(stream) == 0);
    }
}

static void realpath_spellings(void)
{
    char room[4096], *made;
    CHECK(realpath("/dev/../dev//accel/./accel1", room) == room && !strcmp(room, NODE));
    CHECK((made = realpath(NODE, NULL)) && !strcmp(made, NODE));
    free(made);
    CHECK(realpath("/dev/accel/", room) && !strcmp(room, "/dev/accel"));
    CHECK(!realpath("/dev/accel/accel9", room) && errno == ENOENT);
    CHECK(!realpath(NODE "/", room) && errno == ENOTDIR);
    CHECK(chdir("/dev/accel") == 0 && realpath("accel1", room) && !strcmp(room, NODE));
    CHECK(realpath(".", room) && !strcmp(room, "/dev/accel"));
    CHECK(chdir("/") == 0 && realpath("etc/../dev/null", room) && !strcmp(room, "/dev/null"));
}

static void creat_spellings(void)
{
    EACH("creat", "creat64")
        check_opened(FUNCTION(int, (const char *, mode_t))(NODE, 0600));
}

static void check_status(int result, struct stat *status)
{
    CHECK(result == 0 && S_ISCHR(status->st_mode) && status->st_size == 0);
    CHECK(major(status->st_rdev) == 261 && minor(status->st_rdev) == 1);
    memset(status, 0, sizeof *status);
}

static void stat_spellings(void)
{
    struct stat status;
    EACH("stat", "stat64", "lstat", "lstat64")
        check_status(FUNCTION(int, (const char *, struct stat *))(NODE, &status), &status);
}

static void older_stat_spellings(void)
{
    struct stat status;
    EACH("__xstat", "__xstat64", "__lxstat", "__lxstat64")
        check_status(FUNCTION(int, (int, const char *, struct stat *))(1, NODE, &status), &status);
}

static void fstat_spellings(int node)
{
    struct stat status;
    EACH("fstat", "fstat64")
        check_status(FUNCTION(int, (int, struct stat *))(node, &status), &status);
}

static void older_fstat_spellings(int node)
{
    struct stat status;
    EACH("__fxstat", "__fxstat64")
        check_status(FUNCTION(int, (int, int, struct stat *))(1, node, &status), &status);
}

static void fstatat_spellings(int node)
{
    struct stat status;
    EACH("fstatat", "fstatat64")
    {
        int (*ask)(int, const char *, struct stat *, int) = function;
        check_status(ask(AT_FDCWD, NODE, &status, 0), &status);
        check_status(ask(AT_FDCWD, NODE, &status, AT_SYMLINK_NOFOLLOW), &status);
        check_status(ask(node, "", &status, AT_EMPTY_PATH), &status);
    }
}

static void older_fstatat_spellings(int node)
{
    struct stat status;
    EACH("__fxstatat", "__fxstatat64")
    {
        int (*ask)(int, int, const char *, struct stat *, int) = function;
        check_status(ask(1, AT_FDCWD, NODE, &status, 0), &status);
        check_status(ask(1, node, "", &status, AT_EMPTY_PATH), &status);
    }
}

static void statx_spellings(int node)
{
    struct { uint32_t words[64]; } status;
    EACH("statx")
    {
        int (*ask)(int, const char *, int, unsigned int, void *) = function;
        for (int by_descriptor = 0; by_descriptor < 2; by_descriptor++) {
            memset(&status, 0, sizeof status);
            CHECK(ask(by_descriptor ? node : AT_FDCWD, by_descriptor ? "" : NODE,
                      by_descriptor ? AT_EMPTY_PATH : 0, 0x7ff, &status) == 0);
            CHECK(S_ISCHR(status.words[7] & 0xffff)); /* stx_mode */
            CHECK(status.words[32] == 261 && status.words[33] == 1); /* stx_rdev_major, _minor */
        }
        char link[32];
        snprintf(link, sizeof link, "/proc/self/fd/%d", node);
        CHECK(ask(AT_FDCWD, link, 0, 0x7ff, &status) == 0);
        CHECK(S_ISCHR(status.words[7] & 0xffff) && status.words[33] == 1);
    }
}

static void access_spellings(void)
{
    EACH("access", "eaccess", "euidaccess")
    {
        int (*ask)(const char *, int) = function;
        CHECK(ask(NODE, R_OK | W_OK) == 0 && ask("/dev/fastrpc-cdsp", R_OK | W_OK) == 0);
        CHECK(ask("/dev/accel/accel9", F_OK) == -1 && errno == ENOENT);
        CHECK(ask("/dev/fastrpc-gdsp0", F_OK) == -1 && errno == ENOENT);
        CHECK(ask("/dev/subsys_cdsp", F_OK) == 0); /* clients.md 2: the DSP is there */
        CHECK(ask("/dev/subsys_gdsp0", F_OK) == -1 && errno == ENOENT);
        CHECK(ask(NODE, X_OK) == -1 && errno == EACCES);
    }
    CHECK(faccessat(AT_FDCWD, NODE, R_OK | W_OK, 0) == 0);
}

static void readlink_spellings(void)
{
    char text[64];
    CHECK(readlink(NODE, text, sizeof text) == -1 && errno == EINVAL);
    CHECK(readlinkat(AT_FDCWD, NODE, text, sizeof text) == -1 && errno == EINVAL);
}

/* How often a folder's listing has NAME. */
static int listed(void *reader, DIR *folder, const char *name)
{
    struct dirent *(*read_entry)(DIR *) = (struct dirent * (*)(DIR *))reader;
    struct dirent *entry;
    int count = 0;
    rewinddir(folder);
    while ((entry = read_entry(folder)))
        if (!strcmp(entry->d_name, name)) {
            CHECK(strncmp(name, "fastrpc", 7) || entry->d_type == DT_CHR);
            count++;
        }
    return count;
}

static DIR *by_descriptor(const char *path)
{
    return fdopendir(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static void listings(DIR *dev, DIR *accel, DIR *heap)
{
    CHECK(dev && accel && heap);
    EACH("readdir", "readdir64")
    {
        CHECK(listed(function, dev, "null") == 1 && listed(function, dev, "accel") == 1);
        CHECK(listed(function, dev, "fastrpc-cdsp") == 1 && listed(function, dev, ".") == 1);
        CHECK(listed(function, accel, "accel0") == 1 && listed(function, accel, "accel1") == 1);
        CHECK(listed(function, accel, "null") == 0 && listed(function, heap, "system") == 1);
        rewinddir(accel);
        for (struct dirent *entry; (entry = FUNCTION(struct dirent *, (DIR *))(accel));)
            CHECK(entry->d_type == (*entry->d_name == '.' ? DT_DIR : DT_CHR));
    }
    CHECK(closedir(dev) == 0 && closedir(accel) == 0 && closedir(heap) == 0);
}

static void listing_spellings(void)
{
    struct dirent **list;
    listings(opendir("/dev"), opendir("/dev/accel/"), opendir("/dev/dma_heap"));
    listings(by_descriptor("/dev"), by_descriptor("/dev/accel/"), by_descriptor("/dev/dma_heap"));
    CHECK(!fdopendir(-1) && errno == EBADF);
    CHECK(scandir("/dev/accel", &list, NULL, alphasort) == 4); /* with . and .. */
    CHECK(!strcmp(list[2]->d_name, "accel0") && list[2]->d_type == DT_CHR);
}

static void path_spellings(void)
{
    static const char *const same[] = { "/dev/accel/accel1", "//dev///accel//accel1",
                                        "/dev/./accel/./accel1", "/dev/shm/../accel/accel1",
                                        "/usr/../dev/accel/accel1", "/../dev/accel/accel1" };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        check_opened(open(same[i], O_RDWR));
    CHECK(chdir("/dev") == 0);
    check_opened(open("accel/accel1", O_RDWR));
    check_opened(open("./accel/accel1", O_RDWR));
    CHECK(chdir("/") == 0);
    check_opened(open("dev/accel/accel1", O_RDWR));
    CHECK(open("/dev/accel/accel1x", O_RDWR) == -1 && errno == ENOENT);
    CHECK(open("/dev/accel/accel1/x", O_RDWR) == -1);
    CHECK(open(NODE, O_RDWR | O_DIRECTORY) == -1 && errno == ENOTDIR);
    CHECK(open(NODE, O_RDWR | O_CREAT | O_EXCL, 0600) == -1 && errno == EEXIST);
    CHECK(open("/dev/accel", O_RDWR) == -1 && errno == EISDIR);
    CHECK(open("", O_RDWR) == -1 && errno == ENOENT);
    CHECK(open(NULL, O_RDWR) == -1 && errno == EFAULT);
}

static void watching(void)
{
    static const char *const folders[] = { "/dev/accel", "/dev/accel/", "/dev/" };
    int watcher = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        CHECK(inotify_add_watch(watcher, folders[i], 0x3c0) >= 0);
    CHECK(inotify_add_watch(watcher, "/dev/nowhere", 0x3c0) == -1 && errno == ENOENT);
    CHECK(close(watcher) == 0);
}

/* There is nothing to read; two of the drivers have no such function. */
static void reading(void)
{
    char byte;
    int node = open(NODE, O_RDWR | O_NONBLOCK), older = open("/dev/fastrpc-cdsp", O_RDWR);
    int heap = open("/dev/dma_heap/system", O_RDONLY);
    CHECK(node >= 0 && fcntl(node, F_GETFL) & O_NONBLOCK && !(fcntl(heap, F_GETFL) & O_NONBLOCK));
    CHECK(read(node, &byte, 1) == -1 && errno == EAGAIN);
    CHECK(read(older, &byte, 1) == -1 && errno == EINVAL);
    CHECK(read(heap, &byte, 1) == -1 && errno == EINVAL);
    CHECK(!close(node) && !close(older) && !close(heap));
}

static void descriptor_operations(int node)
{
    CHECK(fcntl(node, F_GETFD) == 0);
    CHECK(ioctl(node, FIOCLEX) == 0 && fcntl(node, F_GETFD) == FD_CLOEXEC);
    CHECK(ioctl(node, FIONCLEX) == 0 && fcntl(node, F_GETFD) == 0);
    struct pollfd poll_descriptor = { .fd = node, .events = POLLIN };
    CHECK(poll(&poll_descriptor, 1, 0) == 0);
    CHECK(ioctl(node, _IO('d', 0x7f)) == -1 && errno == EINVAL);
    CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, node, 0x7000) == MAP_FAILED && errno == EINVAL);
    CHECK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, node, 0) == MAP_FAILED && errno == ENODEV);
}

int main(void)
{
    int node = open(NODE, O_RDWR);
    open_spellings();
    openat_spellings();
    creat_spellings();
    stream_spellings();
    realpath_spellings();
    stat_spellings();
    fstat_spellings(node);
    fstatat_spellings(node);
    access_spellings();
    readlink_spellings();
    listing_spellings();
    path_spellings();
    watching();
    reading();
    descriptor_operations(node);
#ifdef __GLIBC__
    fortified_open_spellings();
    fortified_openat_spellings();
    older_stat_spellings();
    older_fstat_spellings(node);
    older_fstatat_spellings(node);
    statx_spellings(node);
#endif
    return 0;
}
