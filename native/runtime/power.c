/* Votes for power: each client's are kept, and the clocks follow from the highest of all. */
#include "HAP_power.h"

#include <pthread.h>
#include <stdint.h>

#include "record.h"

/* The clocks of a processor that has 1 GHz at most (HAP_perf.h), and a bus of 20 GB/s. */
enum { MAX_MHZ = 1000, IDLE_MHZ = 300, MAX_BUS_MB = 20000 };

static const unsigned int mhz_at[] = {
    [HAP_DCVS_VCORNER_DISABLE] = 0,
    [HAP_DCVS_VCORNER_SVS2] = 300,
    [HAP_DCVS_VCORNER_SVS] = 450,
    [HAP_DCVS_VCORNER_SVS_PLUS] = 550,
    [HAP_DCVS_VCORNER_NOM] = 650,
    [HAP_DCVS_VCORNER_NOM_PLUS] = 750,
    [HAP_DCVS_VCORNER_TURBO] = 850,
    [HAP_DCVS_VCORNER_TURBO_PLUS] = MAX_MHZ,
};

struct client {
    struct client *next;
    void *context;
    HAP_power_app_type_payload class;
    unsigned int mhz; /* at least */
    boolean dcvs_disabled;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct client *clients;

static struct client **place_of(void *context)
{
    struct client **place = &clients;
    while (*place && (*place)->context != context)
        place = &(*place)->next;
    return place;
}

static unsigned int mhz_of(HAP_dcvs_voltage_corner_t corner)
{
    return corner < sizeof mhz_at / sizeof *mhz_at ? mhz_at[corner] : MAX_MHZ;
}

static int are_ordered(const HAP_dcvs_params_t *corners)
{
    return !corners->max_corner || corners->min_corner <= corners->max_corner;
}

/* The vote of corners is their target, or if there is none the least. */
static unsigned int mhz_of_corners(const HAP_dcvs_params_t *corners)
{
    return mhz_of(corners->target_corner ? corners->target_corner : corners->min_corner);
}

/* What a request asks for, in words. */
struct words {
    char text[256];
    size_t length;
};

__attribute__((format(printf, 2, 3))) static void say(struct words *words, const char *format, ...)
{
    va_list arguments;
    size_t room = sizeof words->text - words->length;
    va_start(arguments, format);
    int length = vsnprintf(words->text + words->length, room, format, arguments);
    va_end(arguments);
    words->length += length < (int)room ? (size_t)length : room - 1;
}

static void say_corners(struct words *words, const char *what, const HAP_dcvs_params_t *corners)
{
    say(words, ", %s at corner %u, from %u to %u", what, corners->target_corner,
        corners->min_corner, corners->max_corner);
}

static int set_dcvs_v3(struct client *client, const HAP_power_dcvs_v3_payload *vote)
{
    struct words words = { "", 0 };
    if ((vote->set_core_params && !are_ordered(&vote->core_params))
        || (vote->set_bus_params && !are_ordered(&vote->bus_params)))
        return HAP_POWER_ERR_INVALID_PARAM;
    if (vote->set_dcvs_enable) {
        client->dcvs_disabled = !vote->dcvs_enable;
        say(&words, ", %s, option %#x", vote->dcvs_enable ? "enabled" : "disabled",
            vote->dcvs_option);
    }
    if (vote->set_latency)
        say(&words, ", latency %u us", vote->latency);
    if (vote->set_core_params) {
        client->mhz = mhz_of_corners(&vote->core_params);
        say_corners(&words, "core", &vote->core_params);
    }
    if (vote->set_bus_params)
        say_corners(&words, "bus", &vote->bus_params);
    if (vote->set_sleep_disable)
        say(&words, ", %s", vote->sleep_disable ? "no sleep" : "sleep");
    record("HAP_power.h", "HAP_power_set(%p): DCVS v3%s", client->context, words.text);
    return 0;
}

static int set_dcvs_v2(struct client *client, const HAP_power_dcvs_v2_payload *vote)
{
    if (vote->set_dcvs_params && !are_ordered(&vote->dcvs_params))
        return HAP_POWER_ERR_INVALID_PARAM;
    client->dcvs_disabled = !vote->dcvs_enable;
    if (vote->set_dcvs_params)
        client->mhz = mhz_of_corners(&vote->dcvs_params);
    record("HAP_power.h", "HAP_power_set(%p): DCVS v2 %s, option %#x, corners %u to %u",
           client->context, vote->dcvs_enable ? "enabled" : "disabled", vote->dcvs_option,
           vote->dcvs_params.min_corner, vote->dcvs_params.max_corner);
    return 0;
}

static int set_mips(struct client *client, const HAP_power_mips_bw_payload *vote)
{
    if (vote->busbwUsagePercentage > 100)
        return HAP_POWER_ERR_INVALID_PARAM;
    if (vote->set_mips)
        client->mhz = vote->mipsPerThread < MAX_MHZ ? vote->mipsPerThread : MAX_MHZ;
    record("HAP_power.h", "HAP_power_set(%p): %u MIPS of %u in all, %llu bytes/s", client->context,
           vote->mipsPerThread, vote->mipsTotal, vote->bwBytePerSec);
    return 0;
}

static int set_unit(struct client *client, const char *unit, int power_up)
{
    record("HAP_power.h", "HAP_power_set(%p): %s %s", client->context, unit,
           power_up ? "on" : "off");
    return 0;
}

static int set(struct client *client, const HAP_power_request_t *request)
{
    switch (request->type) {
    case HAP_power_set_apptype:
        client->class = request->apptype;
        record("HAP_power.h", "HAP_power_set(%p): client class %#x", client->context,
               request->apptype);
        return 0;
    case HAP_power_set_mips_bw:
        return set_mips(client, &request->mips_bw);
    case HAP_power_set_DCVS:
        client->dcvs_disabled = !request->dcvs.dcvs_enable;
        return set_unit(client, "DCVS", request->dcvs.dcvs_enable);
    case HAP_power_set_DCVS_v2:
        return set_dcvs_v2(client, &request->dcvs_v2);
    case HAP_power_set_DCVS_v3:
        return set_dcvs_v3(client, &request->dcvs_v3);
    case HAP_power_set_HVX:
        return set_unit(client, "HVX", request->hvx.power_up);
    case HAP_power_set_HMX:
        return set_unit(client, "HMX", request->hmx.power_up);
    case HAP_power_set_HMX_v2:
        return set_unit(client, "HMX v2", request->hmx_v2.power_up);
    case HAP_power_set_linelock:
    case HAP_power_set_linelock_nothrottle:
        return set_unit(client, "lock of cache lines", request->linelock.startAddress != NULL);
    case HAP_power_set_vapss:
    case HAP_power_set_vapss_v2:
    case HAP_power_set_streamer:
    case HAP_power_set_dcvs_v2_update:
        return set_unit(client, "vote of an older kind", 1);
    }
    return HAP_POWER_ERR_UNSUPPORTED_API;
}

int HAP_power_set(void *context, HAP_power_request_t *request)
{
    if (!request)
        return HAP_POWER_ERR_INVALID_PARAM;
    pthread_mutex_lock(&lock);
    struct client **place = place_of(context);
    if (!*place && (*place = calloc(1, sizeof **place)))
        (*place)->context = context;
    int status = *place ? set(*place, request) : HAP_POWER_ERR_UNKNOWN;
    pthread_mutex_unlock(&lock);
    return status;
}

int HAP_power_destroy_client(void *context)
{
    pthread_mutex_lock(&lock);
    struct client **place = place_of(context), *gone = *place;
    if (gone) {
        *place = gone->next;
        free(gone);
        record("HAP_power.h", "HAP_power_destroy(%p)", context);
    }
    pthread_mutex_unlock(&lock);
    return gone ? 0 : AEE_EBADPARM;
}

static unsigned int clock_mhz(void)
{
    unsigned int highest = IDLE_MHZ;
    for (struct client *client = clients; client; client = client->next)
        if (client->mhz > highest)
            highest = client->mhz;
    return highest;
}

static int get(const struct client *client, HAP_power_response_t *response)
{
    switch (response->type) {
    case HAP_power_get_max_mips:
        response->max_mips = MAX_MHZ;
        return 0;
    case HAP_power_get_max_bus_bw:
        response->max_bus_bw = MAX_BUS_MB * 1000000ull;
        return 0;
    case HAP_power_get_client_class:
        response->client_class = client ? client->class : HAP_POWER_UNKNOWN_CLIENT_CLASS;
        return 0;
    case HAP_power_get_clk_Freq:
        response->clkFreqHz = clock_mhz() * 1000000u;
        return 0;
    case HAP_power_get_aggregateAVSMpps:
        response->aggregateAVSMpps = clock_mhz();
        return 0;
    case HAP_power_get_dcvsEnabled:
        response->dcvsEnabled = 1;
        for (const struct client *one = clients; one; one = one->next)
            if (one->dcvs_disabled)
                response->dcvsEnabled = 0;
        return 0;
    default:
        return HAP_POWER_ERR_UNSUPPORTED_API;
    }
}

int HAP_power_get(void *context, HAP_power_response_t *response)
{
    if (!response)
        return HAP_POWER_ERR_INVALID_PARAM;
    pthread_mutex_lock(&lock);
    int status = get(*place_of(context), response);
    pthread_mutex_unlock(&lock);
    return status;
}

/* The older calls, which know no clients: the whole process is one. */

static int request(unsigned int mhz, unsigned long long bus, int latency)
{
    HAP_power_request_t vote = { .type = HAP_power_set_mips_bw };
    vote.mips_bw = (HAP_power_mips_bw_payload){ 1, mhz, mhz, 1, bus, 100, latency >= 0, latency };
    return HAP_power_set(NULL, &vote);
}

int HAP_power_request(int clock, int bus, int latency)
{
    if (clock < 0 || clock > 100 || bus < 0 || bus > 100)
        return HAP_POWER_ERR_INVALID_PARAM;
    return request(MAX_MHZ / 100u * (unsigned int)clock, MAX_BUS_MB * 10000ull * (unsigned int)bus,
                   latency);
}

int HAP_power_request_abs(int clock, int bus, int latency)
{
    if (clock < 0 || bus < 0)
        return HAP_POWER_ERR_INVALID_PARAM;
    return request((unsigned int)clock, (unsigned int)bus * 1000000ull, latency);
}

int HAP_power_get_max_speed(int *clock_max, int *bus_max)
{
    *clock_max = MAX_MHZ;
    *bus_max = MAX_BUS_MB;
    return 0;
}

int HVX_power_request(void)
{
    HAP_power_request_t vote = { .type = HAP_power_set_HVX, .hvx = { 1 } };
    return HAP_power_set(NULL, &vote);
}

int HVX_power_release(void)
{
    HAP_power_request_t vote = { .type = HAP_power_set_HVX, .hvx = { 0 } };
    return HAP_power_set(NULL, &vote);
}
