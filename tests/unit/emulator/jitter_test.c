/* with: src/emulator/core/jitter.c */
/* The wandering delay: within its range, as often here as there, never falling faster than half of
 * the time that passes, and elsewhere after a rest. */
#include "emulator/core/jitter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define RANGE 1000000 /* 1 ms */
#define STEP 10000u
#define LOOKS 1000000

static void test_even_and_steady(void **state)
{
	struct jitter j = {0};
	struct rng rng;
	int64_t last = 0;
	int fifths[5] = {0};

	(void)state;
	rng_init(&rng, 1);
	for (uint64_t i = 0; i < LOOKS; i++) {
		int64_t now = jitter_at(&j, 1000000000 + i * STEP, RANGE, &rng);

		assert_true(now >= -RANGE && now <= RANGE);
		if (i > 0)
			assert_true(last - now <= (int64_t)STEP / 2 + 1);
		fifths[(now + RANGE) * 5 / (2 * RANGE + 1)]++;
		last = now;
	}
	for (int i = 0; i < 5; i++)
		assert_in_range(fifths[i], LOOKS / 5 - LOOKS / 100, LOOKS / 5 + LOOKS / 100);
}

/* One packet a second: each finds it anywhere. */
static void test_even_after_rests(void **state)
{
	struct jitter j = {0};
	struct rng rng;
	int fifths[5] = {0};

	(void)state;
	rng_init(&rng, 2);
	for (uint64_t i = 1; i <= 10000; i++) {
		int64_t now = jitter_at(&j, i * 1000000000, RANGE, &rng);

		assert_true(now >= -RANGE && now <= RANGE);
		fifths[(now + RANGE) * 5 / (2 * RANGE + 1)]++;
	}
	for (int i = 0; i < 5; i++) /* five standard deviations of 2000 */
		assert_in_range(fifths[i], 1800, 2200);
}

static void test_none_and_changes(void **state)
{
	struct jitter j = {0};
	struct rng rng;

	(void)state;
	rng_init(&rng, 3);
	assert_int_equal(jitter_at(&j, 5, 0, &rng), 0);
	for (uint64_t i = 0; i < 1000; i++) {
		int64_t range = i % 2 ? RANGE : 10;
		int64_t now = jitter_at(&j, 6 + i * STEP, (uint64_t)range, &rng);

		assert_true(now >= -range && now <= range);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_even_and_steady),
		cmocka_unit_test(test_even_after_rests),
		cmocka_unit_test(test_none_and_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
