/* What QuRT says of the system that it runs on. */

#ifndef QURT_EVENT_H
#define QURT_EVENT_H

#ifdef __cplusplus
extern "C" {
#endif

#define QURT_MAX_NAME_LEN 64

typedef struct qurt_sysenv_max_hthreads {
    unsigned int max_hthreads;
} qurt_sysenv_max_hthreads_t;

typedef struct qurt_sysenv_hthreads {
    unsigned int hthreads;
} qurt_sysenv_hthreads_t;

typedef struct qurt_sysenv_arch_version {
    unsigned int arch_version;
} qurt_arch_version_t;

typedef struct qurt_sysenv_procname {
    __extension__ union {
        unsigned int asid;
        unsigned int pid;
    };
    char name[QURT_MAX_NAME_LEN];
} qurt_sysenv_procname_t;

int qurt_sysenv_get_max_hw_threads(qurt_sysenv_max_hthreads_t* found);
int qurt_sysenv_get_hw_threads(qurt_sysenv_hthreads_t* found);
int qurt_sysenv_get_arch_version(qurt_arch_version_t* found);
int qurt_sysenv_get_process_name(qurt_sysenv_procname_t* found);

#ifdef __cplusplus
}
#endif

#endif
