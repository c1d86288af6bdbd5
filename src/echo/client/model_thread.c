/* A thread for each connection. */
#include "echo/client/tasks.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef __has_feature /* of clang; gcc defines __SANITIZE_... */
#define __has_feature(x) 0
#endif

/* Two pages of it are ever touched; 32 KiB leave the C library its room, and 40,000 of them are
 * 1.3 GB of addresses. Sanitizers make frames several times as large. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
	__has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STACK_BYTES (512u * KIB)
#else
#define STACK_BYTES (32u * KIB)
#endif

static void *thread_main(void *arg)
{
	struct task *t = arg;

	task_main(t);
	free(t);
	return NULL;
}

static int start_thread(struct task *t)
{
	struct task *own = malloc(sizeof(*own));
	pthread_attr_t attributes;
	pthread_t thread;
	int err;

	if (!own)
		return -ENOMEM;
	*own = *t;
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	err = pthread_create(&thread, &attributes, thread_main, own);
	pthread_attr_destroy(&attributes);
	if (err)
		free(own);
	return -err;
}

int model_thread_run(struct worker *w)
{
	/* At the end the process ends, and all threads and connections with it. */
	static const struct task_kind kind = {.start = start_thread};

	return tasks_run(w, &kind);
}
