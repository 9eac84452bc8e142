/* The vector unit of a DSP, which here is nobody's: locks succeed, and there are four units. */

#ifndef QURT_HVX_H
#define QURT_HVX_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { QURT_HVX_MODE_64B = 0, QURT_HVX_MODE_128B = 1 } qurt_hvx_mode_t;

#define QURT_HVX_UNLOCKED 0
#define QURT_HVX_LOCKED 1
#define QURT_HVX_ERROR (-1)
#define QURT_HVX_RESERVE_ALL 4
#define QURT_HVX_RESERVE_ALL_AVAILABLE 0xff
#define QURT_HVX_RESERVE_NOT_SUPPORTED (-1)
#define QURT_HVX_RESERVE_NOT_SUCCESSFUL (-2)
#define QURT_HVX_RESERVE_ALREADY_MADE (-3)
#define QURT_HVX_RESERVE_CANCEL_ERR (-4)

int qurt_hvx_lock(qurt_hvx_mode_t mode);
int qurt_hvx_try_lock(qurt_hvx_mode_t mode);
int qurt_hvx_unlock(void);
int qurt_hvx_get_mode(void); /* of this thread; -1 if it has none */
int qurt_hvx_get_units(void);
int qurt_hvx_reserve(int units);
int qurt_hvx_cancel_reserve(void);
int qurt_hvx_get_lock_val(void);

#ifdef __cplusplus
}
#endif

#endif
