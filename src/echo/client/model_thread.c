/* A thread for each connection. */
#include "echo/client/task_worker.h"
#include "echo/common/stack.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/* Our buffers are on the heap; this is for frames, of which those of the dynamic linker, when a
 * function is called for the first time, are the largest. */
#define FRAMES_BYTES (8u * KIB)

static void *thread_main(void *arg)
{
	struct task *t = arg;

	task_main(t);
	free(t);
	return NULL;
}

/* Threads end when the process does, all at once: they are called nothing. */
static int start_thread(struct task *t, pid_t *ret_id)
{
	struct task *own = malloc(sizeof(*own));
	pthread_attr_t attributes;
	pthread_t thread;
	int err;

	if (!own)
		return -ENOMEM;
	*own = *t;
	err = stack_attr_init(&attributes, FRAMES_BYTES);
	if (!err) {
		err = -pthread_create(&thread, &attributes, thread_main, own);
		pthread_attr_destroy(&attributes);
	}
	if (err)
		free(own);
	else
		*ret_id = 0;
	return err;
}

int model_thread_run(struct worker *w)
{
	/* At the end the process ends, and all threads and connections with it. */
	static const struct task_kind kind = {.start = start_thread};

	return task_worker_run(w, &kind);
}
