/* The size of a small stack: see stack.h. */
#include "echo/common/stack.h"

#include <limits.h>
#include <unistd.h>

#ifndef __has_feature /* clang's way to say it; gcc before 14 has only the macros */
#define __has_feature(name) 0
#endif
/* What a sanitizer's frames and thread state need more than ours. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
	__has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZER_BYTES (1024u * 1024)
#else
#define SANITIZER_BYTES 0u
#endif
/* Of a page on every machine that we know; stacks are made of whole ones. */
#define PAGE_BYTES 4096u

/* The C library's own part, with what signals and thread-local data need, is the least. */
static size_t stack_bytes(size_t buffer_bytes)
{
	long least = sysconf(_SC_THREAD_STACK_MIN);
	size_t bytes =
		(least > 0 ? (size_t)least : PTHREAD_STACK_MIN) + buffer_bytes + SANITIZER_BYTES;

	return (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

int stack_attr_init(pthread_attr_t *attr, size_t buffer_bytes)
{
	int err = pthread_attr_init(attr);

	if (err)
		return -err;
	err = pthread_attr_setdetachstate(attr, PTHREAD_CREATE_DETACHED);
	if (err == 0)
		err = pthread_attr_setstacksize(attr, stack_bytes(buffer_bytes));
	if (err)
		pthread_attr_destroy(attr);
	return -err;
}
