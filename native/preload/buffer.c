/* Descriptors of buffers.
 *
 * A DMA-BUF of ours is a memfd of a known name whose size is sealed.  The server has put its position
 * to its end, where nothing can be read or written. */
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef F_GET_SEALS
#define F_GET_SEALS 1034
#define F_SEAL_SHRINK 2
#endif

/* Since linux 5.12; the first spelling is that of older headers. */
#define SET_NAME_A _IOW(DMA_BUF_BASE, 1, uint32_t)
#define SET_NAME_B _IOW(DMA_BUF_BASE, 1, uint64_t)

enum { NAME_ROOM = 32 }; /* of a buffer's name, with its NUL */

int qda_is_shared(int descriptor)
{
    int before = errno;
    long seals = syscall(SYS_fcntl, descriptor, F_GET_SEALS);
    errno = before;
    return seals >= 0 && seals & F_SEAL_SHRINK;
}

int qda_is_buffer(int descriptor)
{
    static const char name[] = "/memfd:" QDA_MEMORY_NAME " (deleted)";
    char link[32], text[sizeof name];
    if (!qda_is_shared(descriptor))
        return 0;
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, text, sizeof text);
    errno = before;
    return length == sizeof name - 1 && !memcmp(text, name, sizeof name - 1);
}

int qda_is_beyond(int descriptor, size_t length, off_t offset)
{
    struct stat status;
    if (!qda_is_buffer(descriptor) || syscall(SYS_fstat, descriptor, &status))
        return 0;
    return offset < 0 || offset > status.st_size || length > (size_t)(status.st_size - offset);
}

/* Read up to SIZE bytes of the program's memory, until they end; how many. */
static long copy_in(void *into, const void *from, size_t size)
{
    struct iovec here = { into, size }, there = { (void *)(uintptr_t)from, size };
    return syscall(SYS_process_vm_readv, getpid(), &here, 1L, &there, 1L, 0L);
}

static int failed(int number)
{
    errno = number;
    return -1;
}

/* All devices see memory as it is: there is nothing to be done but to look at what is asked for. */
static int sync_buffer(const void *argument)
{
    struct dma_buf_sync sync;
    if (copy_in(&sync, argument, sizeof sync) != sizeof sync)
        return failed(EFAULT);
    if (sync.flags & ~(uint64_t)DMA_BUF_SYNC_VALID_FLAGS_MASK || !(sync.flags & DMA_BUF_SYNC_RW))
        return failed(EINVAL);
    return 0;
}

/* A name is only for the kernel's own lists. */
static int name_buffer(const void *argument)
{
    char name[NAME_ROOM];
    long there = copy_in(name, argument, sizeof name);
    if (there > 0 && memchr(name, 0, (size_t)there))
        return 0;
    return failed(there == sizeof name ? EINVAL : EFAULT);
}

/* A file without signals, on something that has blocks of this size. */
static int general(unsigned int code, void *argument)
{
    enum { BLOCK = 4096 };
    int number = BLOCK;
    struct iovec here = { &number, sizeof number }, there = { argument, sizeof number };
    if (code == FIOASYNC) {
        if (copy_in(&number, argument, sizeof number) != sizeof number)
            return failed(EFAULT);
        return number ? failed(ENOTTY) : 0;
    }
    if (syscall(SYS_process_vm_writev, getpid(), &here, 1L, &there, 1L, 0L) != sizeof number)
        return failed(EFAULT);
    return 0;
}

int qda_control_file(int descriptor, unsigned int code, void *argument)
{
    struct qda_node node;
    switch (code) {
    case FIOASYNC:
    case FIGETBSZ:
        return qda_find(descriptor, &node) || qda_is_buffer(descriptor)
            ? general(code, argument) : QDA_NO_COMMAND;
    case FIBMAP:
    case FIONREAD:
    case FIOQSIZE:
    case FS_IOC_FSGETXATTR:
    case FS_IOC_FSSETXATTR:
    case FS_IOC_GETFLAGS:
    case FS_IOC_SETFLAGS: /* a buffer has nothing of a file */
        return qda_is_buffer(descriptor) ? failed(ENOTTY) : QDA_NO_COMMAND;
    }
    return QDA_NO_COMMAND;
}

int qda_control_buffer(unsigned int code, const void *argument)
{
    switch (code) {
    case DMA_BUF_IOCTL_SYNC:
        return sync_buffer(argument);
    case SET_NAME_A:
    case SET_NAME_B:
        return name_buffer(argument);
    }
    return QDA_NO_COMMAND;
}
