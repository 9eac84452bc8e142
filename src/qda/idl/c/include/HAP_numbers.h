/* AEEStdDef.h, and of its types those that the headers of HAP need: the file of that name which comes
   with Qualcomm's library does not have them. */

#ifndef HAP_NUMBERS_H
#define HAP_NUMBERS_H

#include "AEEStdDef.h"

#ifndef _INT32_DEFINED
#define _INT32_DEFINED
typedef int int32;
#endif
#ifndef _UINT32_DEFINED
#define _UINT32_DEFINED
typedef unsigned int uint32;
#endif
#ifndef _INT64_DEFINED
#define _INT64_DEFINED
typedef long long int64;
#endif
#ifndef _UINT64_DEFINED
#define _UINT64_DEFINED
typedef unsigned long long uint64;
#endif
#ifndef _BYTE_DEFINED
#define _BYTE_DEFINED
typedef unsigned char byte;
#endif
#ifndef _BOOLEAN_DEFINED
#define _BOOLEAN_DEFINED
typedef unsigned char boolean;
#endif
#ifndef TRUE
#define TRUE 1
#endif
#ifndef FALSE
#define FALSE 0
#endif

#endif
