/* Whether a worker accepts, and how many it still may: it has a capacity, it can run out of
 * descriptors before that, and it rests when the kernel is out of memory. Counts the connections
 * and tells the supervisor when it becomes full and when there is room again. For one thread. */
#ifndef SERVER_GATE_H
#define SERVER_GATE_H

#include "echo/server/worker.h"

#include <stdbool.h>
#include <stdint.h>

struct gate {
	const struct worker *worker;
	unsigned held;		  /* connections */
	unsigned limit;		  /* of them: the capacity, or less since EMFILE */
	bool has_told_full;	  /* what the supervisor believes */
	uint64_t paused_until_us; /* 0: it is not */
};

/* `worker` is borrowed for as long as the gate is used. */
void gate_init(struct gate *g, const struct worker *worker);
/* How many connections may be accepted now; 0 also during a pause. */
unsigned gate_room(struct gate *g);
/* Milliseconds until the pause is over, rounded up; -1: there is none. */
int gate_wait_ms(const struct gate *g);

/* A connection was accepted. */
void gate_enter(struct gate *g);
/* So many are over, and their descriptors closed. */
void gate_leave(struct gate *g, unsigned count);
/* Accepting failed with `err`, a positive errno: it is counted, and decides how to go on. */
void gate_refuse(struct gate *g, int err);

/* Closes a connection that cannot be served, so that the client learns it at once (RST). */
void gate_abort(int fd);

#endif
