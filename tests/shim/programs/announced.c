/* Calls whose structure is announced longer than it is, as Qualcomm's library does (clients.md 5):
 * the DRM core copies as many bytes as the code says, there and back. */
#include "program.h"

enum { PAGE = 4096, CALLS = 100, STRUCTURE = sizeof(struct qda_invoke_args) };

static int node;
static uint32_t calculator;

static unsigned int code_of(size_t length)
{
    return _IOC(_IOC_READ | _IOC_WRITE, 'd', _IOC_NR(DRM_IOCTL_QDA_INVOKE), length);
}

/* Ask for a sum with a structure at ROOM, announced with LENGTH bytes. */
static int call_at(unsigned char *room, size_t length)
{
    uint32_t count = sizeof numbers / sizeof *numbers;
    int64_t total = -1;
    ELEMENT elements[] = { inline_part(&count, sizeof count),
                           inline_part(numbers, sizeof numbers),
                           inline_part(&total, sizeof total) };
    struct qda_invoke_args request = { .handle = calculator, .sc = QDA_SCALARS(SUM, 2, 1),
                                       .args = (uintptr_t)elements };
    memcpy(room, &request, STRUCTURE);
    int result = ioctl(node, code_of(length), room);
    CHECK(result || (total == TOTAL && !memcmp(room, &request, STRUCTURE)));
    return result;
}

static void check_calls(size_t length, int count)
{
    static unsigned char room[PAGE];
    memset(room, 0xa5, sizeof room);
    while (count--)
        CHECK(call_at(room, length) == 0);
    for (size_t i = STRUCTURE; i < sizeof room; i++)
        CHECK(room[i] == 0xa5);
}

int main(int count, char **arguments)
{
    char line[16];
    node = open(NODE, O_RDWR);
    create_session(node);
    calculator = open_calculator(node);
    check_calls(24, 2);
    if (count > 1) { /* the server sleeps between the lines */
        CHECK(!strcmp(arguments[1], "without_server") && puts("ready") >= 0);
        CHECK(fflush(stdout) == 0 && fgets(line, sizeof line, stdin));
        check_calls(24, CALLS);
        CHECK(puts("done") >= 0 && fflush(stdout) == 0 && fgets(line, sizeof line, stdin));
    }
    static const size_t lengths[] = { STRUCTURE, 17, 24, 64, 65, 255, PAGE };
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        check_calls(lengths[i], 2);

    /* What is announced ends before it: its reading fails, though the structure could be read. */
    unsigned char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED && mprotect(pages + PAGE, PAGE, PROT_NONE) == 0);
    unsigned char *last = pages + PAGE - STRUCTURE;
    CHECK(call_at(last, STRUCTURE) == 0);
    CHECK(call_at(last, 24) == -1 && errno == EFAULT);
    CHECK(mprotect(pages + PAGE, PAGE, PROT_READ) == 0); /* or its writing */
    CHECK(call_at(last, 24) == -1 && errno == EFAULT);
    check_calls(24, 2);
    return 0;
}
