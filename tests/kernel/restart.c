/* A DSP that dies under a call: the node goes, comes back, and a new open leads to a DSP. */
#include "program.h"

enum { KILLS_THE_DSP = 2, ANSWERS = 3, WAIT = 5000, TRIES = 4000 }; /* microseconds, and how often */

/* A node whose DSP answers: one that was opened before the driver had taken it away does not. */
static int open_again(void)
{
    for (int i = 0; i < TRIES; i++) {
        int node = open(NODE, O_RDWR);
        struct fastrpc_init_create request = { .filefd = -1, .attrs = 8 };
        if (node >= 0 && ioctl(node, FASTRPC_IOCTL_INIT_CREATE, &request) == 0)
            return node;
        if (node >= 0)
            close(node);
        usleep(WAIT);
    }
    return -1;
}

int main(void)
{
    for (int turn = 0; turn < 3; turn++) {
        int node = turn ? open_again() : open(NODE, O_RDWR);
        CHECK(node >= 0);
        if (!turn)
            create_session(node);
        uint32_t module = open_module(
            node, "file:///libdeath_skel.so?death_skel_handle_invoke&_modver=1.0&_dom=cdsp");
        CHECK(ask(node, module, ANSWERS) == 42);
        int result = call(node, module, QDA_SCALARS(KILLS_THE_DSP, 0, 0), NULL);
        CHECK(result != 0);
        printf("call: %s\n", strerror(errno));
        result = call(node, module, QDA_SCALARS(KILLS_THE_DSP, 0, 0), NULL);
        CHECK(result != 0);
        printf("later: %s\n", strerror(errno));
        close(node);
    }
    return 0;
}
