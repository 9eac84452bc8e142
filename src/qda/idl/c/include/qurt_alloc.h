/* QuRT's heap, which is that of the process. */

#ifndef QURT_ALLOC_H
#define QURT_ALLOC_H

#ifdef __cplusplus
extern "C" {
#endif

void* qurt_malloc(unsigned int size);
void* qurt_calloc(unsigned int size, unsigned int count);
void* qurt_realloc(void* memory, int size);
void* qurt_memalign(unsigned int alignment, unsigned int size);
void qurt_free(void* memory);

#ifdef __cplusplus
}
#endif

#endif
