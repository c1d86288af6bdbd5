/* The id map: against a naive model with a seeded generator, so that runs collide, wrap round the
 * table's end and close their holes; growing and shrinking; iteration. */
#include "common/base/idmap.h"
#include "common/base/rng.h"

#include <stdbool.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define KEYS 600

static char places[KEYS]; /* values: something to point at */

static void test_empty(void **state)
{
	struct idmap m;
	size_t cursor = 0;

	(void)state;
	idmap_init(&m);
	assert_null(idmap_get(&m, 1));
	assert_null(idmap_remove(&m, 1));
	assert_null(idmap_next(&m, &cursor));
	idmap_done(&m);
	idmap_done(NULL);
}

static void test_put_get_remove(void **state)
{
	struct idmap m;

	(void)state;
	idmap_init(&m);
	idmap_put(&m, 5, &places[5]);
	idmap_put(&m, UINT64_MAX, &places[6]);
	assert_ptr_equal(idmap_get(&m, 5), &places[5]);
	assert_ptr_equal(idmap_get(&m, UINT64_MAX), &places[6]);
	assert_null(idmap_get(&m, 6));
	assert_null(idmap_get(&m, 0)); /* 0 marks a free slot; it is no key */
	assert_null(idmap_remove(&m, 0));
	assert_ptr_equal(idmap_remove(&m, 5), &places[5]);
	assert_null(idmap_get(&m, 5));
	assert_null(idmap_remove(&m, 5));
	assert_int_equal(m.count, 1);
	idmap_done(&m);
	assert_int_equal(m.count, 0);
}

static void test_grows_and_shrinks(void **state)
{
	struct idmap m;
	size_t slots_max = 0;

	(void)state;
	idmap_init(&m);
	for (uint64_t key = 1; key <= KEYS; key++) {
		idmap_put(&m, key, &places[key - 1]);
		slots_max = m.mask + 1;
		assert_true(m.count * 4 <= slots_max * 3);
	}
	assert_true(slots_max < 4 * KEYS);
	for (uint64_t key = 1; key <= KEYS; key++) {
		assert_ptr_equal(idmap_remove(&m, key), &places[key - 1]);
		assert_true(m.count * 8 >= m.mask + 1 || m.mask + 1 <= 16);
		for (uint64_t other = key + 1; other <= KEYS; other += 37)
			assert_ptr_equal(idmap_get(&m, other), &places[other - 1]);
	}
	assert_true(m.mask + 1 <= 16);
	idmap_done(&m);
}

static void check_iteration(const struct idmap *m, const bool *is_in, size_t count)
{
	bool was_seen[KEYS] = {false};
	size_t cursor = 0, seen = 0;
	char *place;

	while ((place = idmap_next(m, &cursor))) {
		size_t i = (size_t)(place - places);

		assert_true(is_in[i]);
		assert_false(was_seen[i]);
		was_seen[i] = true;
		seen++;
	}
	assert_int_equal(seen, count);
	assert_int_equal(m->count, count);
}

/* Puts and removes the first `range` keys at random: about half of them are in at any time. */
static void run_model(struct rng *rng, const uint64_t *keys, size_t range)
{
	bool is_in[KEYS] = {false};
	size_t count = 0;
	struct idmap m;

	idmap_init(&m);
	for (int step = 0; step < 20000; step++) {
		size_t i = rng_below(rng, range);

		if (is_in[i])
			assert_ptr_equal(idmap_remove(&m, keys[i]), &places[i]);
		else
			idmap_put(&m, keys[i], &places[i]);
		is_in[i] = !is_in[i];
		count = is_in[i] ? count + 1 : count - 1;
		i = rng_below(rng, range);
		assert_ptr_equal(idmap_get(&m, keys[i]), is_in[i] ? &places[i] : NULL);
		if (step % 64 == 0)
			check_iteration(&m, is_in, count);
	}
	for (size_t i = 0; i < range; i++)
		assert_ptr_equal(idmap_get(&m, keys[i]), is_in[i] ? &places[i] : NULL);
	idmap_done(&m);
}

static void test_model_with_ids_in_a_row(void **state)
{
	uint64_t keys[KEYS];
	struct rng rng;

	(void)state;
	rng_init(&rng, 1);
	for (size_t i = 0; i < KEYS; i++)
		keys[i] = i + 1;
	run_model(&rng, keys, 12);
	run_model(&rng, keys, KEYS);
}

/* 24 keys of which about half are in: a table of 16 to 32 slots whose runs often wrap. */
static void test_model_with_random_keys(void **state)
{
	uint64_t keys[KEYS];
	struct rng rng;

	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		rng_init(&rng, seed);
		for (size_t i = 0; i < KEYS; i++)
			keys[i] = rng_u64(&rng);
		run_model(&rng, keys, seed % 2 ? 24 : KEYS);
	}
}

/* Multiples of 2^54 leave the low bits of the hash as they are: all keys have one home. */
static void test_model_with_colliding_keys(void **state)
{
	uint64_t keys[KEYS];
	struct rng rng;

	(void)state;
	rng_init(&rng, 3);
	for (size_t i = 0; i < KEYS; i++)
		keys[i] = (uint64_t)(i + 1) << 54;
	run_model(&rng, keys, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_put_get_remove),
		cmocka_unit_test(test_grows_and_shrinks),
		cmocka_unit_test(test_model_with_ids_in_a_row),
		cmocka_unit_test(test_model_with_random_keys),
		cmocka_unit_test(test_model_with_colliding_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
