/* Descriptors that the library keeps: the bells of lanes, and /proc/self/maps.
 *
 * The list lies in ordinary memory, so a forked child has it too, and closes what it has inherited;
 * a program that is executed inherits nothing. */
#include "lease.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    OUT_OF_THE_WAY = 100, /* programs expect their own descriptors to have low numbers */
    KEPT = 4 * QDA_LENT_LANES + 2, /* two for each lane, and as many that are not swept yet */
};

static struct qda_kept list[KEPT];

/* fstat, past the wrappers of this library and of older libcs. */
static int identify(int number, struct stat *status)
{
    return (int)syscall(SYS_fstat, number, status);
}

static int is_known(int number)
{
    for (struct qda_kept *kept = list; kept < list + KEPT; kept++)
        if (atomic_load(&kept->number) == number)
            return 1;
    return 0;
}

/* A number that none of ours has had which the program has closed: a thread may sleep on it, and
 * after a signal the kernel would have it sleep on what has the number now. */
static int renumber(int descriptor)
{
    int number = fcntl(descriptor, F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
    while (number >= 0 && is_known(number)) {
        int next = fcntl(descriptor, F_DUPFD_CLOEXEC, number + 1);
        close(number);
        number = next;
    }
    close(descriptor);
    return number;
}

struct qda_kept *qda_keep(int descriptor)
{
    int number = renumber(descriptor);
    struct stat status;
    if (number < 0)
        return NULL; /* few numbers are allowed */
    for (struct qda_kept *kept = list; kept < list + KEPT; kept++) {
        int none = 0;
        if (!atomic_compare_exchange_strong(&kept->number, &none, -1))
            continue;
        if (identify(number, &status)) {
            atomic_store(&kept->number, 0);
            break;
        }
        kept->device = status.st_dev;
        kept->inode = status.st_ino;
        atomic_store(&kept->number, number);
        return kept;
    }
    close(number);
    return NULL;
}

int qda_is_there(const struct qda_kept *kept)
{
    struct stat status;
    return !identify(kept->number, &status) && status.st_ino == kept->inode
        && status.st_dev == kept->device;
}

void qda_drop(struct qda_kept *kept)
{
    if (qda_is_there(kept))
        close(kept->number);
    atomic_store(&kept->number, 0);
}

void qda_drop_all(void)
{
    for (struct qda_kept *kept = list; kept < list + KEPT; kept++)
        if (kept->number > 0)
            qda_drop(kept);
        else
            kept->number = 0; /* another thread of the parent was busy with it */
}
