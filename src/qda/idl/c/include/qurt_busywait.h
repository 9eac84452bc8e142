#ifndef QURT_BUSYWAIT_H
#define QURT_BUSYWAIT_H

#ifdef __cplusplus
extern "C" {
#endif

void qurt_busywait(unsigned int duration); /* microseconds */

#ifdef __cplusplus
}
#endif

#endif
