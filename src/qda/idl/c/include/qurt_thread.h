/* Threads of QuRT, which are threads of the host.

   A stack has at least 256 KiB, whatever is asked for, and lies elsewhere than the given address:
   code of the host needs more of it than that of a DSP.  Priorities say who gets a mutex next, and
   nothing else.
   A thread's function may return, which is the same as qurt_thread_exit(0). */

#ifndef QURT_THREAD_H
#define QURT_THREAD_H

#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QURT_THREAD_ATTR_NAME_MAXLEN 16
#define QURT_THREAD_ATTR_TCB_PARTITION_RAM 0
#define QURT_THREAD_ATTR_TCB_PARTITION_TCM 1
#define QURT_THREAD_ATTR_TCB_PARTITION_DEFAULT QURT_THREAD_ATTR_TCB_PARTITION_RAM
#define QURT_THREAD_ATTR_PRIORITY_DEFAULT 254
#define QURT_THREAD_ATTR_BUS_PRIO_DEFAULT 255
#define QURT_THREAD_ATTR_TIMETEST_ID_DEFAULT ((unsigned short)-2)
#define QURT_THREAD_ATTR_AUTOSTACK_DEFAULT 0
#define QURT_THREAD_BUS_PRIO_DISABLED 0
#define QURT_THREAD_BUS_PRIO_ENABLED 1
#define QURT_THREAD_ATTR_CREATE_LEGACY 0
#define QURT_THREAD_ATTR_CREATE_JOINABLE 1
#define QURT_THREAD_ATTR_CREATE_DETACHED 2

typedef unsigned int qurt_thread_t;

typedef struct _qurt_thread_attr {
    char name[QURT_THREAD_ATTR_NAME_MAXLEN];
    unsigned char tcb_partition;
    unsigned char stid;
    unsigned short priority; /* 1 is the highest, 255 the lowest */
    unsigned char autostack : 1;
    unsigned char reserved : 7;
    unsigned char bus_priority;
    unsigned short timetest_id;
    unsigned int stack_size; /* bytes */
    void* stack_addr;
    unsigned short detach_state;
} qurt_thread_attr_t;

static inline void qurt_thread_attr_init(qurt_thread_attr_t* attr) {
    memset(attr, 0, sizeof *attr);
    attr->priority = QURT_THREAD_ATTR_PRIORITY_DEFAULT;
    attr->bus_priority = QURT_THREAD_ATTR_BUS_PRIO_DEFAULT;
    attr->timetest_id = QURT_THREAD_ATTR_TIMETEST_ID_DEFAULT;
}
static inline void qurt_thread_attr_set_name(qurt_thread_attr_t* attr, const char* name) {
    size_t length = 0;
    while (length < QURT_THREAD_ATTR_NAME_MAXLEN - 1 && name[length]) length++;
    memcpy(attr->name, name, length);
    attr->name[length] = 0;
}
static inline void qurt_thread_attr_set_tcb_partition(
    qurt_thread_attr_t* attr, unsigned char tcb_partition) {
    attr->tcb_partition = tcb_partition;
}
static inline void qurt_thread_attr_set_priority(
    qurt_thread_attr_t* attr, unsigned short priority) {
    attr->priority = priority;
}
static inline void qurt_thread_attr_set_detachstate(
    qurt_thread_attr_t* attr, unsigned short detach_state) {
    attr->detach_state = detach_state;
}
static inline void qurt_thread_attr_set_timetest_id(
    qurt_thread_attr_t* attr, unsigned short timetest_id) {
    attr->timetest_id = timetest_id;
}
static inline void qurt_thread_attr_set_stack_size(
    qurt_thread_attr_t* attr, unsigned int stack_size) {
    attr->stack_size = stack_size;
}
static inline void qurt_thread_attr_set_stack_addr(qurt_thread_attr_t* attr, void* stack_addr) {
    attr->stack_addr = stack_addr;
}
static inline void qurt_thread_attr_set_bus_priority(
    qurt_thread_attr_t* attr, unsigned short bus_priority) {
    attr->bus_priority = (unsigned char)bus_priority;
}
static inline void qurt_thread_attr_set_autostack(
    qurt_thread_attr_t* attr, unsigned short autostack) {
    attr->autostack = autostack ? 1u : 0u;
}
static inline void qurt_thread_attr_enable_stid(qurt_thread_attr_t* attr, char enable_stid) {
    attr->stid = (unsigned char)enable_stid;
}

int qurt_thread_create(
    qurt_thread_t* thread, qurt_thread_attr_t* attr, void (*entrypoint)(void*), void* argument);
void qurt_thread_exit(int status) __attribute__((noreturn));
/* Waits for the thread's end; QURT_ENOTHREAD if there is none of that number, it has been joined, or
   it was created detached. */
int qurt_thread_join(unsigned int thread, int* status);
int qurt_thread_detach(unsigned int thread);
qurt_thread_t qurt_thread_get_id(void);
void qurt_thread_get_name(char* name, unsigned char room);
int qurt_thread_get_priority(qurt_thread_t thread); /* -1 if there is none of that number */
int qurt_thread_set_priority(qurt_thread_t thread, unsigned short priority);
int qurt_thread_attr_get(qurt_thread_t thread, qurt_thread_attr_t* attr);
unsigned short qurt_thread_get_timetest_id(void);
void qurt_thread_set_timetest_id(unsigned short timetest_id);
void qurt_sleep(unsigned long long duration); /* microseconds */

#ifdef __cplusplus
}
#endif

#endif
