/* The simulated world: virtual time, timers, one seeded source of chance, the first failure, and
 * a watch for runs that no longer get anywhere. Nothing in a run depends on the real clock, so
 * that a seed always gives the same run. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "common/base/clock.h"
#include "common/base/rng.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Embedded in its owner; zeroed is "not set". */
struct world_timer {
	uint64_t at_us, order;
	size_t place; /* in world.heap, from 1; 0: not set */
	void (*fire)(void *arg);
	void *arg;
};

struct world {
	uint64_t seed;
	uint64_t now_us;
	struct rng rng;
	bool is_traced;
	struct world_timer **heap; /* [0] is unused */
	size_t timer_count, timer_room;
	uint64_t order;
	uint64_t steps;
	uint64_t progress_us; /* when a byte was last delivered or a session ended */
	char failure[256];    /* the first one; empty: none */
};

void world_init(struct world *w, uint64_t seed, bool is_traced);
void world_done(struct world *w); /* no timer may be set */

/* Sets it, also when it is set already. `fire` and `arg` of the timer are the owner's to fill. */
void world_timer_set(struct world *w, struct world_timer *t, uint64_t at_us);
void world_timer_stop(struct world *w, struct world_timer *t);

/* Fires timers until `is_over` or a failure. */
void world_run(struct world *w, bool (*is_over)(void *arg), void *arg);

static inline bool world_has_failed(const struct world *w)
{
	return w->failure[0] != '\0';
}

void world_fail(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void world_trace(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- chance ---- */

/* Uniform in [low, high]. */
uint64_t world_between(struct world *w, uint64_t low, uint64_t high);
/* The same, but as likely in each power of two: small numbers are not rare. */
uint64_t world_scale(struct world *w, uint64_t low, uint64_t high);
bool world_chance(struct world *w, unsigned percent);

#endif
