/* A DSP that dies under a call: the kernel takes the node away, makes another, and a new open leads to
 * a DSP. */
#include "program.h"
#include <sys/stat.h>

/* The last context bank of profile "generic": with it the driver is ready. */
#define LAST_BANK "/sys/bus/platform/drivers/qcom,fastrpc-cb/cdsp-edge:fastrpc:compute-cb@12"

enum { KILLS_THE_DSP = 2, ANSWERS = 3, WAIT = 5000, TRIES = 4000 }; /* microseconds, how often */

static ino_t inode_of_node(void)
{
    struct stat found;
    return stat(NODE, &found) ? 0 : found.st_ino;
}

/* Waits for another node in the place of one, and its context banks. */
static void wait_for_another(ino_t before)
{
    for (int i = 0; i < TRIES; i++) {
        ino_t now = inode_of_node();
        if (now && now != before && access(LAST_BANK, F_OK) == 0)
            return;
        usleep(WAIT);
    }
    CHECK(!"there is another node");
}

int main(void)
{
    for (int turn = 0; turn < 3; turn++) {
        ino_t before = inode_of_node();
        int node = open(NODE, O_RDWR);
        CHECK(node >= 0);
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
        CHECK(close(node) == 0);
        if (turn < 2)
            wait_for_another(before);
    }
    return 0;
}
