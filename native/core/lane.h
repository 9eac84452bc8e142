/* A lane: what carries one call at a time between a driver and a protection domain.
 *
 * It lies in the session's pool, which both map.  Block 0 of the pool holds the words of all lanes,
 * block i the message memory of lane i.  A lane has two sides, and each writes its own only:
 *
 *     driver   record: the message of 40 bytes    bell: number of the request it asks for
 *     DSP      record: the response of 16 bytes   bell: number of the request it has answered
 *
 * Ringing stores the number and, only if the other side has said that it sleeps, writes a byte into
 * its pipe.  The store of one's own bell and the load of the other's `sleeps` are sequentially
 * consistent, as are the store of one's own `sleeps` and the load of the other's bell: of two sides
 * that pass each other, at least one sees the other.  A byte that comes too late wakes once more
 * for nothing.
 *
 * Nothing in a lane is trusted: each side copies the other's record once and checks the copy.  An
 * answer is the equal number together with the right context word (H15). */
#ifndef QDA_CORE_LANE_H
#define QDA_CORE_LANE_H

#include <stdatomic.h>
#include <stdint.h>

#include "wire.h"

enum {
    QDA_LANES = 255, /* numbers that come back whole in a context word */
    QDA_SLOT = 64 << 10,
    QDA_POOL = (QDA_LANES + 1) * QDA_SLOT,
    QDA_RECORD = 40,
};

struct qda_side {
    _Atomic uint32_t bell;
    _Atomic uint32_t sleeps;
    _Atomic uint32_t cpu; /* that it was last on, plus 1; 0: not told */
    _Atomic uint32_t timed; /* 1: the other side is to tell when a method runs */
    unsigned char record[QDA_RECORD];
    unsigned char rest[8];
};

struct qda_lane {
    struct qda_side driver;
    struct qda_side dsp;
};

/* What a DSP tells of a method, behind its response: nanoseconds of CLOCK_MONOTONIC, and who it was. */
struct qda_times {
    uint64_t begun, ended;
    int32_t process, thread;
};

enum { QDA_TOLD = 16 }; /* where, in the record of its side */

_Static_assert(sizeof(struct qda_response) <= QDA_TOLD, "layout");
_Static_assert(QDA_TOLD + sizeof(struct qda_times) <= QDA_RECORD, "layout");
_Static_assert(sizeof(struct qda_side) == 64, "a cache line each");
_Static_assert(sizeof(struct qda_lane) == 128, "layout");
_Static_assert(sizeof(struct qda_lane) * (QDA_LANES + 1) <= QDA_SLOT, "block 0 holds them");
_Static_assert(sizeof(struct qda_message) <= QDA_RECORD, "layout");

static inline struct qda_lane *qda_lane_of(unsigned char *pool, uint32_t number)
{
    return (struct qda_lane *)(void *)pool + number;
}

/* Whether a side has rung with that number and, where one is expected, that context word. */
static inline int qda_has_rung(struct qda_side *side, uint32_t number, const uint64_t *context)
{
    uint64_t found;
    if (atomic_load(&side->bell) != number)
        return 0;
    if (!context)
        return 1;
    memcpy(&found, side->record, sizeof found);
    return found == *context;
}

/* Store the number; returns whether the other side sleeps and needs the pipe. */
static inline int qda_strike(struct qda_side *mine, struct qda_side *other, uint32_t number)
{
    atomic_store(&mine->bell, number);
    return atomic_load(&other->sleeps) != 0;
}

#endif
