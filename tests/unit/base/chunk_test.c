/* The chunk pool: sizes, counting, reuse in last-in-first-out order, the bound on spares, and
 * what it tells about its limit. */
#include "common/base/chunk.h"
#include "common/base/limits.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define LIMIT_BYTES (4 * CHUNK_LARGE)

static int set_up(void **state)
{
	static struct chunk_pool pool;

	chunk_pool_init(&pool, LIMIT_BYTES);
	*state = &pool;
	return 0;
}

static int tear_down(void **state)
{
	chunk_pool_done(*state);
	return 0;
}

static void test_size_is_of_smallest_class_that_fits(void **state)
{
	static const struct {
		size_t asked;
		uint32_t size;
	} cases[] = {
		{0, KIB},
		{1, KIB},
		{KIB, KIB},
		{KIB + 1, 4 * KIB},
		{4 * KIB, 4 * KIB},
		{4 * KIB + 1, 16 * KIB},
		{16 * KIB, 16 * KIB},
		{16 * KIB + 1, CHUNK_LARGE},
		{CHUNK_LARGE, CHUNK_LARGE},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct chunk *c = chunk_new(*state, cases[i].asked);

		assert_int_equal(c->size, cases[i].size);
		assert_int_equal(c->refs, 1);
		assert_int_equal(c->fill, 0);
		memset(c->bytes, 0xa5, c->size); /* ASan sees a byte that is not ours */
		chunk_unref(c);
	}
}

static void test_used_bytes_follow_references(void **state)
{
	struct chunk_pool *pool = *state;
	struct chunk *small = chunk_new(pool, 100);
	struct chunk *large = chunk_new(pool, CHUNK_LARGE);

	assert_int_equal(pool->used_bytes, KIB + CHUNK_LARGE);
	assert_ptr_equal(chunk_ref(large), large);
	chunk_unref(large);
	assert_int_equal(pool->used_bytes, KIB + CHUNK_LARGE);
	chunk_unref(large);
	assert_int_equal(pool->used_bytes, KIB);
	chunk_unref(small);
	assert_int_equal(pool->used_bytes, 0);
	assert_int_equal(pool->used_bytes_max, KIB + CHUNK_LARGE);
	chunk_unref(NULL);
}

static void test_last_given_back_is_first_reused(void **state)
{
	struct chunk *a = chunk_new(*state, KIB);
	struct chunk *b = chunk_new(*state, KIB);
	struct chunk *other;

	a->fill = b->fill = 77;
	chunk_unref(a);
	chunk_unref(b);
	other = chunk_new(*state, 4 * KIB);
	assert_ptr_not_equal(other, a);
	assert_ptr_not_equal(other, b);
	assert_ptr_equal(chunk_new(*state, 1), b);
	assert_ptr_equal(chunk_new(*state, 1), a);
	assert_int_equal(a->fill, 0);
	memset(a->bytes, 1, a->size);
	chunk_unref(other);
	chunk_unref(a);
	chunk_unref(b);
}

static void test_spares_are_bounded(void **state)
{
	struct chunk_pool *pool = *state;
	enum { count = CHUNK_SPARES + 10 };
	struct chunk *chunks[count];

	for (size_t i = 0; i < count; i++)
		chunks[i] = chunk_new(pool, KIB);
	assert_int_equal(pool->used_bytes, count * KIB);
	for (size_t i = 0; i < count; i++)
		chunk_unref(chunks[i]);
	assert_int_equal(pool->free_count[0], CHUNK_SPARES);
	assert_int_equal(pool->used_bytes, 0);
	chunk_unref(chunk_new(pool, KIB));
	assert_int_equal(pool->free_count[0], CHUNK_SPARES);
}

static void test_short_above_an_eighth_full_at_limit(void **state)
{
	struct chunk_pool *pool = *state;
	struct chunk *chunks[LIMIT_BYTES / CHUNK_LARGE];
	struct chunk *eighth[LIMIT_BYTES / 8 / (16 * KIB)], *small;

	for (size_t i = 0; i < LIMIT_BYTES / 8 / (16 * KIB); i++)
		eighth[i] = chunk_new(pool, 16 * KIB);
	assert_false(chunk_pool_is_short(pool)); /* an eighth, not more */
	small = chunk_new(pool, 1);
	assert_true(chunk_pool_is_short(pool));
	chunk_unref(small);
	for (size_t i = 0; i < LIMIT_BYTES / 8 / (16 * KIB); i++)
		chunk_unref(eighth[i]);
	chunks[0] = chunk_new(pool, CHUNK_LARGE);
	chunks[1] = chunk_new(pool, CHUNK_LARGE);
	chunks[2] = chunk_new(pool, CHUNK_LARGE);
	assert_false(chunk_pool_is_full(pool));
	chunks[3] = chunk_new(pool, CHUNK_LARGE);
	assert_true(chunk_pool_is_full(pool));
	small = chunk_new(pool, 1); /* full tells, it does not refuse */
	assert_non_null(small);
	chunk_unref(small);
	for (size_t i = 0; i < 4; i++)
		chunk_unref(chunks[i]);
	assert_false(chunk_pool_is_full(pool));
	assert_false(chunk_pool_is_short(pool));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_size_is_of_smallest_class_that_fits),
		TEST(test_used_bytes_follow_references),
		TEST(test_last_given_back_is_first_reused),
		TEST(test_spares_are_bounded),
		TEST(test_short_above_an_eighth_full_at_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
