/* A program with a thread that the DSP's calls wake: it has one module, of which a method doubles. */
#include "program.h"
#include <pthread.h>

enum { LISTENER = 3, INIT2 = 3, NEXT2 = 4, DOUBLER = 5, ROOM = 4096, ASKS = 2 };

static int node;
static char stream[ROOM]; /* of a request, and then of its reply */

static uint32_t word_at(const char *place)
{
    uint32_t word;
    memcpy(&word, place, sizeof word);
    return word;
}

static size_t aligned(size_t at)
{
    return (at + 7) & ~(size_t)7;
}

/* Makes the reply of a request: all zeros, but for the first word of the first out-buffer. */
static uint32_t reply(uint32_t handle, uint32_t scalars)
{
    uint32_t ins = scalars >> 16 & 255, outs = scalars >> 8 & 255, sizes[8] = { 0 };
    uint32_t word = handle ? 2 * word_at(stream + 8) : scalars >> 24 & 31 ? 0 : DOUBLER;
    size_t at = 0, end = 0;
    CHECK(outs <= 8);
    for (uint32_t i = 0; i < ins; i++) {
        uint32_t length = word_at(stream + at);
        at += 4;
        if (length)
            at = aligned(at) + length;
    }
    for (uint32_t i = 0; i < outs; i++, at += 4)
        sizes[i] = word_at(stream + at);
    memset(stream, 0, sizeof stream);
    for (uint32_t i = 0; i < outs; i++) {
        memcpy(stream + end, &sizes[i], 4);
        end += 4;
        if (!sizes[i])
            continue;
        end = aligned(end);
        if (i == 0)
            memcpy(stream + end, &word, 4);
        end += sizes[i];
    }
    return (uint32_t)end;
}

static void *listen(void *unused)
{
    struct { uint32_t context; int32_t result; uint32_t length, capacity; } bring = { 0, -1, 0, ROOM };
    struct { uint32_t context, handle, scalars; int32_t length; } asked;
    ELEMENT elements[4];
    for (;;) {
        elements[0] = inline_part(&bring, sizeof bring);
        elements[1] = inline_part(stream, bring.length);
        elements[2] = inline_part(&asked, sizeof asked);
        elements[3] = inline_part(stream, sizeof stream);
        if (call(node, LISTENER, QDA_SCALARS(NEXT2, 2, 2), elements))
            return unused; /* the session has ended */
        bring.context = asked.context;
        bring.result = 0;
        bring.length = reply(asked.handle, asked.scalars);
    }
}

int main(void)
{
    pthread_t thread;
    node = open(NODE, O_RDWR);
    create_session(node);
    CHECK(call(node, LISTENER, QDA_SCALARS(INIT2, 0, 0), NULL) == 0);
    CHECK(pthread_create(&thread, NULL, listen, NULL) == 0);
    uint32_t module = open_module(
        node, "file:///libasker_skel.so?asker_skel_handle_invoke&_modver=1.0&_dom=cdsp");
    for (int i = 0; i < 20; i++)
        CHECK(ask(node, module, ASKS) == 42);
    return 0;
}
