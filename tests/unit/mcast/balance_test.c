/* with: src/mcast/core/balance.c */
/* Loads that come to rest: from all on one, under constant load and under noise. */
#include "mcast/core/balance.h"

#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define STREAMS 400
#define WORKERS 4
#define MOVES 8

struct world {
	struct balance_stream streams[STREAMS];
	size_t count;
	uint8_t is_usable[WORKERS];
};

static struct world world_new(size_t count)
{
	struct world w = {.count = count, .is_usable = {1, 1, 1, 1}};

	return w;
}

static size_t turn(struct world *w)
{
	struct balance_move moves[MOVES];
	size_t n = balance_round(w->streams, w->count, w->is_usable, WORKERS, moves, MOVES);

	assert_true(n <= MOVES);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(w->streams[moves[i].stream].worker, moves[i].from);
		assert_true(w->is_usable[moves[i].from] && w->is_usable[moves[i].to]);
		w->streams[moves[i].stream].worker = moves[i].to;
	}
	return n;
}

static double load_of(const struct world *w, uint32_t worker)
{
	double load = 0;

	for (size_t i = 0; i < w->count; i++)
		if (w->streams[i].worker == worker)
			load += w->streams[i].load;
	return load;
}

static void assert_even(const struct world *w)
{
	double least = load_of(w, 0), most = least;

	for (uint32_t i = 1; i < WORKERS; i++) {
		double load = load_of(w, i);

		least = load < least ? load : least;
		most = load > most ? load : most;
	}
	assert_true(most <= least * (1 + BALANCE_GAP_SHARE));
}

static void all_on_one_is_spread(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 50; seed++) {
		struct world w = world_new(STREAMS);
		struct rng rng;
		size_t moves = 0;

		rng_init(&rng, seed);
		for (size_t i = 0; i < STREAMS; i++)
			w.streams[i].load = 50 + 2000 * rng_unit(&rng);
		for (int i = 0; i < 200; i++)
			moves += turn(&w);
		assert_even(&w);
		/* Each about once: largest first, it is fewer than all of the three quarters. */
		assert_in_range(moves, 100, STREAMS * 3 / 4);
		for (int i = 0; i < 200; i++)
			assert_int_equal(turn(&w), 0);
	}
}

/* Few large streams that cannot be even: it ends all the same. */
static void what_cannot_be_even_stays(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct world w = world_new(7);
		struct rng rng;

		rng_init(&rng, seed);
		for (size_t i = 0; i < w.count; i++) {
			w.streams[i].load = 10000 * rng_unit(&rng);
			w.streams[i].worker = (uint32_t)rng_below(&rng, WORKERS);
		}
		for (int i = 0; i < 200; i++)
			turn(&w);
		for (int i = 0; i < 100; i++)
			assert_int_equal(turn(&w), 0);
	}
}

static void one_stream_is_never_moved(void **state)
{
	struct world w = world_new(1);

	(void)state;
	w.streams[0].load = 100000;
	for (int i = 0; i < 100; i++)
		assert_int_equal(turn(&w), 0);
}

static void the_largest_that_fits_goes_first(void **state)
{
	struct world w = world_new(4);
	struct balance_move moves[MOVES];

	(void)state;
	w.is_usable[2] = w.is_usable[3] = 0;
	w.streams[0].load = 100;
	w.streams[1].load = 300;
	w.streams[2].load = 500;
	w.streams[3].load = 100;
	assert_int_equal(balance_round(w.streams, 4, w.is_usable, WORKERS, moves, 1), 1);
	assert_int_equal(moves[0].stream, 2);
	assert_int_equal(moves[0].from, 0);
	assert_int_equal(moves[0].to, 1);
}

static void who_was_moved_rests(void **state)
{
	struct world w = world_new(2);

	(void)state;
	w.is_usable[2] = w.is_usable[3] = 0;
	w.streams[0].load = 400;
	w.streams[1].load = 500;
	assert_int_equal(turn(&w), 1);
	assert_int_equal(w.streams[1].worker, 1);
	/* Now it would be right to take it away from there again. */
	w.streams[0].worker = 1;
	w.streams[0].rest_rounds = 100;
	for (unsigned i = 1; i < BALANCE_REST_ROUNDS; i++)
		assert_int_equal(turn(&w), 0);
	assert_int_equal(turn(&w), 1);
	assert_int_equal(w.streams[1].worker, 0);
}

/* A quarter is noise. */
static void noise_moves_nothing(void **state)
{
	struct world w = world_new(STREAMS);
	struct rng rng;

	(void)state;
	rng_init(&rng, 1);
	for (size_t i = 0; i < STREAMS; i++)
		w.streams[i].worker = i % WORKERS;
	for (int round = 0; round < 500; round++) {
		for (size_t i = 0; i < STREAMS; i++)
			w.streams[i].load = 100 * (0.5 + rng_unit(&rng));
		assert_int_equal(turn(&w), 0);
	}
}

static void an_idle_relay_moves_nothing(void **state)
{
	struct world w = world_new(STREAMS);

	(void)state;
	for (size_t i = 0; i < STREAMS; i++)
		w.streams[i].load = 0.02;
	assert_int_equal(turn(&w), 0);
}

static void who_is_not_usable_is_left_alone(void **state)
{
	struct world w = world_new(STREAMS);

	(void)state;
	for (size_t i = 0; i < STREAMS; i++)
		w.streams[i] = (struct balance_stream){.load = 100, .worker = i % 2};
	w.is_usable[0] = 0;
	for (int i = 0; i < 300; i++)
		turn(&w);
	assert_true(load_of(&w, 0) >= 100.0 * STREAMS / 2);
	assert_true(load_of(&w, 2) > 0 && load_of(&w, 3) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_on_one_is_spread),
		cmocka_unit_test(what_cannot_be_even_stays),
		cmocka_unit_test(one_stream_is_never_moved),
		cmocka_unit_test(the_largest_that_fits_goes_first),
		cmocka_unit_test(who_was_moved_rests),
		cmocka_unit_test(noise_moves_nothing),
		cmocka_unit_test(an_idle_relay_moves_nothing),
		cmocka_unit_test(who_is_not_usable_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
