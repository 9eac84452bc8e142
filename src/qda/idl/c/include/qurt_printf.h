/* Messages of code on the DSP, as of FARF's level HIGH. */

#ifndef QURT_PRINTF_H
#define QURT_PRINTF_H

#include <stdarg.h>

#ifdef __cplusplus
extern "C" {
#endif

__attribute__((format(printf, 1, 2))) int qurt_printf(const char* format, ...);
__attribute__((format(printf, 1, 0))) int qurt_vprintf(const char* format, va_list arguments);

#ifdef __cplusplus
}
#endif

#endif
