/* Basic types of FastRPC interfaces.  They may be defined already, which the macros say. */

#ifndef AEESTDDEF_H
#define AEESTDDEF_H

#include <stdbool.h>
#include <stdint.h>

#ifndef _INT8_DEFINED
#define _INT8_DEFINED
typedef signed char int8;
#endif
#ifndef _UINT8_DEFINED
#define _UINT8_DEFINED
typedef unsigned char uint8;
#endif
#ifndef _INT16_DEFINED
#define _INT16_DEFINED
typedef signed short int16;
#endif
#ifndef _UINT16_DEFINED
#define _UINT16_DEFINED
typedef unsigned short uint16;
#endif
#ifndef _INT32_DEFINED
#define _INT32_DEFINED
typedef signed int int32;
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
#ifndef _AEEUID_DEFINED
#define _AEEUID_DEFINED
typedef uint32_t AEEUID;
#endif
#ifndef _AEEIID_DEFINED
#define _AEEIID_DEFINED
typedef uint32_t AEEIID;
#endif
#ifndef _AEECLSID_DEFINED
#define _AEECLSID_DEFINED
typedef uint32_t AEECLSID;
#endif
#ifndef _AEEPRIVID_DEFINED
#define _AEEPRIVID_DEFINED
typedef uint32_t AEEPRIVID;
#endif
#ifndef _AECHAR_DEFINED
#define _AECHAR_DEFINED
typedef uint16_t AECHAR;
#endif
#ifndef _AEERESULT_DEFINED
#define _AEERESULT_DEFINED
typedef int AEEResult;
#endif
#ifndef __QIDL_WCHAR_T_DEFINED__
#define __QIDL_WCHAR_T_DEFINED__
typedef unsigned short _wchar_t;
#endif

#ifndef TRUE
#define TRUE 1
#endif
#ifndef FALSE
#define FALSE 0
#endif

#endif
