/* What nodes and buffers are to functions that take any path or descriptor: device files and DMA-BUFs,
 * as in a kernel. */
#define _GNU_SOURCE
#include "program.h"
#include <dirent.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <poll.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <utime.h>

#define OLDER "/dev/fastrpc-cdsp"
#define HEAP "/dev/dma_heap/system"
#define FAILS(call, number) CHECK((errno = 0, (long)(call) == -1 && errno == (number)))
#define SYNC(descriptor, bits) \
    ioctl(descriptor, DMA_BUF_IOCTL_SYNC, &(struct dma_buf_sync){ .flags = (bits) })

enum { SIZE = 8192 };

/* --- nodes ----------------------------------------------------------------------------------- */

/* What the kernel says of any file. */
static void whole_file(int file)
{
    int size = 0, on = 1, off = 0;
    CHECK(ioctl(file, FIGETBSZ, &size) == 0 && size == 4096);
    FAILS(ioctl(file, FIGETBSZ, NULL), EFAULT);
    CHECK(ioctl(file, FIOASYNC, &off) == 0);
    FAILS(ioctl(file, FIOASYNC, &on), ENOTTY);
}

static void read_and_write(const char *path, int events, int positions)
{
    char data[4096] = "";
    struct iovec parts = { data, sizeof data };
    int node = open(path, O_RDWR | O_NONBLOCK), reads = events ? EAGAIN : EINVAL;
    FAILS(write(node, data, 0), EINVAL);
    for (int i = 0; i < 20; i++) { /* as often as one likes */
        FAILS(read(node, data, sizeof data), reads);
        FAILS(write(node, data, 1 + (size_t)i * 200), EINVAL);
    }
    if (!events)
        FAILS(read(node, data, 0), EINVAL);
    FAILS(readv(node, &parts, 1), reads);
    FAILS(writev(node, &parts, 1), EINVAL);
    FAILS(pread(node, data, 4, 0), positions ? reads : ESPIPE);
    FAILS(pwrite(node, data, 4, 0), positions ? EINVAL : ESPIPE);
    int file = open("/etc/passwd", O_RDONLY), pipes[2];
    off_t at = 0;
    CHECK(pipe(pipes) == 0);
    FAILS(sendfile(node, file, NULL, 4), EINVAL);
    FAILS(sendfile(pipes[1], node, NULL, 4), EINVAL);
    FAILS(sendfile(pipes[1], node, &at, 4), positions ? EINVAL : ESPIPE);
    FAILS(sendfile(node, -1, NULL, 4), EBADF);
    FAILS(copy_file_range(node, NULL, file, NULL, 4, 0), EINVAL);
    FAILS(splice(node, NULL, pipes[1], NULL, 4, 0), EINVAL);
    FAILS(splice(pipes[0], NULL, node, NULL, 4, 0), EINVAL);
    CHECK(close(file) == 0 && close(pipes[0]) == 0 && close(pipes[1]) == 0);
    FAILS(ftruncate(node, 0), EINVAL);
    FAILS(fsync(node), EINVAL);
    CHECK(posix_fallocate(node, 0, 4096) == ENODEV);
    FAILS(fcntl(node, F_SETFL, O_DIRECT), EINVAL);
    FAILS(open(path, O_RDWR | O_DIRECT), EINVAL);
    whole_file(node);
    if (events)
        CHECK(lseek(node, 10, SEEK_SET) == 0 && lseek(node, 0, SEEK_END) == 0);
    else
        FAILS(lseek(node, 0, SEEK_CUR), ESPIPE);
    CHECK(close(node) == 0);
}

static void modes(const char *path, int events)
{
    static const int all[] = { O_RDONLY, O_WRONLY, O_RDWR, O_ACCMODE };
    char byte = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int node = open(path, all[i] | O_NONBLOCK), flags = fcntl(node, F_GETFL);
        CHECK((flags & O_ACCMODE) == all[i] && flags & O_NONBLOCK);
        CHECK(fcntl(node, F_SETFL, 0) == 0 && !(fcntl(node, F_GETFL) & O_NONBLOCK));
        if (all[i] == O_RDONLY)
            FAILS(write(node, &byte, 1), EBADF);
        if (all[i] == O_WRONLY || (!events && all[i] != O_ACCMODE))
            FAILS(read(node, &byte, 1), all[i] == O_WRONLY ? EBADF : EINVAL);
        CHECK(close(node) == 0);
    }
}

static void waiting(const char *path, int events)
{
    struct epoll_event event = { .events = EPOLLIN };
    int node = open(path, O_RDWR), set = epoll_create1(0);
    struct pollfd asked = { .fd = node, .events = POLLIN | POLLOUT };
    CHECK(poll(&asked, 1, 0) == !events && asked.revents == (events ? 0 : POLLIN | POLLOUT));
    if (events)
        CHECK(epoll_ctl(set, EPOLL_CTL_ADD, node, &event) == 0);
    else
        FAILS(epoll_ctl(set, EPOLL_CTL_ADD, node, &event), EPERM);
    CHECK(close(set) == 0 && close(node) == 0);
}

static void no_socket(const char *path)
{
    struct sockaddr name;
    socklen_t length = sizeof name;
    int node = open(path, O_RDWR), again = open(path, O_RDWR);
    int value = 0;
    FAILS(shutdown(node, SHUT_RDWR), ENOTSOCK);
    FAILS(getsockname(node, &name, &length), ENOTSOCK);
    FAILS(getpeername(node, &name, &length), ENOTSOCK);
    FAILS(getsockopt(node, SOL_SOCKET, SO_TYPE, &value, &length), ENOTSOCK);
    FAILS(setsockopt(node, SOL_SOCKET, SO_SNDBUF, &value, sizeof value), ENOTSOCK);
    struct iovec part = { &value, sizeof value };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
    struct mmsghdr messages = { .msg_hdr = message };
    for (size_t size = 0; size <= sizeof value; size += sizeof value) {
        FAILS(send(node, &value, size, 0), ENOTSOCK);
        FAILS(sendto(node, &value, size, 0, NULL, 0), ENOTSOCK);
        FAILS(recv(node, &value, size, 0), ENOTSOCK);
        FAILS(recv(node, &value, size, MSG_DONTWAIT | MSG_PEEK), ENOTSOCK);
        FAILS(recvfrom(node, &value, size, 0, NULL, NULL), ENOTSOCK);
    }
    FAILS(sendmsg(node, &message, 0), ENOTSOCK);
    FAILS(recvmsg(node, &message, 0), ENOTSOCK);
    FAILS(sendmmsg(node, &messages, 1, 0), ENOTSOCK);
    FAILS(recvmmsg(node, &messages, 1, 0, NULL), ENOTSOCK);
    FAILS(bind(node, &name, sizeof name), ENOTSOCK);
    FAILS(connect(node, &name, sizeof name), ENOTSOCK);
    FAILS(listen(node, 1), ENOTSOCK);
    FAILS(accept(node, NULL, NULL), ENOTSOCK);
    CHECK(close(node) == 0 && close(again) == 0);
}

/* By path, by descriptor, by a duplicate, and by a descriptor that is only a path. */
static void identity(const char *path)
{
    struct stat by_path, status;
    char link[32], text[64];
    int node = open(path, O_RDWR), again = dup(node), only = open(path, O_PATH);
    CHECK(stat(path, &by_path) == 0 && S_ISCHR(by_path.st_mode));
    int descriptors[] = { node, again, only };
    for (size_t i = 0; i < 3; i++) {
        CHECK(fstat(descriptors[i], &status) == 0 && S_ISCHR(status.st_mode));
        CHECK(status.st_ino == by_path.st_ino && status.st_dev == by_path.st_dev);
        CHECK(status.st_rdev == by_path.st_rdev && status.st_rdev && !status.st_size);
        CHECK(fstatat(descriptors[i], "", &status, AT_EMPTY_PATH) == 0);
        CHECK(S_ISCHR(status.st_mode) && status.st_ino == by_path.st_ino);
        snprintf(link, sizeof link, "/proc/self/fd/%d", descriptors[i]);
        memset(text, 0, sizeof text);
        CHECK(readlink(link, text, sizeof text - 1) > 0 && !strcmp(text, path));
        CHECK(readlink(link, text, 4) == 4); /* what there is room for */
        CHECK(lstat(link, &status) == 0 && S_ISLNK(status.st_mode));
        CHECK(descriptors[i] == only || (stat(link, &status) == 0 && S_ISCHR(status.st_mode)
                                         && status.st_ino == by_path.st_ino));
        int opened = open(link, O_RDONLY);
        CHECK(opened >= 0 && (fcntl(opened, F_GETFL) & O_ACCMODE) == O_RDONLY);
        CHECK(fstat(opened, &status) == 0 && S_ISCHR(status.st_mode) && close(opened) == 0);
    }
    FAILS(ioctl(only, _IO('d', 0x40)), EBADF);
    FAILS(read(only, text, 1), EBADF);
    FAILS(write(only, text, 1), EBADF);
    CHECK(close(node) == 0 && close(again) == 0 && close(only) == 0);
}

static void names(const char *path)
{
    struct stat before, after;
    char behind[64], dot[64], back[64], beside[64], below[64], over[64];
    snprintf(behind, sizeof behind, "%s/", path);
    snprintf(dot, sizeof dot, "%s/.", path);
    snprintf(back, sizeof back, "%s/..", path);
    snprintf(beside, sizeof beside, "%s/../system", path);
    snprintf(below, sizeof below, "%s/x", path);
    snprintf(over, sizeof over, "/nowhere/..%s", path);
    CHECK(stat(path, &before) == 0);
    FAILS(open(behind, O_RDWR), ENOTDIR);
    FAILS(open(dot, O_RDWR), ENOTDIR);
    FAILS(open(back, O_RDONLY), ENOTDIR);
    FAILS(open(beside, O_RDWR), ENOTDIR);
    FAILS(open(below, O_RDWR), ENOTDIR);
    FAILS(open(path, O_RDWR | O_TMPFILE, 0600), ENOTDIR);
    FAILS(open(over, O_RDWR), ENOENT);
    FAILS(stat(behind, &after), ENOTDIR);
    FAILS(stat(dot, &after), ENOTDIR);
    FAILS(stat(back, &after), ENOTDIR);
    FAILS(access(below, F_OK), ENOTDIR);
    FAILS(open(path, O_RDWR | O_DIRECTORY), ENOTDIR);
    FAILS(open(path, O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
    FAILS(chdir(path), ENOTDIR);
    FAILS(mkdir(path, 0700), EEXIST);
    FAILS(mkdirat(AT_FDCWD, behind, 0700), EEXIST);
    FAILS(mkfifo(path, 0600), EEXIST);
    FAILS(mknod(path, S_IFREG | 0600, 0), EEXIST);
    FAILS(symlink("/etc", path), EEXIST);
    FAILS(link("/etc/passwd", path), EEXIST);
    FAILS(rmdir(path), ENOTDIR);
    FAILS(unlink(path), EACCES);
    FAILS(unlinkat(AT_FDCWD, path, 0), EACCES);
    FAILS(remove(path), EACCES);
    FAILS(rename(path, "/tmp/node"), EACCES);
    FAILS(rename("/etc/nothing/at/all", path), EACCES);
    FAILS(link(path, "/tmp/node"), EXDEV);
    FAILS(truncate(path, 0), EINVAL);
    CHECK(stat(path, &after) == 0 && after.st_ino == before.st_ino);
    CHECK(after.st_rdev == before.st_rdev && (after.st_mode & 0777) == 0666);
    CHECK(chmod(path, 0640) == 0 && stat(path, &after) == 0 && (after.st_mode & 0777) == 0640);
    CHECK(chown(path, getuid(), getgid()) == 0 && utime(path, NULL) == 0);
    CHECK(chmod(path, 0666) == 0 && stat(path, &after) == 0 && (after.st_mode & 0777) == 0666);
    int node = open(path, O_RDWR);
    CHECK(fchmod(node, 0604) == 0 && fstat(node, &after) == 0 && (after.st_mode & 0777) == 0604);
    CHECK(stat(path, &after) == 0 && (after.st_mode & 0777) == 0604 && fchmod(node, 0666) == 0);
    static const struct timespec times[] = { { 1000, 0 }, { 2000, 0 } };
    CHECK(futimens(node, times) == 0 && stat(path, &after) == 0 && after.st_mtime == 2000);
    CHECK(utime(path, NULL) == 0 && fchown(node, getuid(), getgid()) == 0);
    struct statfs system, by_path;
    CHECK(fstatfs(node, &system) == 0 && statfs(path, &by_path) == 0);
    CHECK(system.f_type == by_path.f_type && close(node) == 0);
}

/* What is not there is not made, on the host or anywhere. */
static void nothing_new(void)
{
    FAILS(open("/dev/accel/new", O_RDWR | O_CREAT, 0600), EACCES);
    FAILS(open("/dev/accel", O_RDWR | O_TMPFILE, 0600), EACCES);
    FAILS(mkdir("/dev/accel/new", 0700), EACCES);
    FAILS(mkdir("/dev/fastrpc-new", 0700), EACCES);
    FAILS(symlink("/etc", "/dev/fastrpc-new"), EACCES);
    FAILS(mkdir("/dev/accel", 0700), EEXIST);
    FAILS(rmdir("/dev/accel"), EBUSY);
    FAILS(unlink("/dev/accel"), EISDIR);
    FAILS(unlink("/dev/accel/new"), ENOENT);
    FAILS(rename("/dev/accel/new", "/tmp/node"), ENOENT);
    FAILS(access("/dev/fastrpc-new", F_OK), ENOENT);
}

static void working_folder(void)
{
    char text[64], *made;
    CHECK(chdir("/dev/accel") == 0 && getcwd(text, sizeof text) && !strcmp(text, "/dev/accel"));
    CHECK((made = getcwd(NULL, 0)) && !strcmp(made, "/dev/accel"));
    int node = open("accel1", O_RDWR);
    CHECK(node >= 0 && close(node) == 0 && access("../dma_heap/system", R_OK) == 0);
    FAILS(mkdir("accel1", 0700), EEXIST);
    FAILS(mkdir("accel9", 0700), EACCES);
    CHECK(chdir("..") == 0 && getcwd(text, sizeof text) && !strcmp(text, "/dev"));
    CHECK(access("null", F_OK) == 0 && chdir("dma_heap/") == 0);
    CHECK(getcwd(text, sizeof text) && !strcmp(text, "/dev/dma_heap"));
    memset(text, 0, sizeof text);
    CHECK(readlink("/proc/self/cwd", text, sizeof text - 1) > 0 && !strcmp(text, "/dev/dma_heap"));
    int folder = open("/dev/accel", O_RDONLY | O_DIRECTORY);
    CHECK(folder >= 0 && fchdir(folder) == 0 && close(folder) == 0);
    CHECK(access("accel0", W_OK) == 0 && getcwd(text, sizeof text) && !strcmp(text, "/dev/accel"));
    FAILS(chdir("/dev/accel/nothing"), ENOENT);
    CHECK(chdir("/") == 0 && getcwd(text, sizeof text) && !strcmp(text, "/"));
    free(made);
}

extern char **environ;

/* The exit status of "sh -c WORDS", for which the actions open files. */
static int spawned(const posix_spawn_file_actions_t *actions, const char *words)
{
    char *command[] = { "sh", "-c", (char *)words, NULL };
    pid_t child;
    int status, error = posix_spawnp(&child, "sh", actions, NULL, command, environ);
    if (error)
        return -error;
    CHECK(waitpid(child, &status, 0) == child);
    return WEXITSTATUS(status);
}

static void new_programs(void)
{
    posix_spawn_file_actions_t actions;
    int node = open(NODE, O_RDWR);
    CHECK(posix_spawn_file_actions_init(&actions) == 0);
    CHECK(posix_spawn_file_actions_addopen(&actions, 9, NODE, O_RDWR, 0) == 0);
    CHECK(posix_spawn_file_actions_addopen(&actions, 8, "/dev/null", O_RDWR, 0) == 0);
    for (int i = 0; i < 2; i++)
        CHECK(spawned(&actions, "test \"$(readlink /proc/self/fd/9)\" = " NODE
                                " && test -c /dev/fd/8") == 0);
    CHECK(posix_spawn_file_actions_destroy(&actions) == 0);
    CHECK(posix_spawn_file_actions_init(&actions) == 0);
    CHECK(posix_spawn_file_actions_addopen(&actions, 9, "/dev/accel/accel9", O_RDWR, 0) == 0);
    CHECK(spawned(&actions, "exit 0") == -ENOENT);
    CHECK(posix_spawn_file_actions_destroy(&actions) == 0);
#ifdef __GLIBC__
    CHECK(posix_spawn_file_actions_init(&actions) == 0);
    CHECK(posix_spawn_file_actions_addchdir_np(&actions, "/dev/accel") == 0);
    CHECK(spawned(&actions, "test -c accel0 && test \"$(pwd)\" = /dev/accel") == 0);
    CHECK(posix_spawn_file_actions_destroy(&actions) == 0);
#endif
    CHECK(close(node) == 0);
}

/* --- buffers --------------------------------------------------------------------------------- */

static void as_dma_buf(int buffer)
{
    static char *const nowhere = (char *)64;
    char data[16] = "data", name[40], link[32], text[32] = "";
    struct iovec parts = { data, sizeof data };
    struct stat status;
    struct pollfd asked = { .fd = buffer, .events = POLLIN | POLLOUT };

    for (unsigned int bits = 0; bits < 16; bits++)
        if (bits & ~(unsigned int)DMA_BUF_SYNC_VALID_FLAGS_MASK || !(bits & DMA_BUF_SYNC_RW))
            FAILS(SYNC(buffer, bits), EINVAL);
        else
            CHECK(SYNC(buffer, bits) == 0);
    FAILS(SYNC(buffer, 1ull << 63 | DMA_BUF_SYNC_RW), EINVAL);
    FAILS(ioctl(buffer, DMA_BUF_IOCTL_SYNC, nowhere), EFAULT);
    FAILS(ioctl(buffer, _IO(DMA_BUF_BASE, 9)), ENOTTY);
    FAILS(ioctl(buffer, _IO('d', 0)), ENOTTY);

    memset(name, 'n', sizeof name);
    name[31] = 0;
    CHECK(ioctl(buffer, DMA_BUF_SET_NAME, name) == 0 && ioctl(buffer, DMA_BUF_SET_NAME, "") == 0);
    CHECK(ioctl(buffer, _IOW(DMA_BUF_BASE, 1, uint32_t), "short") == 0);
    name[31] = 'n';
    FAILS(ioctl(buffer, DMA_BUF_SET_NAME, name), EINVAL);
    FAILS(ioctl(buffer, DMA_BUF_SET_NAME, nowhere), EFAULT);

    for (int i = 0; i < 2; i++) {
        FAILS(read(buffer, data, 4), EINVAL);
        FAILS(write(buffer, data, 4), EINVAL);
        FAILS(read(buffer, data, 0), EINVAL);
        FAILS(write(buffer, data, 0), EINVAL);
        FAILS(readv(buffer, &parts, 1), EINVAL);
        FAILS(writev(buffer, &parts, 1), EINVAL);
        FAILS(pread(buffer, data, 4, 0), ESPIPE);
        FAILS(pwrite(buffer, data, 4, 0), ESPIPE);
        FAILS(preadv(buffer, &parts, 1, 0), ESPIPE);
        FAILS(pwritev(buffer, &parts, 1, 0), ESPIPE);
        CHECK(lseek(buffer, 0, SEEK_END) == SIZE && lseek(buffer, 0, SEEK_SET) == 0);
        FAILS(lseek(buffer, 0, SEEK_CUR), EINVAL);
        FAILS(lseek(buffer, 4, SEEK_SET), EINVAL);
        FAILS(lseek(buffer, -4, SEEK_END), EINVAL);
    }
    FAILS(ftruncate(buffer, 0), EINVAL);
    FAILS(fallocate(buffer, 0, 0, SIZE), ENODEV);
    CHECK(posix_fallocate(buffer, 0, SIZE) == ENODEV && posix_fallocate(buffer, 0, 0) == EINVAL);
    FAILS(fcntl(buffer, F_SETFL, O_DIRECT), EINVAL);
    FAILS(readahead(buffer, 0, 4), EINVAL);
    FAILS(sync_file_range(buffer, 0, 0, 0), ESPIPE);
    whole_file(buffer);
    int count;
    FAILS(ioctl(buffer, FIONREAD, &count), ENOTTY);
    FAILS(ioctl(buffer, FS_IOC_GETFLAGS, &count), ENOTTY);
    FAILS(ioctl(buffer, FS_IOC_FSGETXATTR, name), ENOTTY);
    FAILS(ioctl(buffer, FIBMAP, &count), ENOTTY);
    FAILS(fsync(buffer), EINVAL);
    FAILS(fcntl(buffer, F_GET_SEALS), EINVAL);
    FAILS(fcntl(buffer, F_SETLEASE, F_WRLCK), EINVAL);
    CHECK(fcntl(buffer, F_GETFL) == O_RDWR);
    int pipes[2];
    CHECK(pipe(pipes) == 0);
    FAILS(splice(buffer, NULL, pipes[1], NULL, 4, 0), EINVAL);
    FAILS(sendfile(pipes[1], buffer, NULL, 4), EINVAL);
    off_t at = 0;
    FAILS(sendfile(pipes[1], buffer, &at, 4), ESPIPE);
    int file = open("/etc/passwd", O_RDONLY);
    FAILS(sendfile(buffer, file, NULL, 4), EINVAL);
    FAILS(copy_file_range(file, NULL, buffer, NULL, 4, 0), EINVAL);
    FAILS(copy_file_range(buffer, NULL, buffer, NULL, 4, 0), EINVAL);
    close(file);
    CHECK(close(pipes[0]) == 0 && close(pipes[1]) == 0);
    CHECK(poll(&asked, 1, 0) == 1 && asked.revents == (POLLIN | POLLOUT));
    CHECK(fstat(buffer, &status) == 0 && status.st_mode == 0600 && status.st_size == SIZE);
    snprintf(link, sizeof link, "/proc/self/fd/%d", buffer);
    CHECK(readlink(link, text, sizeof text - 1) > 0 && !strcmp(text, "/dmabuf:"));
    FAILS(open(link, O_RDWR), ENXIO);
    CHECK(stat(link, &status) == 0 && status.st_mode == 0600 && status.st_size == SIZE);
    struct statfs system;
    CHECK(fstatfs(buffer, &system) == 0 && system.f_type == DMA_BUF_MAGIC);

    CHECK(mmap(NULL, SIZE + 1, PROT_READ, MAP_SHARED, buffer, 0) == MAP_FAILED && errno == EINVAL);
    CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, buffer, SIZE) == MAP_FAILED && errno == EINVAL);
    CHECK(mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, buffer, 4096) == MAP_FAILED && errno == EINVAL);
    CHECK(mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, buffer, 0) == MAP_FAILED && errno == EINVAL);
    char *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, buffer, 4096);
    CHECK(mapped != MAP_FAILED && !*mapped && munmap(mapped, 4096) == 0);
    char *whole = mmap(NULL, SIZE - 1, PROT_READ, MAP_SHARED, buffer, 0);
    CHECK(whole != MAP_FAILED && munmap(whole, SIZE) == 0);
}

static int allocate_from_heap(unsigned long long size, unsigned int mode)
{
    struct dma_heap_allocation_data request = { .len = size, .fd_flags = mode | O_CLOEXEC };
    int heap = open(HEAP, O_RDWR);
    int result = ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &request), error = errno;
    CHECK(close(heap) == 0);
    errno = error;
    return result ? -1 : (int)request.fd;
}

/* A handle of an accelerator's node as a descriptor. */
static int exported(int node, uint32_t handle)
{
    struct drm_prime_handle request = { .handle = handle, .flags = O_CLOEXEC | O_RDWR };
    CHECK(ioctl(node, DRM_IOCTL_PRIME_HANDLE_TO_FD, &request) == 0);
    return request.fd;
}

static uint32_t imported(int node, int buffer)
{
    struct drm_prime_handle request = { .fd = buffer };
    CHECK(ioctl(node, DRM_IOCTL_PRIME_FD_TO_HANDLE, &request) == 0);
    return request.handle;
}

static void buffers_of_each_kind(void)
{
    int node = open(NODE, O_RDWR), other = open("/dev/accel/accel0", O_RDWR);
    struct drm_qda_gem_create made = { .size = SIZE };
    CHECK(ioctl(node, DRM_IOCTL_QDA_GEM_CREATE, &made) == 0);
    int of_heap = allocate_from_heap(SIZE, O_RDWR), of_node = exported(node, made.handle);
    int passed_on = exported(other, imported(other, of_node));
    int descriptors[] = { of_heap, of_node, passed_on, dup(of_heap),
                          exported(node, imported(node, of_heap)) };
    for (size_t i = 0; i < sizeof descriptors / sizeof *descriptors; i++)
        as_dma_buf(descriptors[i]);

    /* Memory of the program's own is what it was, but for what only a DMA-BUF could be asked. */
    int own = memfd_create("own", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    CHECK(ftruncate(own, SIZE) == 0 && fcntl(own, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
    int back = exported(node, imported(node, own));
    CHECK(SYNC(back, DMA_BUF_SYNC_RW) == 0);
    FAILS(SYNC(back, 0), EINVAL);
    CHECK(write(own, "four", 4) == 4 && lseek(own, 1, SEEK_SET) == 1 && fsync(own) == 0);
    for (size_t i = 0; i < sizeof descriptors / sizeof *descriptors; i++)
        CHECK(close(descriptors[i]) == 0);
    CHECK(close(own) == 0 && close(back) == 0 && close(node) == 0 && close(other) == 0);
}

static void modes_of_mappings(void)
{
    static const struct { int mode, protection, error; } all[] = {
        { O_RDONLY, PROT_READ, 0 },       { O_RDONLY, PROT_READ | PROT_WRITE, EACCES },
        { O_WRONLY, PROT_READ, EACCES },  { O_WRONLY, PROT_WRITE, EACCES },
        { O_RDWR, PROT_READ | PROT_WRITE, 0 }, { O_ACCMODE, PROT_READ, EACCES },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int node = open(NODE, all[i].mode);
        struct drm_qda_gem_create made = { .size = SIZE };
        struct drm_qda_gem_mmap_offset where = { 0 };
        CHECK(ioctl(node, DRM_IOCTL_QDA_GEM_CREATE, &made) == 0);
        where.handle = made.handle;
        CHECK(ioctl(node, DRM_IOCTL_QDA_GEM_MMAP_OFFSET, &where) == 0);
        void *mapped = mmap(NULL, SIZE, all[i].protection, MAP_SHARED, node, (off_t)where.offset);
        CHECK((mapped == MAP_FAILED) == !!all[i].error);
        CHECK(mapped != MAP_FAILED || errno == all[i].error);
        if (all[i].mode == O_RDONLY && mapped != MAP_FAILED)
            FAILS(mprotect(mapped, SIZE, PROT_READ | PROT_WRITE), EACCES);
        CHECK(close(node) == 0);
    }
    int buffer = allocate_from_heap(SIZE, O_RDONLY);
    CHECK((fcntl(buffer, F_GETFL) & O_ACCMODE) == O_RDONLY);
    CHECK(mmap(NULL, SIZE, PROT_WRITE, MAP_SHARED, buffer, 0) == MAP_FAILED && errno == EACCES);
    CHECK(close(buffer) == 0);
}

static void sizes_that_no_machine_has(void)
{
    static const unsigned int bits[] = { 44, 46, 52, 62 };
    int node = open(NODE, O_RDWR);
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++) {
        struct drm_qda_gem_create made = { .size = 1ull << bits[i] };
        FAILS(ioctl(node, DRM_IOCTL_QDA_GEM_CREATE, &made), ENOMEM);
        FAILS(allocate_from_heap(1ull << bits[i], O_RDWR), ENOMEM);
    }
    CHECK(close(node) == 0);
}

int main(void)
{
    static const struct { const char *path; int events, positions; } nodes[] = {
        { NODE, 1, 1 }, { OLDER, 0, 1 }, { HEAP, 0, 0 }
    };
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) {
        read_and_write(nodes[i].path, nodes[i].events, nodes[i].positions);
        modes(nodes[i].path, nodes[i].events);
        waiting(nodes[i].path, nodes[i].events);
        no_socket(nodes[i].path);
        identity(nodes[i].path);
        names(nodes[i].path);
    }
    nothing_new();
    working_folder();
    new_programs();
    buffers_of_each_kind();
    modes_of_mappings();
    sizes_that_no_machine_has();
    return 0;
}
