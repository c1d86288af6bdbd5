/* Three paths set by hand, for the schedulers to pick from. */
#ifndef TESTS_UNIT_FLOW_TRIO_H
#define TESTS_UNIT_FLOW_TRIO_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h> /* which needs those before it */

#include "common/base/limits.h"
#include "common/flow/scheduler.h"

#define MS 1000u
#define COUNT 3
#define FRAME 10000

/* Rates in bytes per microsecond, so that all can be worked out by heart: `fast` is 10 ms away and
 * takes 10 B/us, `slow` 40 ms and 5 B/us. `spare` is not up, unless a test takes it. */
struct trio {
	struct path fast, slow, spare;
	struct path *list[COUNT];
	const struct scheduler *scheduler;
};

static inline void set_link(struct path *p, uint64_t base_rtt_us, uint64_t bytes_per_us)
{
	p->base_rtt_us = p->rtt_us = base_rtt_us;
	p->rate_Bps = bytes_per_us * 1000000;
}

static inline void trio_init(struct trio *t, const char *scheduler)
{
	memset(t, 0, sizeof(*t));
	t->scheduler = scheduler_find(scheduler);
	assert_non_null(t->scheduler);
	t->list[0] = &t->spare; /* the order is nobody's rank */
	t->list[1] = &t->slow;
	t->list[2] = &t->fast;
	for (uint16_t i = 0; i < COUNT; i++) {
		path_init(t->list[i], NULL, i, 1, FRAME_PAYLOAD_DEFAULT, NULL);
		t->list[i]->frame_bytes = FRAME;
		t->list[i]->cap_bytes = 100000;
	}
	set_link(&t->fast, 10 * MS, 10);
	set_link(&t->slow, 40 * MS, 5);
	t->spare.state = PATH_STALLED;
}

/* As much as its cap allows is in flight. */
static inline void fill(struct path *p)
{
	p->inflight_bytes = p->cap_bytes;
}

static inline const struct path *pick(struct trio *t, bool is_bulk, uint64_t window_bytes)
{
	const struct demand demand = {.is_bulk = is_bulk, .window_bytes = window_bytes};

	return t->scheduler->pick(t->list, COUNT, &demand);
}

static inline const struct path *pick_bulk(struct trio *t)
{
	return pick(t, true, WINDOW_MAX_BYTES);
}

#endif
