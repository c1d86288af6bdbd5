/* The schedulers: each a function over the paths that says where the next bytes go. */
#include "common/flow/scheduler.h"

#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/minmax.h"

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

static bool is_active(const struct path *p)
{
	return p->state == PATH_ACTIVE;
}

/* ---- what time things take ---- */

/* When the last of one more frame would be there, in us from now, if all goes well; */
static uint64_t earliest_us(const struct path *p)
{
	uint64_t return_us = path_return_us(p, p->frame_bytes);

	return return_us - min_u64(p->base_rtt_us / 2, return_us);
}

/* and what to count on. */
static uint64_t arrival_us(const struct path *p)
{
	return earliest_us(p) + p->doubt_us;
}

static uint64_t earliest_arrival_us(struct path *const *paths, size_t count)
{
	uint64_t best_us = NEVER_US;

	for (size_t i = 0; i < count; i++)
		if (is_active(paths[i]))
			best_us = min_u64(best_us, arrival_us(paths[i]));
	return best_us;
}

/* Arrivals up to here count as equal to the earliest. */
static uint64_t equal_until_us(uint64_t first_us)
{
	return first_us + max_u64(first_us / 4, SCHEDULER_SLACK_US);
}

/* By which the fastest is told: one that was late lately counts as slower. */
static uint64_t rtt_us(const struct path *p)
{
	return path_base_us(p) + p->doubt_us;
}

/* It was late lately, and one that is faster was not: a short transfer would wait for it at its
 * end. */
static bool is_risky(const struct path *p, struct path *const *paths, size_t count,
		     const struct demand *d)
{
	for (size_t i = 0; i < count && d->is_short; i++)
		if (is_active(paths[i]) && rtt_us(paths[i]) < rtt_us(p) &&
		    paths[i]->doubt_us + LATE_SLACK_MS * US_PER_MS < p->doubt_us)
			return true;
	return false;
}

static bool any(const struct path *p)
{
	(void)p;
	return true;
}

static struct path *least_rtt(struct path *const *paths, size_t count,
			      bool (*can)(const struct path *), const struct demand *d)
{
	struct path *best = NULL;

	for (size_t i = 0; i < count; i++)
		if (is_active(paths[i]) && can(paths[i]) && !is_risky(paths[i], paths, count, d) &&
		    (!best || rtt_us(paths[i]) < rtt_us(best)))
			best = paths[i];
	return best;
}

/* ---- weighted ---- */

static struct path *weighted_pick(struct path *const *paths, size_t count, const struct demand *d)
{
	const struct path *last = least_pass(paths, count, is_active);
	struct path *best = least_pass(paths, count, path_has_room);
	double weights = 0;

	(void)d;
	if (!best || best == last)
		return best;
	for (size_t i = 0; i < count; i++)
		weights += paths[i]->weight;
	/* One that is full is waited for, but not at once: short fullness would idle the others. */
	return best->pass - last->pass <= SCHEDULER_LEAD_BYTES / weights ? best : NULL;
}

/* ---- adaptive ---- */

/* Work-conserving: whoever lags because it was full is not owed for it, beyond the lead. */
static void forgive_lag(struct path *const *paths, size_t count)
{
	double most = 0, weights = 0;

	for (size_t i = 0; i < count; i++) {
		weights += paths[i]->weight;
		if (is_active(paths[i]) && paths[i]->pass > most)
			most = paths[i]->pass;
	}
	for (size_t i = 0; i < count; i++)
		if (paths[i]->pass < most - SCHEDULER_LEAD_BYTES / weights)
			paths[i]->pass = most - SCHEDULER_LEAD_BYTES / weights;
}

/* What the others can send until bytes on `p` arrive fits into the window beside these; else they
 * would block the others, as BLEST has it (see below). */
static bool is_worth_waiting_for(const struct path *p, struct path *const *paths, size_t count,
				 const struct demand *d)
{
	uint64_t meanwhile_bytes = p->frame_bytes, at_us = earliest_us(p);

	for (size_t i = 0; i < count; i++) {
		if (!is_active(paths[i]) || earliest_us(paths[i]) >= at_us)
			continue;
		/* What it can send is not known yet: then the round trips have to do. */
		if (paths[i]->rate_Bps == 0 && path_is_far_behind(p, paths[i]))
			return false;
		meanwhile_bytes += paths[i]->rate_Bps * (at_us - earliest_us(paths[i])) / US_PER_S;
	}
	return meanwhile_bytes <= d->window_bytes;
}

/* Of those that are slower than the earliest, and still of use. */
static struct path *slower_one(struct path *const *paths, size_t count, const struct demand *d)
{
	struct path *best = NULL;

	for (size_t i = 0; i < count; i++)
		if (path_has_room(paths[i]) && (!best || paths[i]->pass < best->pass) &&
		    !is_risky(paths[i], paths, count, d) &&
		    is_worth_waiting_for(paths[i], paths, count, d))
			best = paths[i];
	return best;
}

static struct path *adaptive_pick(struct path *const *paths, size_t count, const struct demand *d)
{
	uint64_t first_us = earliest_arrival_us(paths, count);
	struct path *best = NULL;

	if (first_us == NEVER_US)
		return NULL;
	forgive_lag(paths, count);
	for (size_t i = 0; i < count; i++) {
		struct path *p = paths[i];

		if (path_has_room(p) && arrival_us(p) <= equal_until_us(first_us) &&
		    (!best || p->pass < best->pass))
			best = p;
	}
	/* Only slower paths have room: worth it when more bytes are behind these. */
	return best || !d->is_bulk ? best : slower_one(paths, count, d);
}

/* ---- minrtt, ecf, blest: the fastest path, and when a slower one may help ---- */

static struct path *minrtt_pick(struct path *const *paths, size_t count, const struct demand *d)
{
	return least_rtt(paths, count, path_has_room, d);
}

static uint64_t transfer_us(uint64_t bytes, const struct path *p)
{
	return p->rate_Bps ? bytes * US_PER_S / p->rate_Bps : 0;
}

/* Lim et al. 2017: a slower path only if all that there is, sent on the fast one, would take
 * longer than one trip on the slow one. */
static struct path *ecf_pick(struct path *const *paths, size_t count, const struct demand *d)
{
	const struct path *fast = least_rtt(paths, count, any, d);
	struct path *slow = least_rtt(paths, count, path_has_room, d);
	uint64_t left_bytes, margin_us;

	if (!slow || slow == fast)
		return slow;
	left_bytes = d->is_bulk ? d->window_bytes : slow->frame_bytes;
	margin_us = max_u64(fast->rttvar_us, slow->rttvar_us);
	if (path_base_us(fast) + transfer_us(path_load_bytes(fast) + left_bytes, fast) <
	    path_base_us(slow) + margin_us)
		return NULL;
	return slow;
}

/* Ferlin et al. 2016: a slower path only if what the fast one can send meanwhile fits into the
 * window beside it; else the slow bytes would block it. */
static struct path *blest_pick(struct path *const *paths, size_t count, const struct demand *d)
{
	const struct path *fast = least_rtt(paths, count, any, d);
	struct path *slow = least_rtt(paths, count, path_has_room, d);
	uint64_t meanwhile_bytes;

	if (!slow || slow == fast)
		return slow;
	meanwhile_bytes = fast->rate_Bps * path_base_us(slow) / US_PER_S;
	if (!d->is_bulk || meanwhile_bytes + slow->frame_bytes > d->window_bytes)
		return NULL;
	return slow;
}

/* ---- redundant, backup ---- */

static struct path *redundant_pick(struct path *const *paths, size_t count, const struct demand *d)
{
	struct path *fast = least_rtt(paths, count, any, &(struct demand){.is_bulk = true});

	(void)d;
	/* No cap: of bytes that all paths carry nothing can be measured, and TCP sets the pace.
	 * Those that went out on the slow ones only would be late; if it is dead it will stall. */
	return fast && path_is_open(fast) ? fast : NULL;
}

/* The largest weight, then the place in the operator's list. */
static bool is_before(const struct path *a, const struct path *b)
{
	return a->weight > b->weight || (a->weight == b->weight && a->rank < b->rank);
}

static struct path *first_choice(struct path *const *paths, size_t count)
{
	struct path *best = NULL;

	for (size_t i = 0; i < count; i++)
		if (is_active(paths[i]) && (!best || is_before(paths[i], best)))
			best = paths[i];
	return best;
}

static struct path *backup_pick(struct path *const *paths, size_t count, const struct demand *d)
{
	struct path *best = first_choice(paths, count);

	(void)d;
	return best && path_has_room(best) ? best : NULL;
}

/* ---- all ---- */

static const struct scheduler schedulers[] = {
	{.name = "adaptive", .pick = adaptive_pick},
	{.name = "weighted", .pick = weighted_pick},
	{.name = "ecf", .pick = ecf_pick},
	{.name = "blest", .pick = blest_pick},
	{.name = "minrtt", .pick = minrtt_pick},
	{.name = "redundant", .pick = redundant_pick, .is_redundant = true},
	{.name = "backup", .pick = backup_pick, .is_exclusive = true},
};

const char *const scheduler_names[] = {"adaptive", "weighted",	"ecf",	  "blest",
				       "minrtt",   "redundant", "backup", NULL};

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

/* ---- control frames ---- */

/* Others were heard after it, and longer ago than scheduling explains: it may be dead. */
static bool is_stale(const struct path *p, uint64_t newest_us)
{
	return p->heard_us + CONTROL_STALE_MS * US_PER_MS < newest_us;
}

static struct path *heard_last_of_earliest(struct path *const *paths, size_t count)
{
	uint64_t first_us = NEVER_US, newest_us = 0;
	struct path *best = NULL;

	for (size_t i = 0; i < count; i++)
		if (path_is_open(paths[i]))
			newest_us = max_u64(newest_us, paths[i]->heard_us);
	for (size_t i = 0; i < count; i++)
		if (path_is_open(paths[i]) && !is_stale(paths[i], newest_us))
			first_us = min_u64(first_us, arrival_us(paths[i]));
	for (size_t i = 0; i < count; i++) {
		struct path *p = paths[i];

		if (path_is_open(p) && !is_stale(p, newest_us) &&
		    arrival_us(p) <= equal_until_us(first_us) &&
		    (!best || p->heard_us > best->heard_us))
			best = p;
	}
	return best;
}

struct path *scheduler_pick_control(const struct scheduler *s, struct path *const *paths,
				    size_t count)
{
	struct path *p =
		s->is_exclusive ? first_choice(paths, count) : heard_last_of_earliest(paths, count);

	return p && !p->is_blocked ? p : NULL;
}
