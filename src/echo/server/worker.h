/* What a worker process has, and what a model of serving is. */
#ifndef SERVER_WORKER_H
#define SERVER_WORKER_H

#include "common/base/limits.h"
#include "echo/common/capacity.h"
#include "echo/common/counters.h"

/* A worker process: made by the supervisor, never changed afterwards. */
struct worker {
	int listener; /* non-blocking; the other workers of its slot accept from it, too */
	int channel;  /* takes one byte, an enum worker_news, at a time */
	struct counters *counters;
	unsigned capacity; /* connections at the same time, at least one */
};

enum worker_news {
	WORKER_FULL, /* it does not accept until one of its connections ends */
	WORKER_ROOM, /* it accepts again */
};

struct model {
	const char *name;
	enum capacity_model capacity;
	/* 0, or -EINVAL and the reason why it cannot work here. NULL: it always can. */
	int (*probe)(char ret_why[WHY_BYTES_MAX]);
	/* Serves until the process is killed, or returns a negative errno. */
	int (*serve)(struct worker *worker);
};

extern const struct model model_thread, model_fork, model_event, model_uring;

#endif
