/* with: src/mcast/generator/pace.c */
/* When bursts are due: evenly, together, without drift at any rate, and how far behind is too far.
 */
#include "mcast/generator/pace.h"

#include "common/base/clock.h"
#include "common/base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define START 1000

static void test_spread(void **state)
{
	struct pace p = {START, 1000, 4, 1, false};

	(void)state;
	for (uint64_t turn = 0; turn < 100; turn++) {
		assert_int_equal(pace_due_ns(&p, turn), START + turn * 250000);
		assert_int_equal(pace_stream(&p, turn), turn % 4);
	}
	assert_int_equal(pace_gap_ns(&p), 250000);
	p.burst = 8; /* the same rate, each turn is worth eight */
	assert_int_equal(pace_due_ns(&p, 5), START + 5 * 2000000);
	assert_int_equal(pace_gap_ns(&p), 2000000);
}

static void test_together(void **state)
{
	struct pace p = {START, 1000, 4, 2, true};

	(void)state;
	for (uint64_t turn = 0; turn < 100; turn++)
		assert_int_equal(pace_due_ns(&p, turn), START + turn / 4 * 2000000);
	assert_int_equal(pace_gap_ns(&p), 2000000);
}

/* Whole seconds are met exactly by rates that divide no second, for ever and at the largest. */
static void test_no_drift(void **state)
{
	struct pace p = {START, 3333, 7, 1, false};
	struct pace most = {START, PACE_RATE_MAX, TRAFFIC_STREAMS_MAX, 1, false};
	uint64_t year_s = 366 * 86400ull;

	(void)state;
	for (uint64_t s = 0; s < 100; s++)
		assert_int_equal(pace_due_ns(&p, s * 3333 * 7), START + s * NS_PER_S);
	assert_int_equal(pace_due_ns(&p, year_s * 3333 * 7), START + year_s * NS_PER_S);
	for (uint64_t turn = 1; turn < 100000; turn++)
		assert_true(pace_due_ns(&p, turn) > pace_due_ns(&p, turn - 1));
	assert_int_equal(pace_due_ns(&most, 100ull * PACE_RATE_MAX * TRAFFIC_STREAMS_MAX - 1),
			 START + 100 * NS_PER_S - 1);
}

/* Each stream has `count` packets, the last burst what is left. */
static void test_count(void **state)
{
	struct pace p = {START, 1000, 3, 8, false};
	uint64_t sent[3] = {0}, turn = 0;

	(void)state;
	for (; pace_packets(&p, turn, 20) > 0; turn++)
		sent[pace_stream(&p, turn)] += pace_packets(&p, turn, 20);
	assert_int_equal(turn, 9);
	for (int i = 0; i < 3; i++)
		assert_int_equal(sent[i], 20);
	assert_int_equal(pace_packets(&p, 1ull << 40, 0), 8);
}

static void test_slip(void **state)
{
	struct pace p = {START, 1000, 1, 1, false};
	uint64_t due = pace_due_ns(&p, 10), late = due + PACE_BEHIND_MAX_NS;

	(void)state;
	assert_int_equal(pace_slip_ns(&p, 10, 0), 0);
	assert_int_equal(pace_slip_ns(&p, 10, late), 0);
	assert_int_equal(pace_due_ns(&p, 10), due);
	assert_int_equal(pace_slip_ns(&p, 10, late + 7), 7);
	assert_int_equal(pace_due_ns(&p, 10), due + 7);
	assert_int_equal(pace_due_ns(&p, 11), due + 7 + NS_PER_MS);
}

static void test_wake(void **state)
{
	(void)state;
	assert_int_equal(pace_wake_ns(10 * NS_PER_MS, 0), 10 * NS_PER_MS);
	assert_int_equal(pace_wake_ns(5, 0), PACE_GRAIN_NS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spread),	 cmocka_unit_test(test_together),
		cmocka_unit_test(test_no_drift), cmocka_unit_test(test_count),
		cmocka_unit_test(test_slip),	 cmocka_unit_test(test_wake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
