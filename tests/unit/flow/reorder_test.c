/* Reassembly against a model that knows each byte, and its own cases: gaps, duplicates, FIN,
 * ranges for an ACK, copies of small pieces, and memory that comes back. */
#include "common/flow/reorder.h"

#include "common/base/limits.h"
#include "common/base/rng.h"
#include "common/flow/budget.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct fixture {
	struct budget budget;
	struct reorder r;
};

static int set_up(void **state)
{
	static struct fixture f;

	budget_init(&f.budget, 64 * MIB, 16, FIRST_CREDIT_BYTES);
	reorder_init(&f.r, 1);
	*state = &f;
	return 0;
}

static void assert_nothing_held(struct fixture *f)
{
	assert_int_equal(f->budget.pieces.used, 0);
	assert_int_equal(f->budget.runs.used, 0);
	assert_int_equal(f->budget.chunks.used_bytes, 0);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	reorder_clear(&f->r, &f->budget);
	assert_nothing_held(f);
	budget_done(&f->budget);
	return 0;
}

/* What the stream has at `offset`. */
static uint8_t byte_at(uint64_t offset)
{
	return (uint8_t)(offset ^ offset >> 8 ^ offset >> 16);
}

/* Bytes [start, end) come in a chunk of their own; returns how many were new. */
static uint32_t insert(struct fixture *f, uint64_t start, uint64_t end)
{
	struct chunk *c = chunk_new(&f->budget.chunks, end - start);
	struct slice data = {.chunk = c, .at = c->bytes, .len = (uint32_t)(end - start)};
	uint32_t added;

	for (uint64_t i = start; i < end; i++)
		c->bytes[i - start] = byte_at(i);
	added = reorder_insert(&f->r, &f->budget, start, &data);
	chunk_unref(c);
	return added;
}

/* Everything that can be peeked at is the stream. Returns how much. */
static uint64_t check_bytes(const struct fixture *f)
{
	struct iovec iov[1024];
	int count = reorder_peek(&f->r, iov, 1024);
	uint64_t at = f->r.consumed;

	for (int i = 0; i < count; i++)
		for (size_t k = 0; k < iov[i].iov_len; k++, at++)
			assert_int_equal(((uint8_t *)iov[i].iov_base)[k], byte_at(at));
	return at - f->r.consumed;
}

static void assert_ranges(struct fixture *f, uint32_t count, const struct range wanted[])
{
	struct range got[ACK_RANGES_MAX];

	f->r.told = 0; /* from the first */
	assert_int_equal(reorder_ranges(&f->r, got, ACK_RANGES_MAX), count);
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(got[i].start, wanted[i].start);
		assert_int_equal(got[i].end, wanted[i].end);
	}
}

/* ---- order ---- */

static void bytes_in_order_can_be_delivered(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(insert(f, 0, 10), 10);
	assert_int_equal(insert(f, 10, 5000), 4990);
	assert_int_equal(f->r.next, 5000);
	assert_int_equal(check_bytes(f), 5000);
	reorder_consume(&f->r, &f->budget, 4000);
	assert_int_equal(check_bytes(f), 1000);
	reorder_consume(&f->r, &f->budget, 1000);
	assert_false(reorder_has_bytes(&f->r));
	assert_nothing_held(f);
}

static void bytes_beyond_a_gap_wait(void **state)
{
	struct fixture *f = *state;

	insert(f, 100, 200);
	assert_false(reorder_has_bytes(&f->r));
	assert_int_equal(check_bytes(f), 0);
	insert(f, 0, 99);
	assert_int_equal(f->r.next, 99);
	insert(f, 99, 100);
	assert_int_equal(f->r.next, 200);
	assert_int_equal(check_bytes(f), 200);
	assert_ranges(f, 0, NULL);
}

static void duplicates_are_dropped(void **state)
{
	struct fixture *f = *state;

	insert(f, 0, 100);
	assert_int_equal(insert(f, 0, 100), 0);
	assert_int_equal(insert(f, 50, 150), 50);
	reorder_consume(&f->r, &f->budget, 150);
	assert_int_equal(insert(f, 0, 150), 0);
	assert_int_equal(insert(f, 100, 160), 10);
	insert(f, 200, 300);
	assert_int_equal(insert(f, 200, 300), 0);
	assert_int_equal(insert(f, 220, 280), 0);
	assert_int_equal(insert(f, 190, 310), 20);
	assert_int_equal(check_bytes(f), 10);
	assert_ranges(f, 1, (struct range[]){{190, 310}});
}

/* One piece that closes the gap, covers a run and goes on behind it. */
static void closing_a_gap_and_going_on_past_the_run(void **state)
{
	struct fixture *f = *state;

	insert(f, 10, 20);
	assert_int_equal(insert(f, 0, 15), 10); /* into the run */
	assert_int_equal(f->r.next, 20);
	insert(f, 30, 40);
	insert(f, 50, 60);
	assert_int_equal(insert(f, 20, 70), 30); /* over two of them */
	assert_int_equal(f->r.next, 70);
	assert_int_equal(check_bytes(f), 70);
	assert_ranges(f, 0, NULL);
	assert_int_equal(f->budget.runs.used, 0);
}

static void runs_that_touch_become_one(void **state)
{
	struct fixture *f = *state;

	insert(f, 10, 20);
	insert(f, 30, 40);
	assert_ranges(f, 2, (struct range[]){{10, 20}, {30, 40}});
	insert(f, 20, 25);
	assert_ranges(f, 2, (struct range[]){{10, 25}, {30, 40}});
	insert(f, 25, 30);
	assert_ranges(f, 1, (struct range[]){{10, 40}});
	assert_int_equal(f->budget.runs.used, 1);
	insert(f, 45, 50);
	insert(f, 5, 60);
	assert_ranges(f, 1, (struct range[]){{5, 60}});
	insert(f, 0, 5);
	assert_int_equal(check_bytes(f), 60);
}

static void ranges_are_the_first_ones(void **state)
{
	struct fixture *f = *state;
	struct range got[3];

	for (uint64_t i = 50; i > 0; i--)
		insert(f, 10 * i, 10 * i + 5);
	assert_int_equal(reorder_ranges(&f->r, got, 3), 3);
	for (uint64_t i = 0; i < 3; i++) {
		assert_int_equal(got[i].start, 10 * (i + 1));
		assert_int_equal(got[i].end, 10 * (i + 1) + 5);
	}
}

/* ---- FIN ---- */

static void fin_is_acknowledged_when_all_is_there(void **state)
{
	struct fixture *f = *state;

	assert_false(reorder_is_at_fin(&f->r));
	insert(f, 10, 20);
	assert_int_equal(reorder_set_fin(&f->r, 20), 0);
	assert_int_equal(reorder_ack_offset(&f->r), 0);
	insert(f, 0, 10);
	assert_int_equal(reorder_ack_offset(&f->r), 21);
	assert_false(reorder_is_at_fin(&f->r));
	reorder_consume(&f->r, &f->budget, 20);
	assert_true(reorder_is_at_fin(&f->r));
}

static void an_empty_stream_ends_at_once(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(reorder_set_fin(&f->r, 0), 0);
	assert_true(reorder_is_at_fin(&f->r));
	assert_int_equal(reorder_ack_offset(&f->r), 1);
}

static void a_stream_has_one_end(void **state)
{
	struct fixture *f = *state;

	insert(f, 50, 100);
	assert_int_equal(reorder_set_fin(&f->r, 99), -EPROTO); /* bytes are beyond it */
	assert_int_equal(reorder_set_fin(&f->r, 100), 0);
	assert_int_equal(reorder_set_fin(&f->r, 100), 0);
	assert_int_equal(reorder_set_fin(&f->r, 101), -EPROTO);
	assert_int_equal(f->r.fin_offset, 100);
}

/* ---- memory ---- */

static void small_pieces_share_a_chunk(void **state)
{
	struct fixture *f = *state;

	for (uint64_t i = 0; i < 1000; i++)
		insert(f, 64 * i, 64 * (i + 1));
	/* 64,000 bytes, each of which came in a chunk of 1 KiB. */
	assert_true(f->budget.chunks.used_bytes <= 64000 + 2 * KEEP_CHUNK_BYTES);
	assert_true(f->budget.pieces.used <= 64000 / KEEP_CHUNK_BYTES + 3);
	assert_int_equal(check_bytes(f), 64000);
	reorder_consume(&f->r, &f->budget, 64000);
	assert_nothing_held(f);
}

static void large_pieces_stay_where_they_are(void **state)
{
	struct fixture *f = *state;
	struct chunk *c = chunk_new(&f->budget.chunks, CHUNK_LARGE);
	struct slice data = {.chunk = c, .at = c->bytes, .len = COPYBREAK_BYTES + 1};
	struct iovec iov;

	reorder_insert(&f->r, &f->budget, 0, &data);
	assert_int_equal(reorder_peek(&f->r, &iov, 1), 1);
	assert_ptr_equal(iov.iov_base, c->bytes);
	assert_int_equal(c->refs, 2);
	chunk_unref(c);
}

/* When memory is short, a chunk that is mostly empty is not held for its few bytes. */
static void half_empty_chunks_are_copied_when_memory_is_short(void **state)
{
	struct fixture *f = *state;
	struct chunk *c = chunk_new(&f->budget.chunks, CHUNK_LARGE);
	struct slice data = {.chunk = c, .at = c->bytes, .len = 8 * KIB};

	f->budget.chunks.limit_bytes = CHUNK_LARGE;
	assert_true(chunk_pool_is_short(&f->budget.chunks));
	reorder_insert(&f->r, &f->budget, 0, &data);
	assert_int_equal(c->refs, 1);
	chunk_unref(c);
	assert_int_equal(f->budget.chunks.used_bytes, 8 * KIB);
}

/* A reader that falls behind by its first credit and no more, whatever it has read before, costs
 * little more than what it has not read. */
static void what_was_delivered_is_not_held_with_the_rest(void **state)
{
	struct fixture *f = *state;

	for (uint64_t i = 0; i < 1000; i++) {
		insert(f, 1400 * i, 1400 * (i + 1));
		if (f->r.next - f->r.consumed > FIRST_CREDIT_BYTES)
			reorder_consume(&f->r, &f->budget, 1400);
	}
	assert_int_equal(f->r.held_bytes, f->r.next - f->r.consumed);
	assert_true(f->budget.chunks.used_bytes_max <=
		    FIRST_CREDIT_BYTES + 2 * KEEP_CHUNK_BYTES + 4 * KIB);
}

static void what_is_delivered_at_once_costs_one_small_chunk(void **state)
{
	struct fixture *f = *state;

	for (uint64_t i = 0; i < 10000; i++) {
		insert(f, 64 * i, 64 * (i + 1));
		reorder_consume(&f->r, &f->budget, 64);
		assert_nothing_held(f);
	}
	assert_true(f->budget.chunks.used_bytes_max <= 2 * KIB);
}

/* The same while something lies beyond a gap far away: the small chunk begins again. */
static void small_pieces_before_a_far_gap_cost_no_more(void **state)
{
	struct fixture *f = *state;

	insert(f, 10000000, 10004000);
	for (uint64_t i = 0; i < 10000; i++) {
		insert(f, 64 * i, 64 * (i + 1));
		reorder_consume(&f->r, &f->budget, 64);
	}
	assert_true(f->budget.chunks.used_bytes_max <= 4 * KIB + KEEP_CHUNK_BYTES + 2 * KIB);
}

/* ---- against a model ---- */

#define STREAM 3000u

struct model {
	bool has[STREAM];
	uint64_t consumed, next;
};

static uint32_t model_insert(struct model *m, uint64_t start, uint64_t end)
{
	uint32_t added = 0;

	for (uint64_t i = start; i < end; i++) {
		added += !m->has[i];
		m->has[i] = true;
	}
	while (m->next < STREAM && m->has[m->next])
		m->next++;
	return added;
}

static uint32_t model_ranges(const struct model *m, struct range *ranges)
{
	uint32_t count = 0;

	for (uint64_t i = m->next; i < STREAM && count < ACK_RANGES_MAX; i++) {
		if (!m->has[i])
			continue;
		ranges[count].start = i;
		while (i < STREAM && m->has[i])
			i++;
		ranges[count++].end = i;
	}
	return count;
}

static void random_step(struct fixture *f, struct model *m, struct rng *rng)
{
	uint64_t start = rng_below(rng, STREAM);
	uint64_t end = start + 1 + rng_below(rng, rng_below(rng, 8) ? 40 : STREAM / 4);
	struct range ranges[ACK_RANGES_MAX];

	if (end > STREAM)
		end = STREAM;
	assert_int_equal(insert(f, start, end), model_insert(m, start, end));
	assert_int_equal(f->r.next, m->next);
	assert_int_equal(check_bytes(f), m->next - m->consumed);
	assert_ranges(f, model_ranges(m, ranges), ranges);
	if (rng_below(rng, 4) == 0) {
		uint64_t len = rng_below(rng, m->next - m->consumed + 1);

		reorder_consume(&f->r, &f->budget, len);
		m->consumed += len;
	}
	if (f->r.highest == STREAM && rng_below(rng, 8) == 0)
		assert_int_equal(reorder_set_fin(&f->r, STREAM), 0);
}

static void random_pieces_match_the_model(void **state)
{
	struct fixture *f = *state;

	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct model m = {0};
		struct rng rng;

		rng_init(&rng, seed);
		reorder_init(&f->r, seed);
		while (m.next < STREAM)
			random_step(f, &m, &rng);
		assert_int_equal(reorder_set_fin(&f->r, STREAM), 0);
		assert_int_equal(reorder_ack_offset(&f->r), STREAM + 1);
		reorder_consume(&f->r, &f->budget, STREAM - m.consumed);
		assert_true(reorder_is_at_fin(&f->r));
		assert_nothing_held(f);
	}
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(bytes_in_order_can_be_delivered),
		test(bytes_beyond_a_gap_wait),
		test(duplicates_are_dropped),
		test(closing_a_gap_and_going_on_past_the_run),
		test(runs_that_touch_become_one),
		test(ranges_are_the_first_ones),
		test(fin_is_acknowledged_when_all_is_there),
		test(an_empty_stream_ends_at_once),
		test(a_stream_has_one_end),
		test(small_pieces_share_a_chunk),
		test(large_pieces_stay_where_they_are),
		test(half_empty_chunks_are_copied_when_memory_is_short),
		test(what_was_delivered_is_not_held_with_the_rest),
		test(what_is_delivered_at_once_costs_one_small_chunk),
		test(small_pieces_before_a_far_gap_cost_no_more),
		test(random_pieces_match_the_model),
	};

	return cmocka_run_group_tests_name("reorder", tests, NULL, NULL);
}
