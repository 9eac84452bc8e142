/* The process that the code runs in. */

#ifndef QURT_PROCESS_H
#define QURT_PROCESS_H

#ifdef __cplusplus
extern "C" {
#endif

int qurt_process_get_id(void);

#ifdef __cplusplus
}
#endif

#endif
