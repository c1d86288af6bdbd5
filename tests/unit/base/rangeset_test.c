/* The range set: merging at every kind of contact, and a random walk against a bit map. */
#include "common/base/rangeset.h"
#include "common/base/rng.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void check_ranges(const struct rangeset *s, const struct range *expected, size_t count)
{
	assert_int_equal(s->count, count);
	for (size_t i = 0; i < count; i++) {
		assert_true(s->ranges[i].start == expected[i].start);
		assert_true(s->ranges[i].end == expected[i].end);
	}
}

static void test_empty(void **state)
{
	struct rangeset s;

	(void)state;
	rangeset_init(&s);
	assert_false(rangeset_has(&s, 0));
	rangeset_add(&s, 7, 7);
	rangeset_add(&s, 8, 7);
	rangeset_add(&s, UINT64_MAX, 0); /* what "id, id + 1" would be for the last id */
	assert_int_equal(s.count, 0);
	rangeset_done(&s);
	rangeset_done(NULL);
}

/* Each case adds one range to {[10, 20), [30, 40), [50, 60)}. */
static void test_contacts(void **state)
{
	static const struct {
		struct range add;
		size_t count;
		struct range expected[4];
	} cases[] = {
		{{1, 5}, 4, {{1, 5}, {10, 20}, {30, 40}, {50, 60}}},
		{{1, 9}, 4, {{1, 9}, {10, 20}, {30, 40}, {50, 60}}},
		{{1, 10}, 3, {{1, 20}, {30, 40}, {50, 60}}},
		{{20, 29}, 3, {{10, 29}, {30, 40}, {50, 60}}},
		{{21, 30}, 3, {{10, 20}, {21, 40}, {50, 60}}},
		{{21, 29}, 4, {{10, 20}, {21, 29}, {30, 40}, {50, 60}}},
		{{20, 30}, 2, {{10, 40}, {50, 60}}},
		{{12, 18}, 3, {{10, 20}, {30, 40}, {50, 60}}},
		{{10, 20}, 3, {{10, 20}, {30, 40}, {50, 60}}},
		{{15, 35}, 2, {{10, 40}, {50, 60}}},
		{{5, 55}, 1, {{5, 60}}},
		{{10, 70}, 1, {{10, 70}}},
		{{60, 61}, 3, {{10, 20}, {30, 40}, {50, 61}}},
		{{70, UINT64_MAX}, 4, {{10, 20}, {30, 40}, {50, 60}, {70, UINT64_MAX}}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct rangeset s;

		rangeset_init(&s);
		rangeset_add(&s, 30, 40);
		rangeset_add(&s, 10, 20);
		rangeset_add(&s, 50, 60);
		rangeset_add(&s, cases[i].add.start, cases[i].add.end);
		check_ranges(&s, cases[i].expected, cases[i].count);
		rangeset_done(&s);
	}
}

static void test_has_at_edges(void **state)
{
	struct rangeset s;

	(void)state;
	rangeset_init(&s);
	rangeset_add(&s, 10, 20);
	rangeset_add(&s, UINT64_MAX - 1, UINT64_MAX);
	assert_false(rangeset_has(&s, 9));
	assert_true(rangeset_has(&s, 10));
	assert_true(rangeset_has(&s, 19));
	assert_false(rangeset_has(&s, 20));
	assert_true(rangeset_has(&s, UINT64_MAX - 1));
	assert_false(rangeset_has(&s, UINT64_MAX));
	rangeset_done(&s);
}

static void test_ids_in_order_stay_one_range(void **state)
{
	struct rangeset s;

	(void)state;
	rangeset_init(&s);
	for (uint64_t id = 1; id <= 10000; id++)
		rangeset_add(&s, id, id + 1);
	check_ranges(&s, (struct range[]){{1, 10001}}, 1);
	rangeset_done(&s);
}

#define UNIVERSE 400

static void check_model(const struct rangeset *s, const bool *is_in)
{
	for (size_t v = 0; v < UNIVERSE; v++)
		assert_int_equal(rangeset_has(s, v), is_in[v]);
	for (size_t i = 0; i < s->count; i++) {
		assert_true(s->ranges[i].start < s->ranges[i].end);
		if (i > 0)
			assert_true(s->ranges[i - 1].end < s->ranges[i].start);
	}
}

static void test_model(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 50; seed++) {
		bool is_in[UNIVERSE + 1] = {false};
		struct rangeset s;
		struct rng rng;

		rng_init(&rng, seed);
		rangeset_init(&s);
		for (int step = 0; step < 120; step++) {
			uint64_t start = rng_below(&rng, UNIVERSE);
			uint64_t len = rng_below(&rng, seed % 2 ? 3 : 12);
			uint64_t end = start + len < UNIVERSE ? start + len : UNIVERSE;

			rangeset_add(&s, start, end);
			memset(is_in + start, true, end - start);
			check_model(&s, is_in);
		}
		rangeset_done(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_contacts),
		cmocka_unit_test(test_has_at_edges),
		cmocka_unit_test(test_ids_in_order_stay_one_range),
		cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
