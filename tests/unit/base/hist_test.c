/* The histogram: small values exactly, large ones within 1/32, percentiles, merging. */
#include "common/base/hist.h"
#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_empty(void **state)
{
	struct hist h;

	(void)state;
	hist_init(&h);
	assert_true(h.count == 0);
	assert_true(hist_percentile(&h, .5) == 0);
	assert_true(hist_mean(&h) == 0);
}

static void test_small_values_are_exact(void **state)
{
	struct hist h;

	(void)state;
	hist_init(&h);
	for (uint64_t value = 0; value < 2 * HIST_SUBS; value++)
		hist_add(&h, value);
	for (uint64_t i = 1; i <= 2 * HIST_SUBS; i++)
		assert_true(hist_percentile(&h, (double)i / (2 * HIST_SUBS)) == i - 1);
	assert_true(h.min == 0 && h.max == 2 * HIST_SUBS - 1);
	assert_true(hist_mean(&h) == (double)(2 * HIST_SUBS - 1) / 2);
}

/* Of one value next to the largest of all: the bucket's end is seen, not the maximum. */
static uint64_t round_trip(uint64_t value)
{
	struct hist h;

	hist_init(&h);
	hist_add(&h, value);
	hist_add(&h, UINT64_MAX);
	return hist_percentile(&h, .5);
}

static void check_precision(uint64_t value)
{
	uint64_t seen = round_trip(value);

	assert_true(seen >= value);
	assert_true(seen - value <= value / HIST_SUBS);
}

static void test_precision(void **state)
{
	struct rng rng;

	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		check_precision(1ull << bit);
		check_precision((1ull << bit) - 1);
		check_precision((1ull << bit) + 1);
	}
	check_precision(UINT64_MAX);
	rng_init(&rng, 1);
	for (int i = 0; i < 1000; i++)
		check_precision(rng_u64(&rng) >> (i % 64));
}

static void test_percentiles(void **state)
{
	struct hist h;

	(void)state;
	hist_init(&h);
	for (uint64_t value = 1; value <= 100000; value++)
		hist_add(&h, value);
	assert_in_range(hist_percentile(&h, .5), 50000, 50000 + 50000 / HIST_SUBS);
	assert_in_range(hist_percentile(&h, .99), 99000, 100000);
	assert_true(hist_percentile(&h, 1) == 100000); /* never above the largest */
	assert_true(hist_percentile(&h, 0) >= 1);
}

static void test_one_value(void **state)
{
	struct hist h;

	(void)state;
	hist_init(&h);
	hist_add(&h, 1000001);
	assert_true(hist_percentile(&h, 0) == 1000001);
	assert_true(hist_percentile(&h, .5) == 1000001);
	assert_true(hist_percentile(&h, 1) == 1000001);
	assert_true(hist_mean(&h) == 1000001);
}

static void test_merge_is_adding_all(void **state)
{
	struct hist parts[2], all;
	struct rng rng;

	(void)state;
	hist_init(&parts[0]);
	hist_init(&parts[1]);
	hist_init(&all);
	rng_init(&rng, 2);
	for (int i = 0; i < 10000; i++) {
		uint64_t value = rng_below(&rng, 1000000);

		hist_add(&parts[i % 3 == 0], value);
		hist_add(&all, value);
	}
	hist_merge(&parts[0], &parts[1]);
	assert_memory_equal(parts[0].buckets, all.buckets, sizeof(all.buckets));
	assert_true(parts[0].count == all.count);
	assert_true(parts[0].min == all.min && parts[0].max == all.max);
	assert_true(parts[0].sum == all.sum); /* whole numbers below 2^53 */
}

static void test_merging_none(void **state)
{
	struct hist h, none;

	(void)state;
	hist_init(&h);
	hist_init(&none);
	hist_add(&h, 5);
	hist_merge(&h, &none);
	assert_true(h.count == 1 && h.min == 5 && h.max == 5);
	hist_merge(&none, &h);
	assert_true(none.count == 1 && none.min == 5 && none.max == 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),	     cmocka_unit_test(test_small_values_are_exact),
		cmocka_unit_test(test_precision),    cmocka_unit_test(test_percentiles),
		cmocka_unit_test(test_one_value),    cmocka_unit_test(test_merge_is_adding_all),
		cmocka_unit_test(test_merging_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
