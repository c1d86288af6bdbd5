/* At most as many workers connect at the same time as there are processors. When one has its quota
 * and more are wanted, the next is forked: a process has open files for some 20,000 only. */
#include "echo/client/hiring.h"

#include "common/base/clock.h"
#include "common/base/minmax.h"
#include "echo/client/memory.h"
#include "echo/common/capacity.h"

#include <errno.h>

/* How often we look at the memory that is left: at 30,000 connections a second, of 10 KB each in
 * the kernel, 15 MB are gone meanwhile; at 5,000 processes of 200 KB, 50. */
#define LOOK_NS (50 * NS_PER_MS)

struct hiring {
	struct crew *crew;
	uint64_t left; /* connections that no worker was asked for yet */
	bool is_cut;   /* there are more to be had, but not for us: epoll's watches */
	uint32_t capacity, processors;
	uint32_t wanted; /* workers that share what is asked for evenly */
	uint32_t workers_max;
	bool is_settled[PLAN_WORKERS_MAX]; /* its last answer was looked at */
	enum cause stopped_by;
};

static uint32_t capacity_of(const struct plan *plan)
{
	static const enum capacity_model models[] = {
		[MODEL_THREAD] = CAPACITY_THREADS,
		[MODEL_FORK] = CAPACITY_FORKS,
		[MODEL_EVENT] = CAPACITY_FILES, /* watches are cut for all workers together */
	};

	return min_u32(capacity_of_process(models[plan->model], 1), PLAN_WORKER_CONNECTIONS_MAX);
}

static void init(struct hiring *h, struct crew *c)
{
	const struct plan *plan = c->plan;
	uint64_t watches = plan->model == MODEL_EVENT ? capacity_of_watches() : UINT64_MAX;
	uint64_t asked = plan->connections == PLAN_UNLIMITED ? UINT64_MAX : plan->connections;
	uint64_t needed;

	*h = (struct hiring){.crew = c,
			     .left = min_u64(asked, watches),
			     .is_cut = watches < asked,
			     .capacity = capacity_of(plan),
			     .processors = processors(),
			     .workers_max = plan->workers ? plan->workers : PLAN_WORKERS_MAX};
	needed = max_u64(h->left / h->capacity + (h->left % h->capacity > 0),
			 min_u64(h->left, h->processors));
	h->wanted = plan->workers ? plan->workers : (uint32_t)min_u64(needed, PLAN_WORKERS_MAX);
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

/* All workers stop at what they have; what is there is held and verified. */
static void look_at_memory(struct hiring *h)
{
	if (h->crew->plan->test != TEST_CONNECTIONS || h->stopped_by != CAUSE_NONE ||
	    !memory_is_scarce())
		return;
	h->stopped_by = CAUSE_NO_MEMORY;
	atomic_store(&h->crew->board->stop, CAUSE_NO_MEMORY);
}

static enum cause stopped_by(const struct hiring *h)
{
	if (h->crew->is_interrupted)
		return CAUSE_INTERRUPTED;
	if (h->stopped_by != CAUSE_NONE)
		return h->stopped_by;
	if (h->left > 0)
		return CAUSE_NO_WORKERS;
	return h->is_cut ? CAUSE_NO_WATCHES : CAUSE_NONE;
}

enum cause hiring_run(struct crew *c)
{
	struct hiring h;

	init(&h, c);
	do {
		look_at_memory(&h);
		while (can_hire(&h))
			hire(&h);
		if (c->working > 0)
			crew_wait(c, clock_now_ns() + LOOK_NS);
		for (uint32_t i = 0; i < c->count; i++)
			if (!c->members[i].is_working && !h.is_settled[i])
				settle(&h, i);
	} while (!c->is_interrupted && (c->working > 0 || can_hire(&h)));
	return stopped_by(&h);
}
