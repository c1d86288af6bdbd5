/* The schedulers: each a function over the paths that says where the next bytes go. */
#include "common/flow/scheduler.h"

#include "common/base/clock.h"
#include "common/base/limits.h"

#include <string.h>

static struct path *least_pass(struct path *const *paths, size_t count,
			       bool (*can)(const struct path *))
{
	struct path *best = NULL;

	for (size_t i = 0; i < count; i++)
		if (can(paths[i]) && (!best || paths[i]->pass < best->pass))
			best = paths[i];
	return best;
}

static bool is_up(const struct path *p)
{
	return p->is_up;
}

/* ---- weighted ---- */

static struct path *weighted_pick(struct path *const *paths, size_t count, bool is_bulk)
{
	const struct path *last = least_pass(paths, count, is_up);
	struct path *best = least_pass(paths, count, path_has_room);
	double weights = 0;

	(void)is_bulk;
	if (!best || best == last)
		return best;
	for (size_t i = 0; i < count; i++)
		weights += paths[i]->weight;
	/* One that is full is waited for, but not at once: short fullness would idle the others. */
	return best->pass - last->pass <= SCHEDULER_LEAD_BYTES / weights ? best : NULL;
}

/* ---- adaptive ---- */

/* When the last of one more frame would be there, in µs from now; 0 while nothing is known. */
static uint64_t arrival_us(const struct path *p)
{
	if (p->rate_Bps == 0)
		return p->base_rtt_us / 2;
	return p->base_rtt_us / 2 + (p->inflight_bytes + p->frame_bytes) * US_PER_S / p->rate_Bps;
}

static uint64_t earliest_arrival_us(struct path *const *paths, size_t count)
{
	uint64_t best_us = NEVER_US;

	for (size_t i = 0; i < count; i++)
		if (paths[i]->is_up && arrival_us(paths[i]) < best_us)
			best_us = arrival_us(paths[i]);
	return best_us;
}

/* Work-conserving: whoever lags because it was full is not owed for it, beyond the lead. */
static void forgive_lag(struct path *const *paths, size_t count)
{
	double most = 0, weights = 0;

	for (size_t i = 0; i < count; i++) {
		weights += paths[i]->weight;
		if (paths[i]->is_up && paths[i]->pass > most)
			most = paths[i]->pass;
	}
	for (size_t i = 0; i < count; i++)
		if (paths[i]->pass < most - SCHEDULER_LEAD_BYTES / weights)
			paths[i]->pass = most - SCHEDULER_LEAD_BYTES / weights;
}

static struct path *adaptive_pick(struct path *const *paths, size_t count, bool is_bulk)
{
	uint64_t limit_us = earliest_arrival_us(paths, count);
	struct path *best = NULL;

	if (limit_us == NEVER_US)
		return NULL;
	limit_us += limit_us / 4 > SCHEDULER_SLACK_US ? limit_us / 4 : SCHEDULER_SLACK_US;
	forgive_lag(paths, count);
	for (size_t i = 0; i < count; i++) {
		struct path *p = paths[i];

		if (path_has_room(p) && arrival_us(p) <= limit_us &&
		    (!best || p->pass < best->pass))
			best = p;
	}
	/* Only slower paths have room: worth it when more bytes are behind these. */
	return best || !is_bulk ? best : least_pass(paths, count, path_has_room);
}

/* ---- all ---- */

static const struct scheduler schedulers[] = {
	{"adaptive", adaptive_pick},
	{"weighted", weighted_pick},
};

const char *const scheduler_names[] = {"adaptive", "weighted", NULL};

const struct scheduler *scheduler_find(const char *name)
{
	for (size_t i = 0; i < sizeof(schedulers) / sizeof(schedulers[0]); i++)
		if (strcmp(schedulers[i].name, name) == 0)
			return &schedulers[i];
	return NULL;
}

void scheduler_on_sent(struct path *p, uint32_t len)
{
	p->pass += (double)len / p->weight;
}

void scheduler_on_join(struct path *const *paths, size_t count, struct path *p)
{
	p->pass = 0;
	for (size_t i = 0; i < count; i++)
		if (paths[i] != p && paths[i]->pass > p->pass)
			p->pass = paths[i]->pass;
}

struct path *scheduler_pick_control(struct path *const *paths, size_t count)
{
	struct path *best = NULL;

	for (size_t i = 0; i < count; i++) {
		struct path *p = paths[i];

		if (p->is_up && !p->is_blocked && (!best || arrival_us(p) < arrival_us(best)))
			best = p;
	}
	return best;
}
