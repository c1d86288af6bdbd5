/* with: tests/unit/emulator/lane.c src/emulator/core/direction.c src/emulator/core/shaper.c */
/* with: src/emulator/core/jitter.c src/emulator/core/loss.c src/emulator/core/settings.c */
/* with: src/emulator/core/quantity.c */
/* One direction in virtual time: its rate and delay are exact, its queue drops by the limit, what
 * it loses is as much as was asked, and all repeats by the seed. */
#include "lane.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define FULL 1514u

static int set_up(void **state)
{
	struct lane *l = malloc(sizeof(*l));

	lane_init(l, 1);
	*state = l;
	return 0;
}

static int tear_down(void **state)
{
	lane_done(*state);
	free(*state);
	return 0;
}

static uint64_t pop_all(struct lane *l)
{
	struct exit exit;
	uint64_t count = 0;

	while (lane_pop(l, &exit))
		count++;
	return count;
}

static void test_nothing_asked_nothing_done(void **state)
{
	struct lane *l = *state;
	struct exit exit;

	lane_push(l, 5 * SECOND, 60);
	assert_true(lane_pop(l, &exit));
	assert_int_equal(exit.at_ns, 5 * SECOND);
	assert_false(lane_pop(l, &exit));
}

static void test_delay_is_exact(void **state)
{
	struct lane *l = *state;
	struct exit exit;

	lane_set(l, "delay 10ms");
	lane_push(l, 2 * SECOND, 60);
	lane_push(l, 2 * SECOND + 7, 60);
	assert_true(lane_pop(l, &exit));
	assert_int_equal(exit.at_ns, 2 * SECOND + 10 * MS);
	assert_true(lane_pop(l, &exit));
	assert_int_equal(exit.at_ns, 2 * SECOND + 10 * MS + 7);
}

/* 7 Mbit/s divides nothing evenly: what is left of each ns must not be lost. */
static void test_rate_is_exact(void **state)
{
	struct lane *l = *state;
	struct exit exit = {0};

	lane_set(l, "rate 7mbit");
	for (int i = 0; i < 1000; i++)
		lane_push(l, SECOND, FULL);
	for (int i = 0; i < 1000; i++)
		assert_true(lane_pop(l, &exit));
	assert_int_equal(exit.at_ns, SECOND + 1000ull * FULL * 8 * 1000 / 7);
}

/* Whoever is served late is not served slower: the line's time is its own. */
static void test_rate_does_not_depend_on_who_looks(void **state)
{
	struct lane *l = *state;
	uint64_t now_ns = SECOND;

	lane_set(l, "rate 12112kbit"); /* 1 ms a packet */
	for (int i = 0; i < 100; i++)
		lane_push(l, SECOND, FULL);
	for (int i = 0; i < 9; i++) {
		now_ns += 10 * MS + 999 * US;
		while (1) {
			struct packet *p = direction_pop(&l->direction, now_ns);

			if (!p)
				break;
			slab_free(&l->slab, p);
		}
		assert_int_equal(l->direction.counters.out_packets, (now_ns - SECOND) / MS);
	}
}

static void test_line_rests_and_owes_nothing(void **state)
{
	struct lane *l = *state;
	struct exit exit;

	lane_set(l, "rate 12112kbit");
	lane_push(l, SECOND, FULL);
	assert_true(lane_pop(l, &exit));
	lane_push(l, 9 * SECOND, FULL);
	assert_true(lane_pop(l, &exit));
	assert_int_equal(exit.at_ns, 9 * SECOND + MS);
}

static void test_queue_drops_beyond_packets(void **state)
{
	struct lane *l = *state;

	lane_set(l, "rate 1mbit limit 10p");
	for (int i = 0; i < 25; i++)
		lane_push(l, SECOND, FULL);
	assert_int_equal(l->direction.counters.dropped[DROP_QUEUE], 15);
	assert_int_equal(pop_all(l), 10);
}

static void test_queue_drops_beyond_bytes(void **state)
{
	struct lane *l = *state;

	lane_set(l, "rate 1mbit limit 4kb");
	lane_push(l, SECOND, 1500);
	lane_push(l, SECOND, 1500);
	lane_push(l, SECOND, 1500); /* 4500 */
	lane_push(l, SECOND, 1096); /* 4096 */
	lane_push(l, SECOND, 60);
	assert_int_equal(l->direction.counters.dropped[DROP_QUEUE], 2);
	assert_int_equal(l->direction.counters.queue_bytes_max, 4096);
	assert_int_equal(pop_all(l), 3);
}

/* The queue is looked at as of the packet's arrival, not of the last time somebody asked. */
static void test_queue_empties_by_itself(void **state)
{
	struct lane *l = *state;

	lane_set(l, "rate 12112kbit limit 1p");
	for (uint64_t i = 0; i < 50; i++)
		lane_push(l, SECOND + i * MS, FULL);
	assert_int_equal(l->direction.counters.dropped[DROP_QUEUE], 0);
}

static void test_delay_needs_no_queue(void **state)
{
	struct lane *l = *state;

	lane_set(l, "delay 1s limit 1p");
	for (int i = 0; i < 1000; i++)
		lane_push(l, SECOND, FULL);
	assert_int_equal(pop_all(l), 1000);
}

static void test_rate_changes_while_packets_wait(void **state)
{
	struct lane *l = *state;
	struct exit exit;

	lane_set(l, "rate 12112kbit");
	for (int i = 0; i < 4; i++)
		lane_push(l, SECOND, FULL);
	assert_true(lane_pop(l, &exit));
	assert_int_equal(exit.at_ns, SECOND + MS);
	lane_set(l, "rate 121120kbit");
	for (uint64_t i = 1; i < 4; i++) {
		assert_true(lane_pop(l, &exit));
		assert_int_equal(exit.at_ns, SECOND + MS + i * 100 * US);
	}
}

/* After a rate of next to nothing the line must not believe that it had been fast all along. */
static void test_rate_rises_without_a_burst(void **state)
{
	struct lane *l = *state;
	struct exit exit;

	lane_set(l, "rate 1kbit");
	for (int i = 0; i < 3; i++)
		lane_push(l, SECOND, FULL);
	l->now_ns = 11 * SECOND;
	lane_set(l, "rate 12112kbit");
	for (uint64_t i = 1; i < 4; i++) {
		assert_true(lane_pop(l, &exit));
		assert_int_equal(exit.at_ns, 11 * SECOND + i * MS);
	}
}

static void test_shorter_delay_keeps_the_order(void **state)
{
	struct lane *l = *state;
	struct exit exit;

	lane_set(l, "delay 10ms");
	lane_push(l, SECOND, 60);
	lane_set(l, "delay 1ms");
	lane_push(l, SECOND + MS, 60);
	for (uint64_t i = 0; i < 2; i++) {
		assert_true(lane_pop(l, &exit));
		assert_int_equal(exit.number, i);
		assert_int_equal(exit.at_ns, SECOND + 10 * MS);
	}
}

static void test_loss_is_as_asked(void **state)
{
	struct lane *l = *state;

	lane_set(l, "loss 1%");
	for (int i = 0; i < 100000; i++) {
		lane_push(l, SECOND + (uint64_t)i * US, 60);
		pop_all(l);
	}
	/* five standard deviations of 1000 */
	assert_in_range(l->direction.counters.dropped[DROP_RANDOM], 843, 1157);
	assert_int_equal(l->direction.counters.out_packets +
				 l->direction.counters.dropped[DROP_RANDOM],
			 100000);
}

/* What is lost on the wire has been sent. */
static void test_lost_packets_use_the_line(void **state)
{
	struct lane *l = *state;
	struct exit exit = {0};

	lane_set(l, "rate 12112kbit loss 50%");
	for (int i = 0; i < 100; i++)
		lane_push(l, SECOND, FULL);
	while (lane_pop(l, &exit))
		assert_int_equal(exit.at_ns, SECOND + (exit.number + 1) * MS);
	assert_in_range(l->direction.counters.out_packets, 25, 75);
}

static void test_seed_decides(void **state)
{
	struct lane *lanes[3] = {*state, malloc(sizeof(struct lane)), malloc(sizeof(struct lane))};
	uint64_t equal = 0, came[3];

	lane_init(lanes[1], 1);
	lane_init(lanes[2], 2);
	for (int i = 0; i < 200; i++) {
		for (int k = 0; k < 3; k++) {
			lane_set(lanes[k], "loss 50%");
			lane_push(lanes[k], SECOND, 60);
			came[k] = pop_all(lanes[k]);
		}
		assert_int_equal(came[0], came[1]);
		equal += came[0] == came[2];
	}
	assert_in_range(equal, 50, 150);
	for (int k = 1; k < 3; k++) {
		lane_done(lanes[k]);
		free(lanes[k]);
	}
}

static void test_jitter_keeps_the_order_and_the_range(void **state)
{
	struct lane *l = *state;
	struct exit exit;
	uint64_t expected = 0, least = UINT64_MAX, most = 0, sum = 0;

	lane_set(l, "delay 10ms jitter 2ms");
	for (uint64_t i = 0; i < 20000; i++)
		lane_push(l, SECOND + i * 50 * US, 60);
	while (lane_pop(l, &exit)) {
		uint64_t delay_ns = exit.at_ns - (SECOND + exit.number * 50 * US);

		assert_int_equal(exit.number, expected++);
		assert_in_range(delay_ns, 8 * MS, 12 * MS);
		least = delay_ns < least ? delay_ns : least;
		most = delay_ns > most ? delay_ns : most;
		sum += delay_ns;
	}
	assert_int_equal(expected, 20000);
	assert_true(least < 8 * MS + 100 * US && most > 12 * MS - 100 * US);
	assert_in_range(sum / expected, 9700 * US, 10300 * US);
}

/* Nobody asks too late for a packet that is faster than the delay; none goes back in time. */
static void test_jitter_larger_than_the_delay(void **state)
{
	struct lane *l = *state;
	struct exit exit;
	uint64_t at_once = 0, faster = 0;

	lane_set(l, "delay 1ms jitter 5ms");
	for (uint64_t i = 1; i <= 1000; i++) {
		uint64_t delay_ns;

		lane_push(l, SECOND + i * SECOND, 60);
		assert_true(lane_pop(l, &exit));
		delay_ns = exit.at_ns - (SECOND + i * SECOND);
		assert_in_range(delay_ns, 0, 6 * MS);
		at_once += delay_ns == 0;
		faster += delay_ns > 0 && delay_ns < MS;
	}
	assert_in_range(at_once, 320, 480); /* -4 to 0 of -4 to 6: five standard deviations */
	assert_in_range(faster, 53, 147);
}

static void test_reordered_packets_are_overtaken(void **state)
{
	struct lane *l = *state;
	struct exit exit;
	uint64_t late = 0, highest = 0;

	lane_set(l, "delay 10ms reorder 10%:5ms");
	for (uint64_t i = 0; i < 1000; i++)
		lane_push(l, SECOND + i * MS, 60);
	while (lane_pop(l, &exit)) {
		uint64_t delay_ns = exit.at_ns - (SECOND + exit.number * MS);

		if (delay_ns == 15 * MS)
			late++;
		else
			assert_int_equal(delay_ns, 10 * MS);
		if (exit.number >= highest)
			highest = exit.number;
		else
			assert_int_equal(delay_ns, 15 * MS);
	}
	assert_int_equal(late, l->direction.counters.reordered);
	assert_in_range(late, 53, 147);
}

static void test_duplicates_come_twice(void **state)
{
	struct lane *l = *state;
	struct exit exit;
	uint64_t last = UINT64_MAX, twice = 0;

	lane_set(l, "delay 1ms duplicate 10%");
	for (uint64_t i = 0; i < 1000; i++)
		lane_push(l, SECOND + i * US, 61);
	while (lane_pop(l, &exit)) {
		assert_int_equal(exit.len, 61);
		twice += exit.number == last;
		last = exit.number;
	}
	assert_int_equal(twice, l->direction.counters.duplicated);
	assert_int_equal(l->direction.counters.out_packets, 1000 + twice);
	assert_in_range(twice, 53, 147);
}

static void test_blackhole_acts_at_once_and_ends(void **state)
{
	struct lane *l = *state;
	struct exit exit;

	lane_set(l, "delay 10ms");
	lane_push(l, SECOND, 60);
	lane_push(l, SECOND + 5 * MS, 60);
	l->direction.is_blackhole = true;
	assert_null(direction_pop(&l->direction, SECOND + 10 * MS));
	l->direction.is_blackhole = false;
	assert_true(lane_pop(l, &exit));
	assert_int_equal(exit.number, 1);
	assert_int_equal(l->direction.counters.dropped[DROP_BLACKHOLE], 1);
}

static void test_down_takes_all(void **state)
{
	struct lane *l = *state;
	struct exit exit;

	lane_set(l, "rate 12112kbit delay 3ms reorder 50%:5ms");
	for (int i = 0; i < 10; i++)
		lane_push(l, SECOND, FULL);
	assert_null(direction_pop(&l->direction, SECOND + 2 * MS));
	direction_set_down(&l->direction, true);
	lane_push(l, SECOND + 2 * MS, FULL);
	assert_false(lane_pop(l, &exit));
	assert_int_equal(l->direction.counters.dropped[DROP_DOWN], 11);
	assert_int_equal(l->slab.used, 0);
	direction_set_down(&l->direction, false);
	lane_push(l, 2 * SECOND, FULL);
	assert_true(lane_pop(l, &exit));
}

static void test_memory_is_bounded(void **state)
{
	struct lane *l = *state;
	uint64_t fit = DIRECTION_BYTES_MAX / l->slab.object_bytes;

	lane_set(l, "delay 60s");
	for (uint64_t i = 0; i < fit + 1000; i++)
		lane_push(l, SECOND, 60);
	assert_in_range(l->direction.counters.dropped[DROP_MEMORY], 999, 1000);
}

/* Whatever happens to packets, each is somewhere. */
static void test_counters_add_up(void **state)
{
	struct lane *l = *state;
	struct counters *c = &l->direction.counters;
	uint64_t dropped = 0;

	lane_set(l, "rate 100mbit delay 5ms jitter 1ms loss 1% burst 1%:3 reorder 5%:2ms "
		    "duplicate 5% limit 20p");
	for (uint64_t i = 0; i < 5000; i++) {
		l->direction.is_blackhole = i / 1000 == 3;
		lane_push(l, SECOND + i * 100 * US, FULL);
	}
	for (enum drop drop = 0; drop < DROP_COUNT; drop++)
		dropped += c->dropped[drop];
	for (enum drop drop = DROP_RANDOM; drop <= DROP_BLACKHOLE; drop++)
		assert_true(c->dropped[drop] > 0);
	assert_true(c->dropped[DROP_QUEUE] > 0 && l->direction.packet_count > 0);
	assert_int_equal(c->in_packets, 5000);
	assert_int_equal(c->in_packets + c->duplicated,
			 c->out_packets + dropped + l->direction.packet_count);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(test_nothing_asked_nothing_done),
		TEST(test_delay_is_exact),
		TEST(test_rate_is_exact),
		TEST(test_rate_does_not_depend_on_who_looks),
		TEST(test_line_rests_and_owes_nothing),
		TEST(test_queue_drops_beyond_packets),
		TEST(test_queue_drops_beyond_bytes),
		TEST(test_queue_empties_by_itself),
		TEST(test_delay_needs_no_queue),
		TEST(test_rate_changes_while_packets_wait),
		TEST(test_rate_rises_without_a_burst),
		TEST(test_shorter_delay_keeps_the_order),
		TEST(test_loss_is_as_asked),
		TEST(test_lost_packets_use_the_line),
		TEST(test_seed_decides),
		TEST(test_jitter_keeps_the_order_and_the_range),
		TEST(test_jitter_larger_than_the_delay),
		TEST(test_reordered_packets_are_overtaken),
		TEST(test_duplicates_come_twice),
		TEST(test_blackhole_acts_at_once_and_ends),
		TEST(test_down_takes_all),
		TEST(test_memory_is_bounded),
		TEST(test_counters_add_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
