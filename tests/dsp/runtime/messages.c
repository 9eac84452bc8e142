/* Messages of all levels; LOW and MEDIUM are not compiled in, as long as nobody says so. */
#define FARF_HIGH 1
#define FARF_MINE 1
#define FARF_MINE_LEVEL HAP_LEVEL_FATAL

#include "AEEStdErr.h"
#include "HAP_farf.h"
#include "qurt.h"
#include "skeletons.h"

int messages_open(const char *uri, remote_handle64 *handle)
{
    (void)uri;
    *handle = 1;
    return AEE_SUCCESS;
}

int messages_close(remote_handle64 handle)
{
    (void)handle;
    return AEE_SUCCESS;
}

int messages_say(remote_handle64 handle)
{
    int number = 1;
    (void)handle;
    FARF(LOW, "low %d", number++);
    FARF(MEDIUM, "medium %d", number++);
    FARF(HIGH, "high %d", number++);
    FARF(ERROR, "error %d", number++);
    FARF(MINE, "mine %d", number++);
    FARF(ALWAYS, "always");
    FARF(RUNTIME_LOW, "runtime low");
    FARF(RUNTIME_HIGH, "runtime high");
    qurt_printf("%s of QuRT", "printf");
    return AEE_SUCCESS;
}

int messages_choose(remote_handle64 handle, uint32 mask)
{
    const char *files[] = {"messages.c"};
    (void)handle;
    return HAP_setFARFRuntimeLoggingParams(mask, files, 1);
}
