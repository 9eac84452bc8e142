/* Facts about the headers that come along: each line fails to compile if it is not so. */

#include <stddef.h>

#include "AEEStdDef.h"
#include "AEEStdErr.h"
#include "HAP_compute_res.h"
#include "HAP_dcvs.h"
#include "HAP_debug.h"
#include "HAP_farf.h"
#include "HAP_mem.h"
#include "HAP_perf.h"
#include "HAP_power.h"
#include "HAP_ps.h"
#include "HAP_vtcm_mgr.h"
#include "hexagon_protos.h"
#include "q6cache.h"
#include "qurt.h"
#include "remote.h"
#include "rpcmem.h"
#include "sysmon_cachelock.h"
#include "verify.h"

#define SAME(name, a, b) extern char name[(a) == (b) ? 1 : -1]

/* QuRT's objects are memory of the skeleton's, which may have been compiled with others' headers. */
SAME(size_of_mutex, sizeof(qurt_mutex_t), 16);
SAME(size_of_semaphore, sizeof(qurt_sem_t), 16);
SAME(size_of_condition, sizeof(qurt_cond_t), 16);
SAME(size_of_barrier, sizeof(qurt_barrier_t), 16);
SAME(size_of_signal, sizeof(qurt_signal_t), 16);
SAME(size_of_signal2, sizeof(qurt_signal2_t), 16);
SAME(size_of_allsignal, sizeof(qurt_allsignal_t), 16);
SAME(size_of_resource, sizeof(compute_res_attr_t), 64);
SAME(priority_of_thread, offsetof(qurt_thread_attr_t, priority), 18);
SAME(stack_of_thread, offsetof(qurt_thread_attr_t, stack_size), 24);
SAME(halves, HEXAGON_V64_CREATE_H(1, -2, 3, -4), 0x0001fffe0003fffcLL);
SAME(dcvs_v3, HAP_power_set_DCVS_v3, 12);
SAME(hmx_v2, HAP_power_set_HMX_v2, 14);

SAME(size_of_argument, sizeof(remote_arg), 2 * sizeof(void*));
SAME(size_of_argument64, sizeof(remote_arg64), 16);
SAME(length_of_buffer, offsetof(remote_buf, nLen), sizeof(void*));
SAME(offset_of_dma, offsetof(remote_dma_handle, offset), 4);
SAME(size_of_dma, sizeof(remote_dma_handle), 8);
SAME(size_of_dma64, sizeof(remote_dma_handle64), 12);
SAME(size_of_handle, sizeof(remote_handle), 4);
SAME(size_of_handle64, sizeof(remote_handle64), 8);
SAME(job_of_descriptor, offsetof(fastrpc_async_descriptor_t, jobid), 8);
SAME(callback_of_descriptor, offsetof(fastrpc_async_descriptor_t, cb), 16);
SAME(scalars, REMOTE_SCALARS_MAKEX(1, 2, 3, 4, 5, 6), 0x22030456);
SAME(scalars_short, REMOTE_SCALARS_MAKE(2, 3, 4), 0x02030400);
SAME(scalars_method, REMOTE_SCALARS_METHOD(0x22030456), 2);
SAME(scalars_attributes, REMOTE_SCALARS_METHOD_ATTR(0x22030456), 1);
SAME(scalars_ins, REMOTE_SCALARS_INBUFS(0x22030456), 3);
SAME(scalars_outs, REMOTE_SCALARS_OUTBUFS(0x22030456), 4);
SAME(scalars_in_handles, REMOTE_SCALARS_INHANDLES(0x22030456), 5);
SAME(scalars_out_handles, REMOTE_SCALARS_OUTHANDLES(0x22030456), 6);
SAME(scalars_length, REMOTE_SCALARS_LENGTH(0x22030456), 18);
SAME(cdsp, CDSP_DOMAIN_ID, 3);
SAME(unsigned_module, DSPRPC_CONTROL_UNSIGNED_MODULE, 2);
SAME(session_close, FASTRPC_SESSION_CLOSE, 7);
SAME(get_uri, FASTRPC_GET_URI, 15);
SAME(context_destroy, FASTRPC_CONTEXT_DESTROY, 18);
SAME(dsp_info, DSPRPC_GET_DSP_INFO, 2);
SAME(set_mode, DSPRPC_SET_MODE, 14);
SAME(unsigned_support, UNSIGNED_PD_SUPPORT, 1);
SAME(map_no_map, FASTRPC_MAP_FD_NOMAP, 16);
SAME(system_heap, RPCMEM_HEAP_ID_SYSTEM, 25);
SAME(bad_parameter, AEE_EBADPARM, 14);
SAME(invalid_handle, AEE_EINVHANDLE, 0x2c);
SAME(stub_is_newer, AEE_ESTUBSKELVERMISMATCH, 0x194);
SAME(word, sizeof(uint32) + sizeof(int32), 8);
SAME(long_word, sizeof(uint64) + sizeof(int64), 16);
SAME(byte_types, sizeof(boolean) + sizeof(int8) + sizeof(uint8), 3);
SAME(half_words, sizeof(_wchar_t) + sizeof(int16) + sizeof(uint16), 6);

int headers_are_used(int level);

int headers_are_used(int level) {
    FARF(ALWAYS, "level %d", level);
    return rpcmem_alloc_def(level) != NULL;
}
