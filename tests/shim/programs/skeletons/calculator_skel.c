/* The calculator in C, with the entry that generated skeletons have (fastrpc.md 1.6). */
#include "remote.h"
#include <string.h>

enum { OPEN, CLOSE, SUM, MAX, UNKNOWN_METHOD = (int)0x80000414 };

int calculator_skel_handle_invoke(remote_handle64 handle, uint32_t scalars, remote_arg *arguments);

int calculator_skel_handle_invoke(remote_handle64 handle, uint32_t scalars, remote_arg *arguments)
{
    const int32_t *numbers = arguments ? arguments[1].buf.pv : NULL;
    size_t count = numbers ? arguments[1].buf.nLen / sizeof *numbers : 0;
    int64_t total = 0;
    int32_t largest = INT32_MIN;
    (void)handle;
    switch (scalars >> 24 & 31) {
    case OPEN:
    case CLOSE:
        return 0;
    case SUM:
        for (size_t i = 0; i < count; i++)
            total += numbers[i];
        memcpy(arguments[2].buf.pv, &total, sizeof total);
        return 0;
    case MAX:
        for (size_t i = 0; i < count; i++)
            largest = numbers[i] > largest ? numbers[i] : largest;
        memcpy(arguments[2].buf.pv, &largest, sizeof largest);
        return 0;
    }
    return UNKNOWN_METHOD;
}
