/* The core under sanitizers, with no Python around it:
 *
 *     program calls SEED COUNT     random calls, good and bad, from elements to a method's arguments
 *     program lanes SEED COUNT     rings between two threads, with delays and numbers that wrap
 *     program moments SEED COUNT   short waits, for answers that come late and for some that are there
 *     program hostile SEED COUNT   the same while a third thread writes nonsense into the lane
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dsp.h"
#include "host.h"

#define CHECK(what)                                                       \
    do {                                                                  \
        if (!(what)) {                                                    \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);    \
            exit(1);                                                      \
        }                                                                 \
    } while (0)

enum { ROOM = 1 << 20, CLIENT = 7 };
static const uint64_t DEVICE = (uint64_t)3 << 32 | 0x10000000, OBJECT = (uint64_t)3 << 32 | 0x20000000,
                      LONGER = (uint64_t)3 << 32 | 0x30000000; /* message memory beside the slots */

static uint64_t state;

static uint32_t any(uint32_t below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % below;
}

/* A client whose memory is ROOM bytes from address ROOM on; its object is mapped at the middle. */
static unsigned char client_memory[ROOM];

static long move(const struct qda_piece *pieces, uint32_t count, int store)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct qda_piece *piece = &pieces[i];
        if (piece->there < ROOM || piece->there > 2 * ROOM || piece->length > 2 * ROOM - piece->there)
            return -EFAULT;
        unsigned char *there = client_memory + (piece->there - ROOM);
        if (store)
            memcpy(there, piece->here, (size_t)piece->length);
        else
            memcpy(piece->here, there, (size_t)piece->length);
    }
    return 0;
}

static long fetch(struct qda_port *port, const struct qda_piece *pieces, uint32_t count)
{
    (void)port;
    return move(pieces, count, 0);
}

static long store(struct qda_port *port, const struct qda_piece *pieces, uint32_t count)
{
    (void)port;
    return move(pieces, count, 1);
}

static long locate(struct qda_port *port, uint64_t address, struct qda_area *found)
{
    (void)port;
    if (address < ROOM + ROOM / 2 || address >= 2 * ROOM)
        return -ENOENT;
    *found = (struct qda_area){ ROOM + ROOM / 2, 2 * ROOM, 4096, 42, 1, 2 };
    return 0;
}

static uint64_t pick_address(void)
{
    switch (any(8)) {
    case 0:
        return (uint64_t)any(1u << 31) << 33 | any(1u << 31);
    case 1:
        return 2 * ROOM - any(200);
    default:
        return ROOM + any(any(2) ? 400 : ROOM);
    }
}

static struct qda_element pick_element(int handle)
{
    static const int32_t names[] = { -1, -1, -1, 0, 3, 3, 4, 77, -2 };
    struct qda_element element = { pick_address(), any(200), 0, 0 };
    element.fd = any(4) ? (any(3) ? -1 : 3) : names[any(9)];
    if (element.fd == 3 && !handle)
        element.address = ROOM + ROOM / 2 + any(ROOM / 2);
    if (handle && any(2))
        element.address = any(5000);
    if (!any(30))
        element.length = (uint64_t)any(1u << 31) << any(33);
    if (!any(10))
        element.length = 0;
    return element;
}

/* Every byte of an argument that the DSP gets must be the one that the client has there. */
static void compare(const struct qda_call *call, const struct qda_served *served,
                    const unsigned char *object)
{
    for (uint32_t i = 0; i < served->shape.buffers; i++) {
        const struct qda_element *element = &call->elements[i];
        const struct qda_argument *argument = &served->arguments[i];
        CHECK(argument->length == element->length);
        if (element->fd > 0 && element->length)
            CHECK(argument->bytes
                  == object + 4096 + (element->address - (ROOM + ROOM / 2)));
        else if (i < served->shape.inputs && element->length)
            CHECK(!memcmp(argument->bytes, client_memory + (element->address - ROOM),
                          (size_t)element->length));
    }
}

enum { OWN = 3 };

static struct qda_served served;
static uint32_t served_in_c;

/* A method in C gets what was found, and no address of an empty buffer. */
static int32_t method(uint64_t own, uint32_t scalars, const union qda_remote_argument *remote)
{
    CHECK(own == OWN && scalars == served.message.scalars);
    for (uint32_t i = 0; i < served.shape.arguments; i++) {
        const struct qda_argument *argument = &served.arguments[i];
        if (i >= served.shape.buffers) {
            CHECK(remote[i].handle == argument->raw);
            continue;
        }
        CHECK(remote[i].buffer.length == argument->length);
        CHECK(remote[i].buffer.bytes == (argument->length ? argument->bytes : NULL));
    }
    served_in_c++;
    return 5;
}

static void run_calls(uint32_t count)
{
    static struct qda_call call;
    unsigned char *pool = calloc(1, QDA_POOL), *bytes = calloc(1, ROOM), *longer = calloc(1, ROOM);
    struct qda_object object = { OBJECT, ROOM, 42, 1, 2, 0, 1 };
    struct qda_object *objects[] = { NULL, NULL, NULL, &object };
    struct qda_session session = { pool, DEVICE, CLIENT, 1, objects, 4, NULL, 0 };
    struct qda_region regions[] = {
        { DEVICE, QDA_POOL, pool, 0, 0 },
        { OBJECT, ROOM, bytes, 0, 0 },
        { LONGER, ROOM, longer, 0, 0 },
    };
    struct qda_region *known[] = { &regions[0], &regions[1], &regions[2] };
    struct qda_module module = { 9, CLIENT, (void (*)(void))method, OWN, 1, 0, 0, 0 };
    struct qda_module *modules[] = { &module };
    struct qda_space space = { known, modules, 3, 1 };
    struct qda_port port = { fetch, store, locate, 2 * ROOM };
    uint32_t done = 0, long_ones = 0;

    for (uint32_t i = 0; i < ROOM; i++)
        client_memory[i] = (unsigned char)any(256);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t most = any(20) ? 4 : 256;
        uint32_t inputs = any(most), outputs = any(most), handles = any(3) ? 0 : any(16);
        uint32_t scalars = 2u << 24 | inputs << 16 | outputs << 8 | handles << 4;
        struct qda_element elements[QDA_ARGUMENTS];
        uint32_t arguments = inputs + outputs + handles;
        for (uint32_t j = 0; j < arguments; j++)
            elements[j] = pick_element(j >= inputs + outputs);
        if (inputs && !any(4)) /* a long one, away from the object */
            elements[0] = (struct qda_element){ ROOM + any(ROOM / 4), any(ROOM / 4), -1, 0 };
        memcpy(client_memory, elements, sizeof *elements * arguments);
        call.lane = 1 + any(QDA_LANES);
        call.longer = (struct qda_room){ longer, LONGER, any(3) ? any(4) * (QDA_SLOT << 1) : 0 };
        int64_t begun = qda_driver_begin(&session, &call, &port, 5, any(40) ? 9 : 1, scalars, ROOM);
        if (begun) {
            CHECK(begun == QDA_DECLINED && !object.users);
            continue;
        }
        struct qda_lane *lane = qda_lane_of(pool, call.lane);
        CHECK(!qda_dsp_take(&space, &served, lane, CLIENT, 0));
        compare(&call, &served, bytes);
        unsigned char *slot = pool + (size_t)QDA_SLOT * call.lane, *message = slot;
        if (served.message.address == LONGER) {
            CHECK(served.message.size <= call.longer.size);
            message = longer;
            long_ones++;
        } else {
            CHECK(served.message.address == DEVICE + (uint64_t)(slot - pool));
            CHECK(served.message.size <= QDA_SLOT);
        }
        CHECK(served.module == &module && module.users == 1);
        CHECK(qda_dsp_run(&served) == 5);
        for (uint32_t j = served.shape.inputs; j < served.shape.buffers; j++)
            if (served.arguments[j].length)
                memset(served.arguments[j].bytes, (int)any(256), served.arguments[j].length);
        qda_dsp_answer(&served, lane, (int32_t)i);
        qda_dsp_unpin(&served);
        int32_t result;
        CHECK(qda_driver_answered(&session, &call, &result) && result == (int32_t)i);
        CHECK(!qda_driver_finish(&call, &port));
        qda_driver_unpin(&call);
        CHECK(!object.users && !module.users);
        for (uint32_t j = 0; j < space.count; j++)
            CHECK(!regions[j].users);
        done++;

        /* And a message that is nonsense, which must be refused or lie within what is known. */
        for (uint32_t j = 0; j < 8; j++)
            message[any(qda_metadata(arguments))] = (unsigned char)any(256);
        if (!any(3))
            lane->driver.record[any(QDA_RECORD)] = (unsigned char)any(256);
        if (!qda_dsp_take(&space, &served, lane, CLIENT, 0))
            for (uint32_t j = 0; j < served.shape.buffers; j++)
                if (served.arguments[j].length)
                    served.arguments[j].bytes[served.arguments[j].length - 1]++;
        CHECK(!served.module
              || (served.message.handle == 9 && served.message.client_id == CLIENT));
        qda_dsp_unpin(&served);
        CHECK(!module.users);
        for (uint32_t j = 0; j < space.count; j++)
            CHECK(!regions[j].users);
    }
    printf("%u of %u calls went through, %u of them long\n", done, count, long_ones);
    CHECK(long_ones && served_in_c == done);
    free(pool);
    free(bytes);
    free(longer);
}

/* Lanes. */

struct ends {
    struct qda_lane *lane;
    struct qda_waiter driver, dsp;
    uint32_t first, count;
    int hostile;
};

static _Atomic uint32_t dead, done;

/* Wait a random while, and look or sleep at once in the next wait, so that one side rings while the
 * other is about to sleep. */
static void delay(uint32_t *seed, struct qda_waiter *waiter)
{
    *seed = *seed * 1103515245 + 12345;
    uint32_t kind = *seed >> 16 & 1023;
    waiter->patience = *seed >> 30 ? 20 : 0;
    if (kind < 16)
        sched_yield();
    else if (kind < 512)
        for (volatile uint32_t i = 0; i < (*seed >> 8 & 255); i++)
            ;
    else if (kind == 1023)
        usleep(30);
}

static void *serve(void *given)
{
    struct ends *ends = given;
    uint32_t seed = 1;
    for (uint32_t i = 0; i < ends->count; i++) {
        uint32_t number = ends->first + i;
        struct qda_message message;
        enum qda_woken woken = qda_await(&ends->dsp, number, NULL, -1, ends->hostile ? 1 : -1);
        if (woken == QDA_DEAD)
            break;
        if (ends->hostile && woken != QDA_RUNG)
            ends->dsp.mine->sleeps = 0;
        memcpy(&message, ends->lane->driver.record, sizeof message);
        if (!ends->hostile)
            CHECK(message.handle == number);
        delay(&seed, &ends->dsp);
        struct qda_response response = { message.context, (int32_t)message.handle, 0 };
        memcpy(ends->lane->dsp.record, &response, sizeof response);
        qda_ring(&ends->dsp, number);
    }
    return NULL;
}

static void *disturb(void *given)
{
    struct ends *ends = given;
    uint32_t seed = 3;
    while (!atomic_load(&done)) {
        volatile unsigned char *bytes = (volatile unsigned char *)ends->lane;
        seed = seed * 1103515245 + 12345;
        bytes[seed >> 8 & 127] = (unsigned char)(seed >> 20);
        if (!(seed >> 12 & 15))
            usleep(5);
    }
    return NULL;
}

static void run_lanes(uint32_t count, int hostile)
{
    int asked[2], told[2];
    unsigned char *pool = calloc(1, QDA_POOL);
    struct qda_lane *lane = qda_lane_of(pool, 1);
    CHECK(!pipe(asked) && !pipe(told));
    struct ends ends = {
        .lane = lane,
        .driver = { .mine = &lane->driver, .other = &lane->dsp, .dead = &dead,
                    .sleep = told[0], .wake = asked[1], .patience = 20 },
        .dsp = { .mine = &lane->dsp, .other = &lane->driver, .dead = &dead,
                 .sleep = asked[0], .wake = told[1], .patience = 20 },
        .first = (uint32_t)0 - count / 2, /* so that numbers wrap in the middle */
        .count = count,
        .hostile = hostile,
    };
    pthread_t server, enemy;
    uint32_t seed = 2, late = 0;
    lane->driver.bell = lane->dsp.bell = ends.first - 1;
    if (!hostile)
        alarm(60 + count / 10000); /* a wake-up that is lost leaves both asleep for ever */
    CHECK(!pthread_create(&server, NULL, serve, &ends));
    if (hostile)
        CHECK(!pthread_create(&enemy, NULL, disturb, &ends));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = ends.first + i;
        uint64_t context = (uint64_t)(number & 0xff0) | 1;
        struct qda_message message = { .context = context, .handle = number };
        memcpy(lane->driver.record, &message, sizeof message);
        qda_ring(&ends.driver, number);
        enum qda_woken woken =
            number & 1 ? QDA_LATE : qda_await_a_moment(&ends.driver, number, &context);
        if (woken == QDA_LATE)
            woken = qda_await(&ends.driver, number, &context, -1, hostile ? 2 : -1);
        if (!hostile) {
            struct qda_response response;
            CHECK(woken == QDA_RUNG);
            memcpy(&response, lane->dsp.record, sizeof response);
            CHECK(response.context == context && (uint32_t)response.result == number);
        } else {
            late += woken != QDA_RUNG;
        }
        delay(&seed, &ends.driver);
    }
    atomic_store(&done, 1);
    atomic_store(&dead, 1);
    CHECK(write(asked[1], "", 1) == 1);
    pthread_join(server, NULL);
    if (hostile)
        pthread_join(enemy, NULL);
    printf("%u rings, %u late\n", count, late);
    free(pool);
}

/* Answers that come late end the short waits; each that comes in time begins them anew. */
static void run_moments(uint32_t count)
{
    int told[2];
    CHECK(!pipe(told));
    static struct qda_lane lane;
    struct qda_waiter driver = {
        .mine = &lane.driver, .other = &lane.dsp, .dead = &dead, .sleep = told[0], .patience = 20
    };
    uint32_t tried = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t before = driver.moments.next;
        CHECK(qda_await_a_moment(&driver, 1, NULL) == QDA_LATE);
        tried += driver.moments.next != before;
        CHECK(!lane.driver.sleeps); /* nobody rings for who does not sleep */
    }
    CHECK(tried >= 4 && tried < count / 64); /* each has taken long */
    lane.dsp.bell = 1;
    uint32_t calls = 1;
    while (qda_await_a_moment(&driver, 1, NULL) != QDA_RUNG)
        CHECK(calls++ < 2 * count);
    for (uint32_t i = 0; i < count; i++)
        CHECK(qda_await_a_moment(&driver, 1, NULL) == QDA_RUNG);
    driver.patience = 0; /* a side in the same process needs the lock to answer */
    CHECK(qda_await_a_moment(&driver, 1, NULL) == QDA_LATE);
}

static void *look_on(void *given)
{
    CHECK(qda_await(given, 1, NULL, -1, -1) == QDA_RUNG);
    return NULL;
}

/* A child that is forked while as many threads look as may may look itself. */
static void run_forks(void)
{
    enum { MOST = 64 };
    static struct qda_lane lane = { .dsp.cpu = 100000 };
    static struct qda_waiter lookers[MOST];
    struct qda_waiter waiter = {
        .mine = &lane.driver, .other = &lane.dsp, .dead = &dead, .patience = 20
    };
    pthread_t threads[MOST];
    int told[2], status, count = (int)sysconf(_SC_NPROCESSORS_ONLN) - 1;
    CHECK(!pipe(told));
    waiter.sleep = told[0];
    alarm(60);
    for (int i = 0; i < count && i < MOST; i++) {
        struct timespec used = { 0 };
        clockid_t clock;
        lookers[i] = waiter;
        lookers[i].poll = 30000000;
        CHECK(!pthread_create(&threads[i], NULL, look_on, &lookers[i]));
        CHECK(!pthread_getcpuclockid(threads[i], &clock));
        while (used.tv_nsec < 3000000) { /* it would not take that to go to sleep */
            sched_yield();
            CHECK(!clock_gettime(clock, &used));
        }
    }
    pid_t child = fork();
    CHECK(child >= 0);
    if (!child) {
        CHECK(qda_await(&waiter, 2, NULL, -1, 1) == QDA_LATE);
        _exit(count > 0 && waiter.looks.misses != 1);
    }
    CHECK(waitpid(child, &status, 0) == child && !status);
    atomic_store(&lane.dsp.bell, 1);
    for (int i = 0; i < count && i < MOST; i++) {
        CHECK(write(told[1], "", 1) == 1); /* should it have gone to sleep */
        CHECK(!pthread_join(threads[i], NULL));
    }
}

int main(int count, char **words)
{
    CHECK(count == 4);
    state = strtoull(words[2], NULL, 0);
    uint32_t times = (uint32_t)strtoul(words[3], NULL, 0);
    if (!strcmp(words[1], "calls"))
        run_calls(times);
    else if (!strcmp(words[1], "moments"))
        run_moments(times);
    else if (!strcmp(words[1], "forks"))
        run_forks();
    else
        run_lanes(times, !strcmp(words[1], "hostile"));
    return 0;
}
