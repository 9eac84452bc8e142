/* The sessions of which this program has lanes. */
#include "lease.h"

#include "../core/version.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <unistd.h>

/* By which the server knows that this library has the pages and lanes that it lends
 * (qda.shim.library).  Nothing here uses it, and a linker keeps for certain only what it exports. */
#define TEXT_OF(number) TEXT(number)
#define TEXT(number) #number
__attribute__((visibility("default"))) const char qda_preload_mark[] =
    QDA_LIBRARY_MARK " " TEXT_OF(QDA_CORE_VERSION);

enum { LEASES = 16 };

/* A forked child finds it zeroed. */
static _Atomic(struct table *) known;
struct table {
    _Atomic int32_t process, inheriting, reserving;
    _Atomic(struct qda_kept *) maps;
    struct qda_leased leases[LEASES];
};

struct lent_object {
    uint64_t name;
    struct qda_object object;
};

_Static_assert(sizeof(struct lent_object) == sizeof(struct qda_lent)
                   && offsetof(struct lent_object, object.device) == offsetof(struct qda_lent, device)
                   && offsetof(struct lent_object, object.users) == offsetof(struct qda_lent, users)
                   && offsetof(struct lent_object, object.named) == offsetof(struct qda_lent, named),
               "one table for both");
_Static_assert(QDA_LEASE_OBJECTS % 8 == 0 && sizeof(struct qda_lease) <= QDA_LEASE_WORDS, "layout");

/* Memory of ours that a child does not find, or finds zeroed; NULL without it. */
static void *memory(size_t size, int advice)
{
    void *made = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (made == MAP_FAILED)
        return NULL;
    if (!madvise(made, size, advice))
        return made;
    munmap(made, size);
    return NULL;
}

/* Memory of a descriptor, which is closed; NULL without it. */
static void *shared(int descriptor, size_t size)
{
    void *made = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    close(descriptor);
    if (made == MAP_FAILED)
        return NULL;
    if (!madvise(made, size, MADV_DONTFORK))
        return made;
    munmap(made, size);
    return NULL;
}

/* The table; NULL if there is none, or not now. */
static struct table *find_table(void)
{
    struct table *table = atomic_load(&known);
    int32_t none = 0;
    if (!table || atomic_load(&table->process))
        return table;
    if (!atomic_compare_exchange_strong(&table->inheriting, &none, 1))
        return NULL;
    qda_drop_all();
    atomic_store(&table->process, getpid());
    return table;
}

static struct table *make_table(void)
{
    struct table *table = find_table(), *none = NULL;
    if (table || atomic_load(&known))
        return table;
    table = memory(sizeof *table, MADV_WIPEONFORK);
    if (table && !atomic_compare_exchange_strong(&known, &none, table)) {
        munmap(table, sizeof *table);
        table = none; /* another thread was faster */
    }
    return table ? find_table() : NULL;
}

int32_t qda_lease_process(void)
{
    struct table *table = find_table();
    return table ? table->process : 0;
}

_Atomic(struct qda_kept *) *qda_lease_maps(void)
{
    struct table *table = find_table();
    return table ? &table->maps : NULL;
}

/* Enter a lease in one of two states. */
static int enter(struct qda_leased *lease, const char *token, uint32_t state, uint32_t or_state)
{
    uint32_t now = atomic_load(&lease->state);
    if ((now != state && now != or_state) || memcmp(lease->token, token, sizeof lease->token))
        return 0;
    lease->users++; /* from here on it stays what it is, if it still is */
    now = atomic_load(&lease->state);
    if ((now == state || now == or_state) && !memcmp(lease->token, token, sizeof lease->token))
        return 1;
    lease->users--;
    return 0;
}

struct qda_leased *qda_lease_enter(const char *token)
{
    struct table *table = find_table();
    for (int i = 0; table && i < LEASES; i++)
        if (enter(&table->leases[i], token, QDA_LEASE_THERE, QDA_LEASE_THERE))
            return &table->leases[i];
    for (int i = 0; table && i < LEASES; i++)
        if (table->leases[i].left
            && enter(&table->leases[i], token, QDA_LEASE_OVER, QDA_LEASE_OVER))
            return &table->leases[i];
    return NULL;
}

void qda_lease_leave(struct qda_leased *lease)
{
    lease->users--;
}

void qda_lease_give_up(struct qda_leased *lease)
{
    uint32_t there = QDA_LEASE_THERE;
    atomic_compare_exchange_strong(&lease->state, &there, QDA_LEASE_OVER);
}

/* Lanes. */

static int is_answered(const struct qda_lent_lane *lane)
{
    return qda_has_rung(lane->waiter.other, lane->call->number, &lane->call->context);
}

/* Take a call that was left when the lane's word was SEEN; whether it is still that one. */
static int take_left(struct qda_leased *lease, struct qda_lent_lane *lane, uint32_t seen)
{
    uint32_t now = seen;
    do {
        if (!(now & QDA_LANE_LEFT) || (now ^ seen) & ~(uint32_t)QDA_LANE_RECALLED)
            return 0;
    } while (!atomic_compare_exchange_weak(lane->word, &now, now & ~(uint32_t)QDA_LANE_LEFT));
    lease->left--;
    return 1;
}

static void end_forsaken(struct qda_leased *lease)
{
    for (struct qda_lent_lane *lane = lease->lanes; lane < lease->lanes + QDA_LENT_LANES; lane++) {
        uint32_t seen = lane->there ? atomic_load(lane->word) : 0;
        if (seen & QDA_LANE_LEFT && !lane->key.tid && is_answered(lane)
            && take_left(lease, lane, seen)) {
            qda_driver_unpin(lane->call);
            qda_lane_give_back(lane);
        }
    }
}

struct qda_lent_lane *qda_lane_take(struct qda_leased *lease)
{
    if (lease->left)
        end_forsaken(lease);
    if (atomic_load((_Atomic uint32_t *)&lease->page->dead)
        || atomic_load(&lease->state) != QDA_LEASE_THERE)
        return NULL;
    for (struct qda_lent_lane *lane = lease->lanes; lane < lease->lanes + QDA_LENT_LANES; lane++) {
        uint32_t now = lane->there ? atomic_load(lane->word) : QDA_LANE_STATES;
        uint32_t next = now + QDA_LANE_CALL + QDA_LANE_BUSY;
        if (!(now & QDA_LANE_STATES) && atomic_compare_exchange_strong(lane->word, &now, next))
            return lane;
    }
    return NULL;
}

int qda_lane_give_back(struct qda_lent_lane *lane)
{
    return (atomic_fetch_and(lane->word, ~(uint32_t)QDA_LANE_BUSY) & QDA_LANE_RECALLED) != 0;
}

int qda_lane_leave(struct qda_leased *lease, struct qda_lent_lane *lane, const struct qda_key *key)
{
    lane->key = *key;
    lease->left++;
    return (atomic_fetch_or(lane->word, QDA_LANE_LEFT) & QDA_LANE_RECALLED) != 0;
}

struct qda_lent_lane *qda_lane_resume(const char *token, const struct qda_key *key,
                                      struct qda_leased **lease)
{
    struct table *table = find_table();
    for (int i = 0; table && i < LEASES; i++) {
        struct qda_leased *found = &table->leases[i];
        if (!found->left || !enter(found, token, QDA_LEASE_THERE, QDA_LEASE_OVER))
            continue;
        for (struct qda_lent_lane *lane = found->lanes; lane < found->lanes + QDA_LENT_LANES; lane++) {
            uint32_t seen = lane->there ? atomic_load(lane->word) : 0;
            if (seen & QDA_LANE_LEFT && lane->key.tid == key->tid
                && lane->key.handle == key->handle && lane->key.scalars == key->scalars
                && lane->key.arguments == key->arguments && take_left(found, lane, seen)) {
                *lease = found;
                return lane;
            }
        }
        qda_lease_leave(found);
    }
    return NULL;
}

void qda_lane_forsake(struct qda_leased *lease, int32_t tid)
{
    if (!lease->left)
        return;
    for (struct qda_lent_lane *lane = lease->lanes; lane < lease->lanes + QDA_LENT_LANES; lane++)
        if (lane->there && *lane->word & QDA_LANE_LEFT && lane->key.tid == tid)
            lane->key.tid = 0;
}

/* Objects. */

/* See `qda_session`.  What is at a place of the table changes only while nobody uses it. */
static struct qda_object *take_object(struct qda_session *session, int32_t fd)
{
    struct qda_leased *lease = (struct qda_leased *)session;
    struct lent_object *table = (void *)((char *)lease->page + QDA_LEASE_OBJECTS);
    uint64_t name = (uint32_t)fd;
    struct stat status;

    if (lease->page->by_identity) {
        if (syscall(SYS_fstat, fd, &status))
            return NULL;
        name = status.st_ino;
    }
    for (uint32_t probe = 0; probe < QDA_LENT_PROBES; probe++) {
        struct lent_object *at = &table[(name + probe) % QDA_LENT_OBJECTS];
        if (!at->object.named || at->name != name)
            continue;
        at->object.users++;
        if (at->object.named && at->name == name
            && (!lease->page->by_identity || (at->object.major == major(status.st_dev)
                                              && at->object.minor == minor(status.st_dev))))
            return &at->object;
        at->object.users--;
    }
    return NULL;
}

/* What the server sends. */

/* Empty a lease that is over; whether nobody uses it. */
static int sweep(struct qda_leased *lease)
{
    uint32_t state = atomic_load(&lease->state);
    if (state == QDA_LEASE_THERE && atomic_load((_Atomic uint32_t *)&lease->page->dead)) {
        qda_lease_give_up(lease);
        state = QDA_LEASE_OVER;
    }
    if (state != QDA_LEASE_OVER || lease->users || (lease->left && !lease->page->dead)
        || !atomic_compare_exchange_strong(&lease->state, &state, QDA_LEASE_SWEPT))
        return 0;
    if (lease->users || (lease->left && !lease->page->dead)) { /* somebody has come meanwhile */
        atomic_store(&lease->state, QDA_LEASE_OVER);
        return 0;
    }
    for (struct qda_lent_lane *lane = lease->lanes; lane < lease->lanes + QDA_LENT_LANES; lane++) {
        if (!lane->there)
            continue;
        qda_drop(lane->sleep);
        qda_drop(lane->wake);
        munmap(lane->call, sizeof *lane->call);
        memset(lane, 0, sizeof *lane);
    }
    munmap(lease->session.pool, QDA_POOL);
    munmap(lease->page, QDA_LEASE_SIZE);
    lease->left = 0;
    atomic_store(&lease->state, QDA_LEASE_NONE);
    return 1;
}

static int32_t this_thread(void)
{
    return (int32_t)syscall(SYS_gettid);
}

/* Reserve a place for the lease of a node, unless there is one, or will be. */
static int reserve(struct table *table, const char *token)
{
    struct qda_leased *free = NULL;
    for (struct qda_leased *lease = table->leases; lease < table->leases + LEASES; lease++) {
        uint32_t state = atomic_load(&lease->state);
        if ((state == QDA_LEASE_ASKED || state == QDA_LEASE_THERE)
            && !memcmp(lease->token, token, sizeof lease->token))
            return 0;
        if (!free && (state == QDA_LEASE_NONE || sweep(lease)))
            free = lease;
    }
    if (!free)
        return 0;
    memcpy(free->token, token, sizeof free->token);
    free->asker = this_thread();
    atomic_store(&free->state, QDA_LEASE_ASKED);
    return 1;
}

uint32_t qda_wish(const char *token, uint32_t wish)
{
    struct table *table = make_table();
    int32_t nobody = 0;
    if (wish == QDA_WISH_LANE) {
        struct qda_leased *lease = qda_lease_enter(token);
        uint32_t not_yet = 0;
        int first = lease && atomic_compare_exchange_strong(&lease->wishing, &not_yet, 1);
        if (lease)
            qda_lease_leave(lease);
        return first ? wish : 0;
    }
    if (wish != QDA_WISH_LEASE || !table
        || !atomic_compare_exchange_strong(&table->reserving, &nobody, 1))
        return 0;
    int reserved = reserve(table, token);
    atomic_store(&table->reserving, 0);
    return reserved ? wish : 0;
}

/* The lease of a node that this thread has asked for; NULL if it has not. */
static struct qda_leased *asked(const char *token)
{
    struct table *table = find_table();
    for (int i = 0; table && i < LEASES; i++)
        if (atomic_load(&table->leases[i].state) == QDA_LEASE_ASKED
            && table->leases[i].asker == this_thread() && !memcmp(table->leases[i].token, token, sizeof table->leases[i].token))
            return &table->leases[i];
    return NULL;
}

void qda_wish_over(const char *token, uint32_t wish)
{
    struct qda_leased *lease = wish == QDA_WISH_LEASE ? asked(token) : qda_lease_enter(token);
    if (!lease)
        return;
    if (wish == QDA_WISH_LEASE) {
        atomic_store(&lease->state, QDA_LEASE_NONE);
    } else {
        atomic_store(&lease->wishing, 0);
        qda_lease_leave(lease);
    }
}

static void begin_lease(const char *token, const int *descriptors)
{
    struct qda_leased *lease = asked(token);
    struct qda_lease *page = shared(descriptors[0], QDA_LEASE_SIZE);
    unsigned char *pool = shared(descriptors[1], QDA_POOL);
    if (!lease || !page || !pool) {
        if (page)
            munmap(page, QDA_LEASE_SIZE);
        if (pool)
            munmap(pool, QDA_POOL);
        return;
    }
    lease->page = page;
    lease->session = (struct qda_session){
        .pool = pool,
        .device = page->device,
        .client_id = page->client_id,
        .tag = page->tag,
        .take = take_object,
    };
    lease->wishing = 0;
    atomic_store(&lease->state, QDA_LEASE_THERE);
}

static void fill(struct qda_lent_lane *lane, struct qda_leased *lease, uint32_t number)
{
    struct qda_lane *words = qda_lane_of(lease->session.pool, number);
    lane->number = number;
    lane->call->lane = number;
    lane->word = (_Atomic uint32_t *)(void *)((char *)lease->page + QDA_LEASE_WORDS) + number;
    lane->waiter = (struct qda_waiter){
        .mine = &words->driver,
        .other = &words->dsp,
        .dead = (_Atomic uint32_t *)&lease->page->dead,
        .sleep = lane->sleep->number,
        .wake = lane->wake->number,
        .patience = lease->page->patience,
    };
    atomic_store(&lane->there, 1);
}

static void add_lane(const char *token, uint32_t number, const int *descriptors)
{
    struct qda_leased *lease = qda_lease_enter(token);
    struct qda_kept *sleep = qda_keep(descriptors[0]), *wake = qda_keep(descriptors[1]);
    struct qda_lent_lane *lane = lease ? lease->lanes : NULL;
    while (lease && lane < lease->lanes + QDA_LENT_LANES && atomic_exchange(&lane->taken, 1))
        lane++;
    if (lane && lane < lease->lanes + QDA_LENT_LANES) {
        lane->call = sleep && wake && number <= QDA_LANES
            ? memory(sizeof *lane->call, MADV_DONTFORK) : NULL;
        if (lane->call) {
            lane->sleep = sleep;
            lane->wake = wake;
            fill(lane, lease, number);
            sleep = wake = NULL;
        } else {
            atomic_store(&lane->taken, 0);
        }
    }
    if (sleep)
        qda_drop(sleep);
    if (wake)
        qda_drop(wake);
    if (lease)
        qda_lease_leave(lease);
}

void qda_lease_receive(const char *token, const struct qda_answer *sent, const int *descriptors)
{
    if (descriptors[0] < 0 || descriptors[1] < 0) { /* there was no number for both */
        if (descriptors[0] >= 0)
            close(descriptors[0]);
    } else if (sent->kind == QDA_KIND_LEASE) {
        begin_lease(token, descriptors);
    } else {
        add_lane(token, sent->flags, descriptors);
    }
}
