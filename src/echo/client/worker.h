/* A worker process: it has a part of the connections, carries out orders that come through its
 * channel, and answers each when it is done. */
#ifndef ECHO_WORKER_H
#define ECHO_WORKER_H

#include "common/base/pattern.h"
#include "echo/client/board.h"

struct answer {
	enum stage stage;
	enum cause cause; /* of STAGE_CONNECT: why not all */
};

struct worker {
	const struct plan *plan;
	const struct pattern *pattern;
	struct board *board;
	struct result *result; /* its own part of the board */
	unsigned index;
	int channel;
};

/* Until it is told to end, or the supervisor has. 0 or a negative errno: it could not begin. */
int worker_run(struct worker *w);

/* The number of a worker's connection: its stream's seed, and what reports call it. `index` is
 * below PLAN_WORKER_NUMBERS. */
uint32_t worker_seed(const struct worker *w, uint32_t index);
/* STAGE_END when the supervisor is gone. Waits if the channel is blocking; else the next one, which
 * must be there. */
struct order worker_receive(const struct worker *w);
void worker_answer(const struct worker *w, enum stage stage, enum cause cause);

/* The models: what worker_run() runs. */
int model_event_run(struct worker *w);
int model_thread_run(struct worker *w);
int model_fork_run(struct worker *w);

#endif
