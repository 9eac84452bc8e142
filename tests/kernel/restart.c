/* A DSP that dies under a call: the kernel takes the node away, makes another, and a new open leads to
 * a DSP. */
#include "program.h"
#include <sys/stat.h>

enum { KILLS_THE_DSP = 2, ANSWERS = 3, WAIT = 5000, TRIES = 4000 }; /* microseconds, how often */

static ino_t inode_of_node(void)
{
    struct stat found;
    return stat(NODE, &found) ? 0 : found.st_ino;
}

/* Waits for another node in the place of one. */
static void wait_for_another(ino_t before)
{
    for (int i = 0; i < TRIES; i++) {
        ino_t now = inode_of_node();
        if (now && now != before)
            return;
        usleep(WAIT);
    }
    CHECK(!"there is another node");
}

/* A session with a DSP that has all its context banks. */
static int open_session(void)
{
    for (int i = 0; i < TRIES; i++) {
        int node = open(NODE, O_RDWR);
        struct fastrpc_init_create request = { .filefd = -1, .attrs = 8 };
        CHECK(node >= 0 || errno == EBUSY);
        if (node >= 0) {
            CHECK(ioctl(node, FASTRPC_IOCTL_INIT_CREATE, &request) == 0);
            return node;
        }
        usleep(WAIT);
    }
    return -1;
}

int main(void)
{
    for (int turn = 0; turn < 3; turn++) {
        ino_t before = inode_of_node();
        int node = open_session();
        CHECK(node >= 0);
        uint32_t module = open_module(
            node, "file:///libdeath_skel.so?death_skel_handle_invoke&_modver=1.0&_dom=cdsp");
        CHECK(ask(node, module, ANSWERS) == 42);
        int result = call(node, module, QDA_SCALARS(KILLS_THE_DSP, 0, 0), NULL);
        CHECK(result != 0);
        printf("call: %s\n", strerror(errno));
        result = call(node, module, QDA_SCALARS(KILLS_THE_DSP, 0, 0), NULL);
        CHECK(result != 0);
        printf("later: %s\n", strerror(errno));
        CHECK(close(node) == 0);
        if (turn < 2)
            wait_for_another(before);
    }
    return 0;
}
