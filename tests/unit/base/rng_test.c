/* The seeded generator: known answers, that the seed decides, bounds and evenness; and that the
 * kernel's bytes come in full. */
#include "common/base/rng.h"

#include <stdbool.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* The outputs that xoshiro256** is published to give from the state {1, 2, 3, 4}. */
static void test_known_outputs(void **state)
{
	static const uint64_t known[] = {
		11520, 0, 1509978240, 1215971899390074240, 1216172134540287360, 607988272756665600};
	struct rng rng = {{1, 2, 3, 4}};

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		assert_true(rng_u64(&rng) == known[i]);
}

/* The outputs that splitmix64 is published to give from 1234567. */
static void test_known_seeding(void **state)
{
	static const uint64_t known[] = {6457827717110365317u, 3203168211198807973u,
					 9817491932198370423u, 4593380528125082431u};
	struct rng rng;

	(void)state;
	rng_init(&rng, 1234567);
	assert_memory_equal(rng.s, known, sizeof(known));
}

static void test_seed_decides(void **state)
{
	struct rng a, b, c;

	(void)state;
	rng_init(&a, 7);
	rng_init(&b, 7);
	rng_init(&c, 8);
	for (int i = 0; i < 100; i++) {
		uint64_t v = rng_u64(&a);

		assert_true(v == rng_u64(&b));
		assert_true(v != rng_u64(&c));
	}
}

static void test_below_reaches_all_and_no_more(void **state)
{
	struct rng rng;
	int hits[7] = {0};

	(void)state;
	rng_init(&rng, 1);
	for (int i = 0; i < 70000; i++) {
		uint64_t v = rng_below(&rng, 7);

		assert_true(v < 7);
		hits[v]++;
	}
	for (int i = 0; i < 7; i++) /* five standard deviations of 10000 */
		assert_in_range(hits[i], 9537, 10463);
	for (int i = 0; i < 100; i++)
		assert_true(rng_below(&rng, 1) == 0);
}

/* With a bound of 3 * 2^62 a plain modulo would favour the lowest third two to one. */
static void test_below_is_even_for_large_bounds(void **state)
{
	const uint64_t third = 1ull << 62;
	struct rng rng;
	int low = 0;

	(void)state;
	rng_init(&rng, 2);
	for (int i = 0; i < 30000; i++) {
		uint64_t v = rng_below(&rng, 3 * third);

		assert_true(v < 3 * third);
		low += v < third;
	}
	assert_in_range(low, 9592, 10408);
}

static void test_unit_is_in_range(void **state)
{
	struct rng rng;
	double sum = 0;

	(void)state;
	rng_init(&rng, 3);
	for (int i = 0; i < 30000; i++) {
		double v = rng_unit(&rng);

		assert_true(v >= 0 && v < 1);
		sum += v;
	}
	assert_true(sum > 14750 && sum < 15250); /* five standard deviations */
}

static void test_random_bytes_fill_all_and_differ(void **state)
{
	uint8_t a[40] = {0}, b[40] = {0};
	bool was_set[32] = {false};

	(void)state;
	for (int round = 0; round < 32; round++) { /* a byte stays 0 throughout in 2^-256 */
		random_bytes(a, 32);
		for (int i = 0; i < 32; i++)
			was_set[i] |= a[i] != 0;
	}
	for (int i = 0; i < 32; i++)
		assert_true(was_set[i]);
	assert_memory_equal(a + 32, "\0\0\0\0\0\0\0", 8);
	random_bytes(b, 32);
	assert_memory_not_equal(a, b, 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_outputs),
		cmocka_unit_test(test_known_seeding),
		cmocka_unit_test(test_seed_decides),
		cmocka_unit_test(test_below_reaches_all_and_no_more),
		cmocka_unit_test(test_below_is_even_for_large_bounds),
		cmocka_unit_test(test_unit_is_in_range),
		cmocka_unit_test(test_random_bytes_fill_all_and_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
