/* The accepting loop of the models that give each connection a task of its own: a thread or a
 * process. */
#ifndef SERVER_INTAKE_H
#define SERVER_INTAKE_H

#include "echo/server/worker.h"

struct tasks {
	int fd; /* readable when tasks have ended */
	/* Gives a blocking socket to a new task. 0: it is the task's; a negative errno: there is no
	 * task, and it is still the caller's. */
	int (*begin)(struct tasks *tasks, int fd);
	/* How many have ended since the last call; their descriptors are closed. */
	unsigned (*collect)(struct tasks *tasks);
};

/* Accepts for ever; a negative errno when it cannot go on. */
int intake_run(const struct worker *worker, struct tasks *tasks);

#endif
