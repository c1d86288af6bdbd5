/* The models that give each connection a task of its own, a thread or a process. They differ in how
 * a task is begun and ended, and in nothing else. */
#ifndef ECHO_TASKS_H
#define ECHO_TASKS_H

#include "echo/client/exchange.h"
#include "echo/client/worker.h"

/* One connection. */
struct task {
	struct worker *worker;
	int fd;	     /* connected; -1 when it is over */
	int done_fd; /* an eventfd: written by the last task that is through with an order */
	uint32_t index;
	uint32_t seen;		 /* the last order's number */
	_Atomic uint32_t *count; /* tasks that there are: in shared memory */
	struct exchange exchange;
};

struct task_kind {
	/* Begins a task that calls task_main() with what is its own then, also its descriptor; on
	 * failure (a negative errno) all is left to the caller. */
	int (*start)(struct task *t);
	/* Tasks that ended without being told to since the last call. */
	uint32_t (*reap)(void);
	/* After STAGE_END was told to all. */
	void (*finish)(void);
};

/* A worker of such a model. */
int tasks_run(struct worker *w, const struct task_kind *kind);
/* What a task does all its life; its descriptor is closed afterwards. */
void task_main(struct task *t);

#endif
