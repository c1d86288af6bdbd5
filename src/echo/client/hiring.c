/* At most as many workers connect at the same time as there are processors. When one has its quota
 * and more are wanted, the next is forked: a process has open files for some 20,000 only. */
#include "echo/client/hiring.h"

#include "common/base/minmax.h"
#include "echo/client/capacity.h"
#include "echo/client/now.h"

#include <errno.h>

struct hiring {
	struct crew *crew;
	uint64_t left; /* connections that no worker was asked for yet */
	uint32_t capacity, processors;
	uint32_t wanted; /* workers that share what is asked for evenly */
	uint32_t workers_max;
	bool is_settled[PLAN_WORKERS_MAX]; /* its last answer was looked at */
	enum cause stopped_by;
};

static void init(struct hiring *h, struct crew *c)
{
	const struct plan *plan = c->plan;
	uint64_t needed;

	*h = (struct hiring){.crew = c,
			     .left = plan->connections,
			     .capacity = capacity_of_worker(plan->model),
			     .processors = capacity_processors(),
			     .workers_max = plan->workers ? plan->workers : PLAN_WORKERS_MAX};
	needed = ((uint64_t)plan->connections + h->capacity - 1) / h->capacity;
	needed = max_u64(needed, min_u64(plan->connections, h->processors));
	h->wanted = plan->workers ? plan->workers : (uint32_t)min_u64(needed, PLAN_WORKERS_MAX);
	if (plan->connections == PLAN_UNLIMITED)
		h->left = UINT64_MAX;
}

static uint32_t next_quota(const struct hiring *h)
{
	uint32_t count = h->crew->count;
	uint64_t share = h->left;

	if (h->left != UINT64_MAX && count < h->wanted)
		share = (h->left + (h->wanted - count) - 1) / (h->wanted - count);
	return (uint32_t)min_u64(share, h->capacity);
}

static bool can_hire(const struct hiring *h)
{
	return h->stopped_by == CAUSE_NONE && h->left > 0 && h->crew->working < h->processors &&
	       h->crew->count < h->workers_max;
}

static void hire(struct hiring *h)
{
	struct crew *c = h->crew;
	uint32_t quota = next_quota(h);
	int err = crew_hire(c);

	if (err) {
		h->stopped_by = err == -EAGAIN ? CAUSE_NO_TASKS : cause_of(err);
		return;
	}
	if (h->left != UINT64_MAX)
		h->left -= quota;
	c->members[c->count - 1].quota = quota;
	crew_order(c, &c->members[c->count - 1], STAGE_CONNECT, quota);
}

static uint64_t tried_by(const struct result *r)
{
	uint64_t tried = r->connected;

	for (int cause = 0; cause < CAUSE_COUNT; cause++)
		tried += r->failed[cause];
	return tried;
}

static void settle(struct hiring *h, uint32_t index)
{
	const struct member *m = &h->crew->members[index];
	const struct result *r = &h->crew->board->results[index];

	h->is_settled[index] = true;
	if (m->answer.cause == CAUSE_NONE)
		return;
	if (m->answer.cause != CAUSE_PROCESS_FILES || r->connected == 0) {
		if (h->stopped_by == CAUSE_NONE)
			h->stopped_by = m->answer.cause;
		return;
	}
	/* Its files were fewer than we thought: what it did not try is another one's. */
	if (h->left != UINT64_MAX)
		h->left += m->quota - min_u64(tried_by(r), m->quota);
}

enum cause hiring_run(struct crew *c)
{
	struct hiring h;

	init(&h, c);
	do {
		while (can_hire(&h))
			hire(&h);
		if (c->working > 0)
			crew_wait(c, NEVER_NS);
		for (uint32_t i = 0; i < c->count; i++)
			if (!c->members[i].is_working && !h.is_settled[i])
				settle(&h, i);
	} while (!c->is_interrupted && (c->working > 0 || can_hire(&h)));
	if (c->is_interrupted)
		return CAUSE_INTERRUPTED;
	if (h.stopped_by == CAUSE_NONE && h.left > 0)
		return CAUSE_NO_WORKERS;
	return h.stopped_by;
}
