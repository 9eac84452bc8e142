/* A skeleton that takes any number of arguments and looks at none. */
#include <stddef.h>
#include <stdint.h>

typedef union {
    struct { void *pv; size_t length; } buffer;
    uint64_t handle;
} remote_arg;

int arguments_skel_handle_invoke(uint64_t handle, uint32_t scalars, remote_arg *arguments)
{
    (void)handle;
    if (scalars >> 24 == 0) /* open: an object that is nothing */
        arguments[2].handle = 1;
    return 0;
}
