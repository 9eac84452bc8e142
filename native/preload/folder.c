/* Listings of folders: /dev is the real one followed by the mirror's nodes, the folders below it
 * are the mirror's alone. */
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* With musl these are macros. */
#undef readdir64
#undef scandir64

/* An open folder of which the mirror has something to say. */
struct listing {
    struct listing *next;
    DIR *folder;  /* what the program holds */
    DIR *mirror;  /* what follows, when FOLDER has come to its end; or FOLDER itself */
};

static struct listing *listings;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct listing *find(DIR *folder)
{
    /* Most programs list none of our folders: they pay for one comparison. */
    if (!__atomic_load_n(&listings, __ATOMIC_ACQUIRE))
        return NULL;
    pthread_mutex_lock(&lock);
    struct listing *listing = listings;
    while (listing && listing->folder != folder)
        listing = listing->next;
    pthread_mutex_unlock(&lock);
    return listing;
}

static DIR *list_of(DIR *folder, int is_dev);

WRAP(DIR *, opendir, const char *path)
{
    char room[PLACE_ROOM], place[PLACE_ROOM];
    const char *name = qda_name(AT_FDCWD, path, room);
    if (!name)
        return REAL(opendir)(path);
    return list_of(REAL(opendir)(*name ? qda_mirror(name, place) : path), !*name);
}

/* A folder that was opened before, by whatever path. */
WRAP(DIR *, fdopendir, int descriptor)
{
    char link[32], text[sizeof "/dev"];
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    int is_ours = qda_read_link(AT_FDCWD, link, text, sizeof text) > 0;
    int is_dev = !is_ours && qda_socket()
        && syscall(SYS_readlinkat, AT_FDCWD, link, text, sizeof text) == sizeof text - 1
        && !memcmp(text, "/dev", sizeof text - 1);
    errno = before;
    DIR *folder = REAL(fdopendir)(descriptor);
    return is_ours || is_dev ? list_of(folder, is_dev) : folder;
}

/* Remember an open folder: /dev, or one of the mirror's alone. */
static DIR *list_of(DIR *folder, int is_dev)
{
    char place[PLACE_ROOM];
    struct listing *listing = folder ? malloc(sizeof *listing) : NULL;
    if (!listing)
        return folder;
    listing->folder = folder;
    listing->mirror = is_dev ? REAL(opendir)(qda_mirror(NULL, place)) : folder;
    pthread_mutex_lock(&lock);
    listing->next = listings;
    __atomic_store_n(&listings, listing, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&lock);
    return folder;
}

WRAP(int, closedir, DIR *folder)
{
    struct listing *listing = find(folder);
    if (listing) {
        struct listing **at = &listings;
        pthread_mutex_lock(&lock);
        while (*at != listing)
            at = &(*at)->next;
        __atomic_store_n(at, listing->next, __ATOMIC_RELEASE);
        pthread_mutex_unlock(&lock);
        if (listing->mirror && listing->mirror != folder)
            REAL(closedir)(listing->mirror);
        free(listing);
    }
    return REAL(closedir)(folder);
}

WRAP(void, rewinddir, DIR *folder)
{
    struct listing *listing = find(folder);
    if (listing && listing->mirror && listing->mirror != folder)
        REAL(rewinddir)(listing->mirror);
    REAL(rewinddir)(folder);
}

/* Whether the mirror's entry is news in a listing: in /dev, what really exists was listed before,
 * and every folder has "." and "..". */
static int is_news(const struct listing *listing, const struct dirent *entry)
{
    if (listing->mirror == listing->folder)
        return 1;
    if (*entry->d_name == '.')
        return 0;
    int before = errno;
    int missing = (int)syscall(SYS_faccessat, dirfd(listing->folder), entry->d_name, F_OK);
    errno = before;
    return missing;
}

static void show_type(struct dirent *entry)
{
    entry->d_type = entry->d_type == DT_REG ? DT_CHR : entry->d_type;
}

#define READDIR(name) \
    WRAP(struct dirent *, name, DIR *folder) \
    { \
        struct listing *listing = find(folder); \
        struct dirent *entry = NULL; \
        if (!listing || listing->mirror != folder) \
            entry = REAL(name)(folder); \
        if (entry || !listing || !listing->mirror) \
            return entry; \
        while ((entry = REAL(name)(listing->mirror)) && !is_news(listing, entry)) \
            ; \
        if (entry) \
            show_type(entry); \
        return entry; \
    }

READDIR(readdir)
READDIR(readdir64)

typedef int chooser(const struct dirent *);
typedef int order(const struct dirent **, const struct dirent **);

/* libc lists by functions of its own: only folders that are the mirror's alone are seen. */
#define SCANDIR(name) \
    WRAP(int, name, const char *path, struct dirent ***list, chooser *choose, order *compare) \
    { \
        char place[PLACE_ROOM]; \
        const char *mirror = qda_redirect(AT_FDCWD, path, place); \
        int count = REAL(name)(mirror ? mirror : path, list, choose, compare); \
        for (int i = 0; mirror && i < count; i++) \
            show_type((*list)[i]); \
        return count; \
    }

SCANDIR(scandir)
SCANDIR(scandir64)
