/* The DSP's runtime for libraries that were not built with QDA's own headers: the functions of
   HAP_debug.h, HAP_mem.h and HAP_perf.h as symbols, and those by which stubs call the host.

   A protection domain loads it before such a library, and fills in the pointers by which all of
   them are answered (qda.dsp.runtime). */

#define HAP_RUNTIME

#include "HAP_debug.h"
#include "HAP_mem.h"
#include "HAP_perf.h"
#include "remote.h"

/* The length in bytes of the memory under an fd. */
HAP_RUNTIME_POINTER int32_t (*qda_adsp_mmap_fd_getinfo)(int32_t fd, uint32_t* length);

int adsp_mmap_fd_getinfo(int fd, uint32_t* length);

int adsp_mmap_fd_getinfo(int fd, uint32_t* length) {
    return qda_adsp_mmap_fd_getinfo ? qda_adsp_mmap_fd_getinfo(fd, length) : HAP_RUNTIME_ABSENT;
}

/* Calls to the host.  Of the two kinds of handle the host has one. */
HAP_RUNTIME_POINTER int (*qda_host_open)(const char* name, uint32_t* handle);
HAP_RUNTIME_POINTER int (*qda_host_invoke)(uint32_t handle, uint32_t sc, remote_arg* arguments);
HAP_RUNTIME_POINTER int (*qda_host_close)(uint32_t handle);

int remote_handle_open(const char* name, remote_handle* handle) {
    return qda_host_open ? qda_host_open(name, handle) : HAP_RUNTIME_ABSENT;
}

int remote_handle_invoke(remote_handle handle, uint32_t sc, remote_arg* arguments) {
    return qda_host_invoke ? qda_host_invoke(handle, sc, arguments) : HAP_RUNTIME_ABSENT;
}

int remote_handle_close(remote_handle handle) {
    return qda_host_close ? qda_host_close(handle) : HAP_RUNTIME_ABSENT;
}

int remote_handle64_open(const char* uri, remote_handle64* handle) {
    remote_handle found = 0;
    int status = remote_handle_open(uri, &found);
    *handle = found;
    return status;
}

int remote_handle64_invoke(remote_handle64 handle, uint32_t sc, remote_arg* arguments) {
    return remote_handle_invoke((remote_handle)handle, sc, arguments);
}

int remote_handle64_close(remote_handle64 handle) {
    return remote_handle_close((remote_handle)handle);
}
