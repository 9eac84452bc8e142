/* The DSP's half of a queue: a packet that begins with 0 is swallowed, with 1 sent back, with 2 also,
 * but sometimes only after a while.  Method 2 opens the queue of a number, 3 closes it. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "AEEStdErr.h"
#include "dspqueue.h"
#include "remote.h"

enum { OPEN = 2, CLOSE };
enum { SWALLOWED, ANSWERED, DELAYED };

static dspqueue_t queue;
static pthread_t thread;

static void *answer(void *nothing)
{
    unsigned char message[64];
    uint32_t flags, buffers, length;
    unsigned int seed = 1;
    while (!dspqueue_read(queue, &flags, 0, &buffers, NULL, sizeof message, &length, message,
                          DSPQUEUE_TIMEOUT_NONE)) {
        if (message[0] == DELAYED && rand_r(&seed) % 64 == 0)
            usleep((useconds_t)rand_r(&seed) % 200);
        if (message[0] != SWALLOWED)
            dspqueue_write(queue, 0, 0, NULL, length, message, DSPQUEUE_TIMEOUT_NONE);
    }
    return nothing;
}

int queue_skel_handle_invoke(remote_handle64 handle, uint32_t scalars, remote_arg *arguments)
{
    uint64_t number;
    int error;
    (void)handle;
    switch (REMOTE_SCALARS_METHOD(scalars)) {
    case OPEN:
        memcpy(&number, arguments[0].buf.pv, sizeof number);
        error = dspqueue_import(number, NULL, NULL, NULL, &queue);
        return error ? error : pthread_create(&thread, NULL, answer, NULL);
    case CLOSE:
        error = dspqueue_close(queue);
        pthread_join(thread, NULL);
        return error;
    default:
        return AEE_SUCCESS;
    }
}
