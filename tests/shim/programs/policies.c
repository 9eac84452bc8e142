/* What systems refuse: says the errno of each request that it is asked for, by name. */
#include "program.h"

#include <linux/capability.h>
#include <sys/syscall.h>

static void give_up_rights(void)
{
    struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct data[2] = { { 0 } };
    CHECK(syscall(SYS_capset, &header, data) == 0);
}

static int opened(const char *path)
{
    int node = open(path, O_RDWR);
    if (node < 0)
        printf("%s: errno %d\n", path, errno);
    return node;
}

static void told(const char *what, int result)
{
    printf("%s: %s %d\n", what, result == -1 ? "errno" : "result", result == -1 ? errno : result);
}

static void check_node(const char *path)
{
    struct fastrpc_init_create process = { .filefd = -1 };
    struct fastrpc_ioctl_init_create_static audio = { .namelen = 8, .memlen = 1 << 20,
                                                      .name = (uintptr_t)"audiopd" };
    struct fastrpc_ioctl_capability question = { .domain = 3, .attribute_id = 6 };
    int node = opened(path);
    if (node < 0)
        return;
    told("attach", ioctl(node, FASTRPC_IOCTL_INIT_ATTACH, 0));
    close(node);
    node = opened(path);
    told("sensors", ioctl(node, FASTRPC_IOCTL_INIT_ATTACH_SNS, 0));
    close(node);
    node = opened(path);
    told("static", ioctl(node, FASTRPC_IOCTL_INIT_CREATE_STATIC, &audio));
    close(node);
    node = opened(path);
    told("capability", ioctl(node, FASTRPC_IOCTL_GET_DSP_INFO, &question));
    told("signed", ioctl(node, FASTRPC_IOCTL_INIT_CREATE, &process));
    close(node);
    node = opened(path);
    process.attrs = 8;
    told("unsigned", ioctl(node, FASTRPC_IOCTL_INIT_CREATE, &process));
    close(node);
}

int main(int count, char **arguments)
{
    CHECK(count == 3);
    if (!strcmp(arguments[1], "without"))
        give_up_rights();
    check_node(arguments[2]);
    return 0;
}
