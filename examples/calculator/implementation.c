/* The DSP's side of calculator.idl: compiled for the host, it runs on the virtual DSP. */
#include "HAP_farf.h"
#include "calculator.h"

int calculator_open(const char *uri, remote_handle64 *handle)
{
    FARF(ALWAYS, "opened as %s", uri);
    *handle = 1;
    return AEE_SUCCESS;
}

int calculator_close(remote_handle64 handle)
{
    return handle == 1 ? AEE_SUCCESS : AEE_EBADPARM;
}

int calculator_sum(remote_handle64 handle, const int *numbers, int numbersLen, int64 *total)
{
    (void)handle;
    *total = 0;
    for (int i = 0; i < numbersLen; i++)
        *total += numbers[i];
    return AEE_SUCCESS;
}

int calculator_max(remote_handle64 handle, const int *numbers, int numbersLen, int *largest)
{
    (void)handle;
    if (!numbersLen)
        return AEE_EBADPARM;
    *largest = numbers[0];
    for (int i = 1; i < numbersLen; i++)
        if (numbers[i] > *largest)
            *largest = numbers[i];
    return AEE_SUCCESS;
}
