/* The memory of a worker: what may be promised, and how small reads share one chunk. */
#include "common/flow/budget.h"

#include "common/base/limits.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define LIMIT ((size_t)64 * MIB)

static int set_up(void **state)
{
	static struct budget b;

	budget_init(&b, LIMIT, 1024, FIRST_CREDIT_BYTES); /* first credits: 16 MiB */
	*state = &b;
	return 0;
}

static int tear_down(void **state)
{
	struct budget *b = *state;

	chunk_unref(b->fill);
	b->fill = NULL;
	assert_int_equal(b->chunks.used_bytes, 0);
	budget_done(b);
	return 0;
}

static void half_is_promised_less_the_first_credits(void **state)
{
	struct budget *b = *state, other;

	assert_int_equal(b->granted_bytes_max, LIMIT / 2 - 16 * MIB);
	budget_init(&other, LIMIT, 1000000, FIRST_CREDIT_BYTES);
	assert_int_equal(other.granted_bytes_max, LIMIT / 4); /* never less than that */
	budget_done(&other);
}

/* However many ask, one after another, the sum stays below the half. */
static void a_promise_is_an_eighth_of_what_is_left(void **state)
{
	struct budget *b = *state;

	assert_int_equal(budget_allowance(b), 2 * MIB);
	for (int i = 0; i < 1000; i++)
		b->granted_bytes += budget_allowance(b);
	assert_true(b->granted_bytes <= b->granted_bytes_max);
	assert_true(budget_allowance(b) == 0);
}

/* Sessions that are there have their first credit out of the same half. */
static void first_credits_in_use_are_not_promised_again(void **state)
{
	struct budget *b = *state;

	b->sessions = 1024;
	assert_int_equal(budget_allowance(b), 2 * MIB);
	b->sessions = 1536;
	assert_int_equal(budget_allowance(b), MIB);
	b->granted_bytes = 9 * MIB;
	assert_int_equal(budget_allowance(b), 0);
	b->sessions = 1000000;
	assert_int_equal(budget_allowance(b), 0);
	b->sessions = 0;
	b->granted_bytes = 0;
}

static struct slice read_some(struct budget *b, size_t len, uint8_t fill)
{
	size_t size;
	uint8_t *room = budget_fill_room(b, len, &size);

	assert_true(size >= len);
	memset(room, fill, len);
	return budget_fill_take(b, len);
}

static void small_reads_share_a_chunk(void **state)
{
	struct slice reads[100];

	for (uint8_t i = 0; i < 100; i++)
		reads[i] = read_some(*state, 600, i);
	for (uint8_t i = 0; i < 100; i++) {
		assert_ptr_equal(reads[i].chunk, reads[0].chunk);
		assert_int_equal(reads[i].at[0], i);
		assert_int_equal(reads[i].at[599], i);
		chunk_unref(reads[i].chunk);
	}
}

static void a_chunk_with_too_little_room_is_left_to_its_slices(void **state)
{
	struct budget *b = *state;
	struct slice first = read_some(b, CHUNK_LARGE - 100, 1), second = read_some(b, 101, 2);

	assert_ptr_not_equal(first.chunk, second.chunk);
	assert_int_equal(b->chunks.used_bytes, 2 * CHUNK_LARGE);
	chunk_unref(first.chunk);
	assert_int_equal(b->chunks.used_bytes, CHUNK_LARGE);
	chunk_unref(second.chunk);
}

/* An exchange of small messages that are acknowledged at once never needs a second chunk. */
static void a_chunk_that_nobody_holds_begins_again(void **state)
{
	struct budget *b = *state;

	for (int i = 0; i < 1000; i++)
		chunk_unref(read_some(b, 600, 0).chunk);
	assert_int_equal(b->chunks.used_bytes_max, CHUNK_LARGE);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(half_is_promised_less_the_first_credits),
		test(first_credits_in_use_are_not_promised_again),
		test(a_promise_is_an_eighth_of_what_is_left),
		test(small_reads_share_a_chunk),
		test(a_chunk_with_too_little_room_is_left_to_its_slices),
		test(a_chunk_that_nobody_holds_begins_again),
	};

	return cmocka_run_group_tests_name("budget", tests, NULL, NULL);
}
