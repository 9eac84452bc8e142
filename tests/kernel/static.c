/* A static process: its memory is from the remote heap, whose name no context bank has. */
#include "program.h"

int main(void)
{
    static const char name[] = "audiopd";
    for (int turn = 0; turn < 2; turn++) {
        int node = open("/dev/fastrpc-adsp-secure", O_RDWR);
        struct fastrpc_ioctl_init_create_static request = {
            .namelen = sizeof name, .memlen = 1 << 20, .name = (uintptr_t)name
        };
        CHECK(node >= 0);
        CHECK(ioctl(node, FASTRPC_IOCTL_INIT_CREATE_STATIC, &request) == 0);
        uint32_t module = open_module(node, "file:///libcalculator_skel.so"
                                            "?calculator_skel_handle_invoke&_modver=1.0&_dom=adsp");
        CHECK(sum(node, module, inline_part(numbers, sizeof numbers)) == TOTAL);
        CHECK(close(node) == 0);
    }
    return 0;
}
