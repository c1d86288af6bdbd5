/* The rules of docs/schedulers.md for those that share out, `adaptive` and `weighted`, at their
 * edges: see scheduler_pick_test.c. */
#include "trio.h"

/* ---- adaptive ---- */

/* Both alike: 10/2 ms + 10,000 B / 10 B/us = 6 ms. A quarter of that is below 2 ms. */
static void adaptive_takes_two_milliseconds_for_equal(void **state)
{
	struct trio t;

	(void)state;
	trio_init(&t, "adaptive");
	set_link(&t.slow, 10 * MS, 10);
	t.fast.pass = 1000;
	t.slow.doubt_us = 2 * MS;
	assert_ptr_equal(pick(&t, false, 1), &t.slow); /* of equals, the one that has had less */
	t.slow.doubt_us++;
	assert_ptr_equal(pick(&t, false, 1), &t.fast);
}

/* 38/2 + 1 = 20 ms, and up to 25. */
static void adaptive_takes_a_quarter_for_equal(void **state)
{
	struct trio t;

	(void)state;
	trio_init(&t, "adaptive");
	set_link(&t.fast, 38 * MS, 10);
	set_link(&t.slow, 38 * MS, 10);
	t.fast.pass = 1000;
	t.slow.doubt_us = 5 * MS;
	assert_ptr_equal(pick(&t, false, 1), &t.slow);
	t.slow.doubt_us++;
	assert_ptr_equal(pick(&t, false, 1), &t.fast);
}

/* What is in flight is in front: 5 + (150,000 + 10,000) / 10 = 21 ms; slow: 20 + 2 = 22 ms. */
static void adaptive_counts_what_is_in_flight(void **state)
{
	struct trio t;

	(void)state;
	trio_init(&t, "adaptive");
	t.fast.pass = 1000;
	t.fast.cap_bytes = 200000;
	t.fast.inflight_bytes = 150000;
	assert_ptr_equal(pick(&t, false, 1), &t.slow);
	t.fast.inflight_bytes = 100000; /* 16 ms, and up to 20 */
	assert_ptr_equal(pick(&t, false, 1), &t.fast);
}

/* Fast arrives at 16 ms when it is full, slow at 40 + 2 = 42: meanwhile 26 ms * 10 B/us = 260,000
 * B, and a frame of 10,000. */
static void set_far(struct trio *t)
{
	trio_init(t, "adaptive");
	set_link(&t->slow, 80 * MS, 5);
	fill(&t->fast);
}

static void adaptive_wants_a_window_for_what_is_faster(void **state)
{
	struct trio t;

	(void)state;
	set_far(&t);
	assert_ptr_equal(pick(&t, true, 270000), &t.slow);
	assert_null(pick(&t, true, 269999));
	assert_null(pick(&t, false, WINDOW_MAX_BYTES)); /* what is no bulk waits */
	t.slow.doubt_us = 100 * MS;			/* is left out here */
	assert_ptr_equal(pick(&t, true, 270000), &t.slow);
	assert_null(pick(&t, true, 269999));
}

/* A second one that is faster: 20/2 + (20,000 + 10,000) / 2 = 25 ms; 17 ms * 2 B/us = 34,000 B. */
static void adaptive_adds_up_all_that_are_faster(void **state)
{
	struct trio t;

	(void)state;
	set_far(&t);
	path_activate(&t.spare);
	set_link(&t.spare, 20 * MS, 2);
	t.spare.cap_bytes = 20000;
	fill(&t.spare);
	assert_ptr_equal(pick(&t, true, 304000), &t.slow);
	assert_null(pick(&t, true, 303999));
	t.spare.rate_Bps = 0; /* nobody knows how much that would be: 20 ms are far below 80 */
	assert_null(pick_bulk(&t));
	set_link(&t.spare, 40 * MS, 0); /* these are not, and then it counts nothing */
	assert_ptr_equal(pick(&t, true, 270000), &t.slow);
	assert_null(pick(&t, true, 269999));
}

static void adaptive_shares_out_what_is_slower(void **state)
{
	struct trio t;

	(void)state;
	set_far(&t);
	path_activate(&t.spare);
	set_link(&t.spare, 90 * MS, 5);
	t.slow.pass = 1000;
	assert_ptr_equal(pick_bulk(&t), &t.spare);
	t.spare.pass = 1001;
	assert_ptr_equal(pick_bulk(&t), &t.slow);
}

/* 1 MiB for all weights together, 1 + 3 + 4: 128 KiB for each unit. */
static void adaptive_owes_no_more_than_the_lead(void **state)
{
	struct trio t;

	(void)state;
	trio_init(&t, "adaptive");
	t.slow.weight = 3;
	t.spare.weight = 4;
	t.fast.pass = 1e9;
	t.slow.pass = 1e9 - 128 * KIB;
	assert_non_null(pick_bulk(&t));
	assert_true(t.slow.pass == 1e9 - 128 * KIB);
	t.slow.pass--;
	assert_non_null(pick_bulk(&t));
	assert_true(t.slow.pass == 1e9 - 128 * KIB);
	assert_true(t.fast.pass == 1e9);
}

/* ---- weighted ---- */

/* The same lead: a full path is waited for when the other would be further ahead than that. */
static void weighted_waits_when_the_lead_is_used_up(void **state)
{
	struct trio t;

	(void)state;
	trio_init(&t, "weighted");
	t.slow.weight = 3;
	t.spare.weight = 4;
	fill(&t.fast);
	t.slow.pass = 128 * KIB;
	assert_ptr_equal(pick_bulk(&t), &t.slow);
	t.slow.pass++;
	assert_null(pick_bulk(&t));
	t.fast.inflight_bytes = 0;
	assert_ptr_equal(pick_bulk(&t), &t.fast);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adaptive_takes_two_milliseconds_for_equal),
		cmocka_unit_test(adaptive_takes_a_quarter_for_equal),
		cmocka_unit_test(adaptive_counts_what_is_in_flight),
		cmocka_unit_test(adaptive_wants_a_window_for_what_is_faster),
		cmocka_unit_test(adaptive_adds_up_all_that_are_faster),
		cmocka_unit_test(adaptive_shares_out_what_is_slower),
		cmocka_unit_test(adaptive_owes_no_more_than_the_lead),
		cmocka_unit_test(weighted_waits_when_the_lead_is_used_up),
	};

	return cmocka_run_group_tests_name("scheduler_share", tests, NULL, NULL);
}
