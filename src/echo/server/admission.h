/* Whether a worker accepts, and how many it still may: it has a capacity, it can run out of
 * descriptors, threads or processes before that, and it rests when the kernel is out of memory.
 * Counts the connections and tells the supervisor when it becomes full and when there is room
 * again. For one thread. */
#ifndef SERVER_ADMISSION_H
#define SERVER_ADMISSION_H

#include "echo/server/worker.h"

#include <stdbool.h>
#include <stdint.h>

struct admission {
	const struct worker *worker;
	unsigned held;		  /* connections */
	unsigned limit;		  /* of them: the capacity, or less since something ran out */
	bool has_told_full;	  /* what the supervisor was told last */
	uint64_t paused_until_us; /* 0: it is not */
};

/* `worker` is borrowed for as long as this is used. */
void admission_init(struct admission *a, const struct worker *worker);
/* How many connections may be accepted now; 0 also during a pause. */
unsigned admission_room(struct admission *a);
/* Milliseconds until admission_room() is to be asked again, rounded up: a pause is over, or the
 * supervisor is still to be told something. -1: not before something happens. */
int admission_wait_ms(const struct admission *a);

/* A connection was accepted. */
void admission_enter(struct admission *a);
/* One is over, and its descriptor closed. */
void admission_leave(struct admission *a);
/* So many are over that have taken themselves off COUNTER_OPEN. */
void admission_vacate(struct admission *a, unsigned count);
/* Accepting failed with `err`, a positive errno: it is counted, and decides how to go on. */
void admission_refuse(struct admission *a, int err);
/* A connection was accepted and given up, as there was no task for it: the same. */
void admission_lack_task(struct admission *a, int err);

/* Closes a connection that cannot be served, so that the client learns it at once (RST). */
void admission_abort(int fd);

#endif
