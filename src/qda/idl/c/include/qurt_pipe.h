/* Pipes of QuRT: 64-bit words, first in, first out, between any number of threads. */

#ifndef QURT_PIPE_H
#define QURT_PIPE_H

#include "qurt_mutex.h"
#include "qurt_sem.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef unsigned long long qurt_pipe_data_t;

typedef struct {
    qurt_mutex_t pipe_lock;
    qurt_sem_t senders;  /* free places */
    qurt_sem_t receiver; /* words in it */
    unsigned int size;
    unsigned int sendidx;
    unsigned int recvidx;
    qurt_pipe_data_t* data;
} qurt_pipe_t;

typedef struct {
    qurt_pipe_data_t* buffer;
    unsigned int elements;
    unsigned char mem_partition;
} qurt_pipe_attr_t;

static inline void qurt_pipe_attr_init(qurt_pipe_attr_t* attr) {
    attr->buffer = 0;
    attr->elements = 0;
    attr->mem_partition = 0;
}
static inline void qurt_pipe_attr_set_buffer(qurt_pipe_attr_t* attr, qurt_pipe_data_t* buffer) {
    attr->buffer = buffer;
}
static inline void qurt_pipe_attr_set_elements(qurt_pipe_attr_t* attr, unsigned int elements) {
    attr->elements = elements;
}
static inline void qurt_pipe_attr_set_buffer_partition(
    qurt_pipe_attr_t* attr, unsigned char partition) {
    attr->mem_partition = partition;
}

/* `create` and `delete` allocate the pipe and its words, `init` and `destroy` get them. */
int qurt_pipe_create(qurt_pipe_t** pipe, qurt_pipe_attr_t* attr);
void qurt_pipe_delete(qurt_pipe_t* pipe);
int qurt_pipe_init(qurt_pipe_t* pipe, qurt_pipe_attr_t* attr);
void qurt_pipe_destroy(qurt_pipe_t* pipe);
void qurt_pipe_send(qurt_pipe_t* pipe, qurt_pipe_data_t data);
qurt_pipe_data_t qurt_pipe_receive(qurt_pipe_t* pipe);
int qurt_pipe_try_send(qurt_pipe_t* pipe, qurt_pipe_data_t data); /* 0 if it is sent */
qurt_pipe_data_t qurt_pipe_try_receive(qurt_pipe_t* pipe, int* success); /* 0 if it is received */
int qurt_pipe_is_empty(qurt_pipe_t* pipe);

#ifdef __cplusplus
}
#endif

#endif
