/* What the workers of an echo server count: in memory that all of its processes share. Threads and
 * processes of one worker add at the same time, so every count is atomic; those of different
 * workers lie on cache lines of their own. */
#ifndef ECHO_COUNTERS_H
#define ECHO_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

enum counter {
	COUNTER_ACCEPTED,  /* connections taken */
	COUNTER_OPEN,	   /* of them now open */
	COUNTER_BYTES,	   /* sent back */
	COUNTER_READS,	   /* successful reads that brought bytes: at depth 1, messages */
	COUNTER_ENDED,	   /* the client ended its side, all of it had been sent back */
	COUNTER_RESET,	   /* the client broke it off */
	COUNTER_FAILED,	   /* ended by another error of a socket, or with their task or worker; and
			      errors of accepting */
	COUNTER_STALLED,   /* times that the client took its echo too slowly and was not read
			      meanwhile */
	COUNTER_NO_FILES,  /* EMFILE, ENFILE: it waits until there is room */
	COUNTER_NO_MEMORY, /* ENOMEM, ENOBUFS */
	COUNTER_NO_TASKS,  /* no thread or process more: the connection was closed */
	COUNTER_COUNT
};

struct counters {
	_Alignas(64) _Atomic uint64_t values[COUNTER_COUNT];
};

/* "accepted", "open", ... */
const char *counter_name(enum counter counter);

static inline void counters_add(struct counters *c, enum counter counter, uint64_t n)
{
	atomic_fetch_add_explicit(&c->values[counter], n, memory_order_relaxed);
}

static inline void counters_subtract(struct counters *c, enum counter counter, uint64_t n)
{
	atomic_fetch_sub_explicit(&c->values[counter], n, memory_order_relaxed);
}

static inline uint64_t counters_get(const struct counters *c, enum counter counter)
{
	return atomic_load_explicit(&c->values[counter], memory_order_relaxed);
}

/* Which counter an error of a socket belongs to (`err` a positive errno), for a
 * connection that is over because of it: reset, no memory, or failed. */
enum counter counter_of_error(int err);

#endif
