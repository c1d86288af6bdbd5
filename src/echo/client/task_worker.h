/* A worker of the models that give each connection a task of its own, a thread or a process. They
 * differ in how a task is begun and ended, and in nothing else. */
#ifndef ECHO_TASK_WORKER_H
#define ECHO_TASK_WORKER_H

#include "echo/client/task.h"

#include <sys/types.h>

struct task_kind {
	/* Begins a task that calls task_main() with what is its own then, also its descriptor; on
	 * failure (a negative errno) all is left to the caller. `ret_id` is what reap() calls it.
	 */
	int (*start)(struct task *t, pid_t *ret_id);
	/* One that ended without being told to; 0: none (more). NULL: they cannot. */
	pid_t (*reap)(void);
	/* After STAGE_END was told to all. */
	void (*finish)(void);
};

int task_worker_run(struct worker *w, const struct task_kind *kind);

#endif
