/* Types that a compiler for Hexagon brings.  Vectors are memory of their size: there are no functions
   on them here. */

#ifndef HEXAGON_TYPES_H
#define HEXAGON_TYPES_H

typedef int HEXAGON_Vect32;
typedef long long HEXAGON_Vect64;
typedef int Word32;
typedef unsigned int UWord32;
typedef long long Word64;
typedef unsigned long long UWord64;

#define HEXAGON_V64_CREATE_W(high, low)                                                            \
    ((HEXAGON_Vect64)((UWord64)(UWord32)(high) << 32 | (UWord32)(low)))
#define HEXAGON_V64_CREATE_H(h3, h2, h1, h0)                                                       \
    HEXAGON_V64_CREATE_W((UWord32)(h3) << 16 | ((UWord32)(h2) & 0xffff),                           \
                         (UWord32)(h1) << 16 | ((UWord32)(h0) & 0xffff))

#ifdef __GNUC__
typedef int HVX_Vector __attribute__((vector_size(128), aligned(128)));
typedef int HVX_VectorPair __attribute__((vector_size(256), aligned(128)));
typedef HVX_Vector HVX_VectorPred;
#endif

#endif
