/* The life of one task of a worker, a thread or a process, with its one connection. */
#ifndef ECHO_TASK_H
#define ECHO_TASK_H

#include "echo/client/exchange.h"
#include "echo/client/worker.h"

struct task {
	struct worker *worker;
	int fd;	     /* connected, blocking; SO_RCVTIMEO says how long an echo may take; -1: over */
	int done_fd; /* an eventfd: written by the last task that has carried out an order */
	uint32_t index;
	_Atomic uint32_t *seen;	 /* number of the last order it has carried out: in shared memory */
	_Atomic uint32_t *count; /* tasks that there are: the same */
	struct exchange exchange;
};

/* All that it does; its descriptor is closed afterwards. */
void task_main(struct task *t);

#endif
