/* A session from beginning to end: allocate, map, invoke with inline and buffer arguments, handle
 * errors, close. */
#include "program.h"

int main(void)
{
    enum { SIZE = 20000 }; /* no multiple of a page (clients.md 9) */
    int name;
    int node = open(NODE, O_RDWR | O_CLOEXEC);
    CHECK(node > 0 && fcntl(node, F_GETFD) == FD_CLOEXEC);
    create_session(node);
    uint32_t calculator = open_calculator(node);

    ELEMENT plain = inline_part(numbers, sizeof numbers);
    CHECK(sum(node, calculator, plain) == TOTAL);
    CHECK(max(node, calculator, plain) == LARGEST);

    int32_t *memory = allocate(node, SIZE, &name);
    for (int i = 0; i < SIZE / 4; i++)
        memory[i] = i;
    ELEMENT shared = inline_part(memory, SIZE / 4 * 4);
    shared.OBJECT = name;
    CHECK(sum(node, calculator, shared) == (int64_t)(SIZE / 4) * (SIZE / 4 - 1) / 2);
    CHECK(max(node, calculator, shared) == SIZE / 4 - 1);

    /* A part of the buffer; and what the DSP sees is memory, not a copy. */
    shared.ptr += 4;
    shared.length = 8;
    CHECK(sum(node, calculator, shared) == 1 + 2);
    memory[1] = 100;
    CHECK(sum(node, calculator, shared) == 100 + 2);

    /* Statuses of the DSP are results, errors of the driver are errno. */
    errno = 0;
    CHECK((uint32_t)call(node, 0x7ffffff0, 0, NULL) == 0x8000042c && errno == 0);
    CHECK((uint32_t)call(node, calculator, QDA_SCALARS(30, 0, 0), NULL) == 0x80000414);
    ELEMENT wrong[] = { inline_part(&name, 4), plain, inline_part((void *)8, 8) };
    CHECK(call(node, calculator, QDA_SCALARS(SUM, 2, 1), wrong) == -1 && errno == EFAULT);
    CHECK(call(node, calculator, QDA_SCALARS(SUM, 2, 1), (void *)8) == -1 && errno == EFAULT);
    CHECK(call(node, 1, 0, NULL) == -1 && errno == EPERM);
    shared.OBJECT = 999;
    CHECK(call(node, calculator, QDA_SCALARS(SUM, 1, 0), &shared) == -1 && errno == NAMES_NOTHING);
    CHECK(sum(node, calculator, plain) == TOTAL);

    CHECK(munmap(memory, SIZE) == 0);
    give_back(node, name);
    CHECK(close(node) == 0);
    CHECK(call(node, calculator, 0, NULL) == -1 && errno == EBADF);
    return 0;
}
