/* Stacks of threads of which there are very many. */
#ifndef ECHO_COMMON_STACK_H
#define ECHO_COMMON_STACK_H

#include <pthread.h>
#include <stddef.h>

/* Detached threads with a stack as small as it can be: what the C library needs and, in whole
 * pages, buffers of so many bytes on it. A negative errno: there is nothing to be destroyed then;
 * otherwise pthread_attr_destroy() does it. */
int stack_attr_init(pthread_attr_t *attr, size_t buffer_bytes);

#endif
