/* Times packets of a queue, and echoes through two pipes, both of 64 bytes: queue PACKETS.  Prints a
 * case and microseconds on each line.  queue PACKETS delays: sends so many there and back, with
 * pauses by chance on both sides, and prints how many came; if none comes for a minute somebody was
 * not woken, and it fails.  The skeleton is queue_skel.c, beside it; the functions are of the client
 * library. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dspqueue.h"
#include "measured.h"
#include "remote.h"

enum { SIZE = 64, IN_TURN = 50, RING = 65536, SMALL_RING = 1024, PATIENCE = 60000000 };
enum { SWALLOWED, ANSWERED, DELAYED };

static dspqueue_t queue;
static int to_echo, from_echo;

static void put(unsigned char how, uint32_t number)
{
    unsigned char message[SIZE] = { how };
    memcpy(message + 4, &number, sizeof number);
    must(dspqueue_write(queue, 0, 0, NULL, SIZE, message, PATIENCE) == 0, "write");
}

static uint32_t get(void)
{
    unsigned char message[SIZE];
    uint32_t flags, buffers, length, number;
    must(dspqueue_read(queue, &flags, 0, &buffers, NULL, SIZE, &length, message, PATIENCE) == 0,
         "read");
    memcpy(&number, message + 4, sizeof number);
    return number;
}

static void ping_pong(void)
{
    put(ANSWERED, 0);
    get();
}

static void pipe_echo(void)
{
    char bytes[SIZE] = { 0 };
    must(write(to_echo, bytes, SIZE) == SIZE && read(from_echo, bytes, SIZE) == SIZE, "echo");
}

static void begin_echo(void)
{
    int there[2], back[2];
    char bytes[SIZE];
    must(!pipe(there) && !pipe(back), "pipe");
    if (!fork()) {
        close(there[1]);
        while (read(there[0], bytes, SIZE) == SIZE && write(back[1], bytes, SIZE) == SIZE)
            ;
        _exit(0);
    }
    to_echo = there[1];
    from_echo = back[0];
}

static void measure(const char *name, void (*once)(void))
{
    for (int i = -10; i < IN_TURN; i++) { /* the first ones warm up */
        double start = now();
        once();
        if (i >= 0)
            printf("%s %.3f\n", name, now() - start);
    }
}

static void measure_all(int packets)
{
    begin_echo();
    for (int i = 0; i < packets; i += IN_TURN) {
        measure("ping-pong", ping_pong);
        measure("pipe", pipe_echo);
    }
    for (int i = 0; i < 5; i++) { /* the writer is faster than the reader, so the ring is full */
        double start = now();
        for (int sent = 1; sent < packets; sent++)
            put(SWALLOWED, 0);
        ping_pong();
        printf("full %.4f\n", (now() - start) / packets);
    }
}

static void pause_by_chance(unsigned int *seed)
{
    if (rand_r(seed) % 64 == 0)
        usleep((useconds_t)rand_r(seed) % 200);
}

static void *write_all(void *packets)
{
    unsigned int seed = 2;
    for (uint32_t i = 0; i < *(uint32_t *)packets; i++) {
        pause_by_chance(&seed);
        put(DELAYED, i);
    }
    return NULL;
}

static void delay(uint32_t packets)
{
    unsigned int seed = 3;
    uint32_t i;
    pthread_t writer;
    must(!pthread_create(&writer, NULL, write_all, &packets), "thread");
    for (i = 0; i < packets; i++) {
        pause_by_chance(&seed);
        must(get() == i, "the packets are in another order");
    }
    pthread_join(writer, NULL);
    printf("came %u\n", i);
}

int main(int count, char **words)
{
    int packets = count > 1 ? atoi(words[1]) : 1000, delays = count > 2;
    uint32_t ring = delays ? SMALL_RING : RING;
    remote_handle64 module;
    uint64_t number;
    remote_arg argument = { .buf = { &number, sizeof number } };

    must(!remote_handle64_open("file:///libqueue_skel.so?queue_skel_handle_invoke&_modver=1.0"
                               "&_dom=cdsp", &module), "open the skeleton");
    must(!dspqueue_create(CDSP_DOMAIN_ID, 0, ring, ring, NULL, NULL, NULL, &queue), "create");
    must(!dspqueue_export(queue, &number), "export");
    must(!remote_handle64_invoke(module, REMOTE_SCALARS_MAKE(2, 1, 0), &argument), "start");
    if (delays)
        delay((uint32_t)packets);
    else
        measure_all(packets);
    must(!remote_handle64_invoke(module, REMOTE_SCALARS_MAKE(3, 0, 0), NULL), "stop");
    must(!dspqueue_close(queue), "close");
    return 0;
}
