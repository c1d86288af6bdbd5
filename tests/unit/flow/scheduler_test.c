/* The schedulers over paths that are set by hand: shares, room, arrival, leads and joins. */
#include "common/flow/scheduler.h"

#include "common/base/limits.h"
#include "common/base/rng.h"

#include <math.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT 3
#define FRAME_MAX (64 * KIB)

/* Three paths of ratio 1:2:3. */
struct trio {
	struct path paths[COUNT];
	struct path *list[COUNT];
	const struct scheduler *scheduler;
	uint64_t sent[COUNT], sent_total;
};

static void trio_init(struct trio *t, const char *scheduler)
{
	memset(t, 0, sizeof(*t));
	t->scheduler = scheduler_find(scheduler);
	assert_non_null(t->scheduler);
	for (uint16_t i = 0; i < COUNT; i++) {
		path_init(&t->paths[i], NULL, i, i + 1u, FRAME_PAYLOAD_DEFAULT, NULL);
		t->list[i] = &t->paths[i];
	}
}

/* Links of 10, 20 and 30 MB/s, all 10 ms away. */
static void set_rates(struct trio *t)
{
	for (uint64_t i = 0; i < COUNT; i++) {
		t->paths[i].rate_Bps = (i + 1) * 10000000;
		t->paths[i].base_rtt_us = t->paths[i].rtt_us = 10000;
		t->paths[i].cap_bytes = (i + 1) * 200000;
	}
}

static struct path *pick(struct trio *t, bool is_bulk)
{
	struct demand demand = {.is_bulk = is_bulk, .window_bytes = WINDOW_MAX_BYTES};
	struct path *p = t->scheduler->pick(t->list, COUNT, &demand);

	assert_true(!p || path_has_room(p));
	return p;
}

/* Sends `len` bytes where they belong; false: they have to wait. */
static bool send_some(struct trio *t, uint32_t len, bool is_bulk)
{
	struct path *p = pick(t, is_bulk);

	if (!p)
		return false;
	scheduler_on_sent(p, len);
	p->inflight_bytes += len;
	t->sent[p->index] += len;
	t->sent_total += len;
	return true;
}

static void empty_all(struct trio *t)
{
	for (size_t i = 0; i < COUNT; i++)
		t->paths[i].inflight_bytes = 0;
}

static void assert_shares(const struct trio *t, double slack_bytes)
{
	for (size_t i = 0; i < COUNT; i++) {
		double share = (double)t->sent_total * t->paths[i].weight / 6;

		assert_true(fabs((double)t->sent[i] - share) <= slack_bytes);
	}
}

static void found_by_name(void **state)
{
	(void)state;
	for (size_t i = 0; scheduler_names[i]; i++)
		assert_string_equal(scheduler_find(scheduler_names[i])->name, scheduler_names[i]);
	assert_string_equal(scheduler_names[0], "adaptive");
	assert_null(scheduler_find("Adaptive"));
	assert_null(scheduler_find(""));
}

/* ---- weighted ---- */

/* Whatever the lengths of the frames, and whoever is full for a while. */
static void weighted_shares_are_exact(void **state)
{
	struct trio t;
	struct rng rng;

	(void)state;
	trio_init(&t, "weighted");
	rng_init(&rng, 1);
	for (int i = 0; i < 100000; i++) {
		for (size_t k = 0; k < COUNT; k++)
			t.paths[k].is_blocked = rng_below(&rng, 3) == 0;
		send_some(&t, 1 + (uint32_t)rng_below(&rng, FRAME_MAX), true);
		empty_all(&t);
	}
	assert_true(t.sent_total > 1000000000);
	assert_shares(&t, SCHEDULER_LEAD_BYTES + 2 * FRAME_MAX);
}

static void weighted_frames_take_turns(void **state)
{
	struct trio t;

	(void)state;
	trio_init(&t, "weighted");
	for (int i = 0; i < 6 * 100; i++) {
		assert_true(send_some(&t, 1000, false));
		empty_all(&t);
		assert_shares(&t, 2000);
	}
	assert_shares(&t, 0);
}

/* A path that is full holds the others back, though not at once. */
static void weighted_lead_is_bounded(void **state)
{
	struct trio t;

	(void)state;
	trio_init(&t, "weighted");
	t.paths[1].is_blocked = true;
	while (send_some(&t, 1000, true))
		empty_all(&t);
	assert_int_equal(t.sent[1], 0);
	/* 4/6 of the lead belong to the two others. */
	assert_in_range(t.sent_total, SCHEDULER_LEAD_BYTES * 4 / 6,
			SCHEDULER_LEAD_BYTES * 4 / 6 + 2000);
	t.paths[1].is_blocked = false;
	for (int i = 0; i < 600; i++) {
		assert_true(send_some(&t, 1000, true));
		empty_all(&t);
	}
	assert_true(t.sent[1] >= 345000); /* it catches up: only it sends */
}

static void weighted_goes_on_without_a_dead_path(void **state)
{
	struct trio t;

	(void)state;
	trio_init(&t, "weighted");
	t.paths[1].state = PATH_STALLED;
	for (int i = 0; i < 40000; i++) {
		assert_true(send_some(&t, 1000, true));
		empty_all(&t);
	}
	assert_int_equal(t.sent[1], 0);
	assert_in_range(t.sent[2], 3 * t.sent[0] - 3000, 3 * t.sent[0] + 3000);
}

/* ---- adaptive ---- */

/* When no path is full, the ratios decide. */
static void adaptive_follows_the_ratios_at_half_load(void **state)
{
	struct trio t;

	(void)state;
	trio_init(&t, "adaptive");
	set_rates(&t);
	for (int i = 0; i < 10000; i++) {
		assert_true(send_some(&t, 4096, false));
		/* Half of what the links take: 30 MB/s for 136 us. */
		for (size_t k = 0; k < COUNT; k++) {
			uint64_t left = t.paths[k].rate_Bps * 136 / 1000000;

			t.paths[k].inflight_bytes -=
				t.paths[k].inflight_bytes < left ? t.paths[k].inflight_bytes : left;
		}
	}
	assert_shares(&t, (double)t.sent_total / 100);
}

/* Ratios that do not fit the links are no reason to leave one idle. */
static void adaptive_fills_all_paths_at_full_load(void **state)
{
	struct trio t;

	(void)state;
	trio_init(&t, "adaptive");
	set_rates(&t);
	t.paths[0].weight = 1000;
	while (send_some(&t, 4096, true))
		;
	for (size_t i = 0; i < COUNT; i++)
		assert_true(t.paths[i].inflight_bytes + 4096 >
			    t.paths[i].cap_bytes - t.paths[i].frame_bytes);
}

static void adaptive_sends_a_small_message_where_it_arrives_first(void **state)
{
	struct trio t;

	(void)state;
	trio_init(&t, "adaptive");
	set_rates(&t);
	t.paths[1].base_rtt_us = t.paths[2].base_rtt_us = 80000;
	t.paths[0].pass = 1e9; /* whatever the ratios say */
	t.paths[1].pass = t.paths[2].pass = 1e9 - 1000;
	assert_ptr_equal(pick(&t, false), &t.paths[0]);
	/* When that one is full, waiting for it is better than the slow ones, unless there is
	 * more behind. */
	t.paths[0].is_blocked = true;
	assert_null(pick(&t, false));
	assert_non_null(pick(&t, true));
}

static void adaptive_prefers_the_idle_of_equal_paths(void **state)
{
	struct trio t;

	(void)state;
	trio_init(&t, "adaptive");
	set_rates(&t);
	t.paths[1].inflight_bytes = 190000;
	t.paths[2].inflight_bytes = 290000;
	t.paths[0].pass = 10;
	assert_ptr_equal(pick(&t, false), &t.paths[0]);
}

/* A path without a sample yet is tried, not starved. */
static void adaptive_tries_what_is_new(void **state)
{
	struct trio t;

	(void)state;
	trio_init(&t, "adaptive");
	set_rates(&t);
	t.paths[2].rate_Bps = 0;
	for (size_t i = 0; i < 2; i++)
		t.paths[i].inflight_bytes = t.paths[i].cap_bytes / 2;
	assert_ptr_equal(pick(&t, false), &t.paths[2]);
	/* But one that nobody knows the way of waits for its probe, when others are known. */
	t.paths[2].base_rtt_us = 0;
	assert_ptr_not_equal(pick(&t, false), &t.paths[2]);
}

/* What the new one can carry is not known: then their round trips say whether to wait for it. */
static void adaptive_goes_on_beside_what_is_new(void **state)
{
	struct trio t;

	(void)state;
	trio_init(&t, "adaptive");
	set_rates(&t);
	t.paths[2].rate_Bps = 0;
	t.paths[2].inflight_bytes = t.paths[2].cap_bytes;
	t.paths[0].is_blocked = true;
	t.paths[1].inflight_bytes = t.paths[1].cap_bytes / 2;
	assert_ptr_equal(pick(&t, true), &t.paths[1]);
	t.paths[1].base_rtt_us = 21000; /* more than twice the new one's */
	assert_null(pick(&t, true));
}

/* One that was full for long is not owed all of what the others carried. */
static void adaptive_forgives_more_than_the_lead(void **state)
{
	struct trio t;

	(void)state;
	trio_init(&t, "adaptive");
	set_rates(&t);
	t.paths[0].is_blocked = true;
	for (int i = 0; i < 20000; i++) {
		assert_true(send_some(&t, 4096, true));
		empty_all(&t);
	}
	t.paths[0].is_blocked = false;
	t.sent[0] = t.sent[1] = t.sent[2] = 0;
	for (int i = 0; i < 1000; i++) {
		assert_true(send_some(&t, 4096, true));
		empty_all(&t);
	}
	assert_in_range(t.sent[0], 1000 * 4096 / 6, 1000 * 4096 / 6 + SCHEDULER_LEAD_BYTES);
}

static void nobody_is_picked_when_nobody_has_room(void **state)
{
	static const char *const names[] = {"adaptive", "weighted"};
	struct trio t;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		trio_init(&t, names[i]);
		t.paths[0].state = PATH_STALLED;
		t.paths[1].is_blocked = true;
		t.paths[2].inflight_bytes = t.paths[2].cap_bytes;
		assert_null(pick(&t, true));
		assert_null(t.scheduler->pick(t.list, 0, &(struct demand){.is_bulk = true}));
	}
}

/* ---- joining, control frames ---- */

static void a_path_joins_level(void **state)
{
	struct trio t;

	(void)state;
	trio_init(&t, "weighted");
	t.paths[0].pass = 5e6;
	t.paths[1].pass = 7e6;
	t.paths[2].pass = 9e9; /* what it had in another life */
	scheduler_on_join(t.list, 2, &t.paths[2]);
	assert_true(t.paths[2].pass == 7e6);
	scheduler_on_join(t.list, 0, &t.paths[2]);
	assert_true(t.paths[2].pass == 0);
}

static void control_goes_where_it_arrives_first(void **state)
{
	struct trio t;

	(void)state;
	trio_init(&t, "weighted");
	set_rates(&t);
	t.paths[2].base_rtt_us = 5000;
	t.paths[2].heard_us = 1000; /* breaks the tie between those that are about as fast */
	assert_ptr_equal(scheduler_pick_control(t.scheduler, t.list, COUNT), &t.paths[2]);
	t.paths[2].inflight_bytes = 600000; /* 20 ms of queue; full is no hindrance */
	t.paths[1].inflight_bytes = t.paths[1].cap_bytes;
	t.paths[0].inflight_bytes = 300000;
	assert_ptr_equal(scheduler_pick_control(t.scheduler, t.list, COUNT), &t.paths[2]);
	t.paths[1].heard_us = 2000;
	assert_ptr_equal(scheduler_pick_control(t.scheduler, t.list, COUNT), &t.paths[1]);
	t.paths[1].heard_us = 0;
	t.paths[2].is_blocked = true;
	assert_ptr_equal(scheduler_pick_control(t.scheduler, t.list, COUNT), &t.paths[1]);
	t.paths[1].state = PATH_STALLED;
	assert_ptr_equal(scheduler_pick_control(t.scheduler, t.list, COUNT), &t.paths[0]);
	assert_null(scheduler_pick_control(t.scheduler, t.list, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(found_by_name),
		cmocka_unit_test(weighted_shares_are_exact),
		cmocka_unit_test(weighted_frames_take_turns),
		cmocka_unit_test(weighted_lead_is_bounded),
		cmocka_unit_test(weighted_goes_on_without_a_dead_path),
		cmocka_unit_test(adaptive_follows_the_ratios_at_half_load),
		cmocka_unit_test(adaptive_fills_all_paths_at_full_load),
		cmocka_unit_test(adaptive_sends_a_small_message_where_it_arrives_first),
		cmocka_unit_test(adaptive_prefers_the_idle_of_equal_paths),
		cmocka_unit_test(adaptive_tries_what_is_new),
		cmocka_unit_test(adaptive_goes_on_beside_what_is_new),
		cmocka_unit_test(adaptive_forgives_more_than_the_lead),
		cmocka_unit_test(nobody_is_picked_when_nobody_has_room),
		cmocka_unit_test(a_path_joins_level),
		cmocka_unit_test(control_goes_where_it_arrives_first),
	};

	return cmocka_run_group_tests_name("scheduler", tests, NULL, NULL);
}
