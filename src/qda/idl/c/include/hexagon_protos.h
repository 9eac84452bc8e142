/* Instructions that a compiler for Hexagon has functions for: those of scalars that skeletons use most,
   and hints to caches, which need none here.  Those of vectors (HVX) are missing. */

#ifndef HEXAGON_PROTOS_H
#define HEXAGON_PROTOS_H

#include "hexagon_types.h"

static inline Word32 Q6_R_min_RR(Word32 a, Word32 b) { return a < b ? a : b; }
static inline Word32 Q6_R_max_RR(Word32 a, Word32 b) { return a > b ? a : b; }
static inline Word32 Q6_R_abs_R(Word32 a) { return a < 0 ? (Word32)(0u - (UWord32)a) : a; }

/* The number of zeros above, and below, the highest and the lowest bit that is set. */
static inline Word32 Q6_R_cl0_R(Word32 a) { return a ? __builtin_clz((UWord32)a) : 32; }
static inline Word32 Q6_R_ct0_R(Word32 a) { return a ? __builtin_ctz((UWord32)a) : 32; }

static inline Word32 Q6_R_vsplatb_R(Word32 a) {
    return (Word32)(((UWord32)a & 0xff) * 0x01010101u);
}

/* The lower halves of two words, side by side. */
static inline Word32 Q6_R_combine_RlRl(Word32 high, Word32 low) {
    return (Word32)((UWord32)high << 16 | ((UWord32)low & 0xffff));
}

static inline Word64 Q6_P_combine_RR(Word32 high, Word32 low) {
    return HEXAGON_V64_CREATE_W(high, low);
}

#define Q6_dcfetch_A(address) __builtin_prefetch(address)
#define Q6_dccleana_A(address) ((void)(address))
#define Q6_dcinva_A(address) ((void)(address))
#define Q6_dccleaninva_A(address) ((void)(address))
#define Q6_l2fetch_AP(address, parameter) ((void)(address), (void)(parameter))
#define Q6_l2fetch_AR(address, parameter) ((void)(address), (void)(parameter))

#endif
