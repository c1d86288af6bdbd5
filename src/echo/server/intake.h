/* The accepting loop of the models that give each connection a task of its own: a thread or a
 * process. */
#ifndef SERVER_INTAKE_H
#define SERVER_INTAKE_H

#include "echo/server/worker.h"

struct task_model {
	int fd; /* readable when tasks have ended */
	/* Gives a blocking socket to a new task, which calls blocking_serve_take(). 0: it is the
	 * task's; a negative errno: there is no task, and it is still the caller's. */
	int (*begin)(struct task_model *model, int fd);
	/* How many have ended since the last call. */
	unsigned (*collect)(struct task_model *model);
};

/* Accepts for ever; a negative errno when it cannot go on. */
int intake_run(const struct worker *worker, struct task_model *model);

#endif
