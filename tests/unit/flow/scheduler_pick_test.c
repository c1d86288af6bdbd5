/* The rules of docs/schedulers.md at their edges, with numbers that are worked out beside them:
 * one byte or microsecond more, and the pick is another. `adaptive` and `weighted` have a file of
 * their own. */
#include "trio.h"

/* ---- what all have in common ---- */

/* Only a path that is up carries something, whatever the scheduler. */
static void what_is_not_up_is_never_picked(void **state)
{
	static const enum path_state states[] = {PATH_STALLED, PATH_PARKED, PATH_PREPARED,
						 PATH_DRAINING, PATH_GONE};
	struct trio t;

	(void)state;
	for (size_t i = 0; scheduler_names[i]; i++)
		for (size_t k = 0; k < sizeof(states) / sizeof(states[0]); k++) {
			trio_init(&t, scheduler_names[i]);
			t.fast.state = states[k];
			t.fast.weight = 9;
			assert_ptr_equal(pick_bulk(&t), &t.slow);
			assert_ptr_equal(scheduler_pick_control(t.scheduler, t.list, COUNT),
					 &t.slow);
			t.slow.state = states[k];
			assert_null(pick_bulk(&t));
			assert_null(scheduler_pick_control(t.scheduler, t.list, COUNT));
		}
}

/* A socket that takes no more has no room, nor has a path on which a frame would pass its cap; to
 * `redundant`, which has no cap, it has. */
static void room_is_what_socket_and_cap_allow(void **state)
{
	struct trio t;

	(void)state;
	for (size_t i = 0; scheduler_names[i]; i++) {
		trio_init(&t, scheduler_names[i]);
		t.slow.state = PATH_STALLED;
		t.fast.inflight_bytes = t.fast.cap_bytes - FRAME;
		assert_ptr_equal(pick_bulk(&t), &t.fast);
		t.fast.inflight_bytes++;
		assert_ptr_equal(pick_bulk(&t), t.scheduler->is_redundant ? &t.fast : NULL);
		t.fast.inflight_bytes = 0;
		t.fast.is_blocked = true;
		assert_null(pick_bulk(&t));
	}
}

/* ---- minrtt, and what all after it go by ---- */

static void minrtt_takes_the_least_rtt_with_room(void **state)
{
	struct trio t;

	(void)state;
	trio_init(&t, "minrtt");
	assert_ptr_equal(pick_bulk(&t), &t.fast);
	fill(&t.fast);
	assert_ptr_equal(pick(&t, false, 1), &t.slow); /* however little there is */
	fill(&t.slow);
	assert_null(pick_bulk(&t));
}

/* It may end with these bytes, and would end as late as they are. */
static void a_short_transfer_keeps_off_a_path_that_was_late(void **state)
{
	static const char *const names[] = {"adaptive", "minrtt", "ecf", "blest"};
	const struct demand of_short = {.is_bulk = true,
					.is_short = true,
					.window_bytes = WINDOW_MAX_BYTES};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct trio t;

		trio_init(&t, names[i]);
		fill(&t.fast);
		t.slow.doubt_us = LATE_SLACK_MS * MS;
		assert_ptr_equal(t.scheduler->pick(t.list, COUNT, &of_short), &t.slow);
		t.slow.doubt_us++;
		assert_null(t.scheduler->pick(t.list, COUNT, &of_short));
		assert_ptr_equal(pick_bulk(&t), &t.slow);
		t.fast.doubt_us = MS; /* none is free of it */
		assert_ptr_equal(t.scheduler->pick(t.list, COUNT, &of_short), &t.slow);
	}
}

/* One that is slower all the same is no reason to keep off it. */
static void a_short_transfer_takes_no_detour(void **state)
{
	const struct demand of_short = {.is_bulk = true,
					.is_short = true,
					.window_bytes = WINDOW_MAX_BYTES};
	struct trio t;

	(void)state;
	trio_init(&t, "minrtt");
	t.fast.doubt_us = 2 * LATE_SLACK_MS * MS;
	assert_ptr_equal(t.scheduler->pick(t.list, COUNT, &of_short), &t.fast);
}

/* 10 + 29 < 40 < 10 + 31 ms. */
static void doubt_counts_as_rtt(void **state)
{
	struct trio t;

	(void)state;
	trio_init(&t, "minrtt");
	t.fast.doubt_us = 29 * MS;
	assert_ptr_equal(pick_bulk(&t), &t.fast);
	t.fast.doubt_us = 31 * MS;
	assert_ptr_equal(pick_bulk(&t), &t.slow);
}

static void an_unknown_rtt_counts_as_a_second(void **state)
{
	struct trio t;

	(void)state;
	trio_init(&t, "minrtt");
	t.fast.base_rtt_us = 0;
	t.slow.base_rtt_us = 999 * MS;
	assert_ptr_equal(pick_bulk(&t), &t.slow);
	t.slow.base_rtt_us = 1001 * MS;
	assert_ptr_equal(pick_bulk(&t), &t.fast);
}

/* ---- ecf ---- */

/* Fast: 10 ms + (100,000 B in flight + left) / 10 B/us. Slow: 40 ms + 5 ms, the larger rttvar.
 * Even at 35 ms * 10 B/us = 350,000 B, so that 250,000 are left. */
static void ecf_waits_while_the_fast_path_would_be_done_sooner(void **state)
{
	struct trio t;

	(void)state;
	trio_init(&t, "ecf");
	assert_ptr_equal(pick_bulk(&t), &t.fast);
	fill(&t.fast);
	t.fast.rttvar_us = 2 * MS;
	t.slow.rttvar_us = 5 * MS;
	assert_ptr_equal(pick(&t, true, 250000), &t.slow);
	assert_null(pick(&t, true, 249999));
	t.fast.rttvar_us = 5 * MS;
	t.slow.rttvar_us = 2 * MS;
	assert_ptr_equal(pick(&t, true, 250000), &t.slow);
	assert_null(pick(&t, true, 249999));
	fill(&t.slow);
	assert_null(pick_bulk(&t));
}

/* What is no bulk is one frame, whatever the window. */
static void ecf_counts_one_frame_of_what_is_no_bulk(void **state)
{
	struct trio t;

	(void)state;
	trio_init(&t, "ecf");
	fill(&t.fast);
	t.fast.inflight_bytes = 290000; /* 10 + (290,000 + 10,000) / 10 = 40 ms */
	assert_ptr_equal(pick(&t, false, WINDOW_MAX_BYTES), &t.slow);
	t.fast.inflight_bytes--;
	assert_null(pick(&t, false, WINDOW_MAX_BYTES));
}

/* ---- blest ---- */

/* While bytes make the slow round trip of 40 ms the fast path sends 400,000; a frame is 10,000. */
static void blest_wants_a_window_for_both(void **state)
{
	struct trio t;

	(void)state;
	trio_init(&t, "blest");
	assert_ptr_equal(pick(&t, false, 1), &t.fast);
	fill(&t.fast);
	assert_ptr_equal(pick(&t, true, 410000), &t.slow);
	assert_null(pick(&t, true, 409999));
	assert_null(pick(&t, false, WINDOW_MAX_BYTES)); /* only bulk goes there */
	t.fast.state = PATH_STALLED;
	assert_ptr_equal(pick(&t, false, 1), &t.slow); /* now it is the fastest */
}

/* ---- redundant, backup ---- */

static void redundant_goes_by_the_fastest(void **state)
{
	struct trio t;

	(void)state;
	trio_init(&t, "redundant");
	assert_true(t.scheduler->is_redundant);
	fill(&t.fast);
	assert_ptr_equal(pick(&t, false, 1), &t.fast); /* no cap */
	t.fast.is_blocked = true;
	assert_null(pick_bulk(&t)); /* the slow one's copy alone would be late */
}

static void backup_takes_the_largest_weight_then_the_first(void **state)
{
	struct trio t;

	(void)state;
	trio_init(&t, "backup");
	t.fast.rank = 2;
	t.slow.rank = 1;
	assert_ptr_equal(pick_bulk(&t), &t.slow);
	t.fast.weight = 2;
	assert_ptr_equal(pick_bulk(&t), &t.fast);
	path_activate(&t.spare);
	t.spare.weight = 2; /* and rank 0 */
	assert_ptr_equal(pick_bulk(&t), &t.spare);
}

/* Full or not, late or not: no other while it is up; acknowledgements keep to it as well. */
static void backup_uses_no_other_while_it_is_up(void **state)
{
	struct trio t;

	(void)state;
	trio_init(&t, "backup");
	t.slow.weight = 2;
	t.slow.doubt_us = 200 * MS;
	fill(&t.slow);
	assert_null(pick_bulk(&t));
	assert_ptr_equal(scheduler_pick_control(t.scheduler, t.list, COUNT), &t.slow);
	t.slow.is_blocked = true;
	assert_null(scheduler_pick_control(t.scheduler, t.list, COUNT));
	t.slow.state = PATH_STALLED;
	assert_ptr_equal(pick_bulk(&t), &t.fast);
	assert_ptr_equal(scheduler_pick_control(t.scheduler, t.list, COUNT), &t.fast);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_up_is_never_picked),
		cmocka_unit_test(room_is_what_socket_and_cap_allow),
		cmocka_unit_test(minrtt_takes_the_least_rtt_with_room),
		cmocka_unit_test(a_short_transfer_keeps_off_a_path_that_was_late),
		cmocka_unit_test(a_short_transfer_takes_no_detour),
		cmocka_unit_test(doubt_counts_as_rtt),
		cmocka_unit_test(an_unknown_rtt_counts_as_a_second),
		cmocka_unit_test(ecf_waits_while_the_fast_path_would_be_done_sooner),
		cmocka_unit_test(ecf_counts_one_frame_of_what_is_no_bulk),
		cmocka_unit_test(blest_wants_a_window_for_both),
		cmocka_unit_test(redundant_goes_by_the_fastest),
		cmocka_unit_test(backup_takes_the_largest_weight_then_the_first),
		cmocka_unit_test(backup_uses_no_other_while_it_is_up),
	};

	return cmocka_run_group_tests_name("scheduler_pick", tests, NULL, NULL);
}
