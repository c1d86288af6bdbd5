/* The relay: what goes straight through, what waits and in which order, who is paused, who hears of
 * a dead hop, and that nothing is left behind. */
/* with: tests/unit/flow/relay_fixture.c */
#include "relay_fixture.h"

static void goes_straight_through(void **state)
{
	struct fixture *f = *state;

	add(f, UP0, 1, 100);
	add(f, DOWN0, 1, 100);
	control(f, UP0, FRAME_OPEN, 12, 7);
	data(f, UP0, 5, 100, 9);
	control(f, DOWN0, FRAME_ACK, 16, 3);
	control(f, UP0, FRAME_PROBE, 8, 4);
	control(f, DOWN0, FRAME_PROBED, 8, 4);
	assert_int_equal(f->ends[DOWN0].count, 3);
	assert_int_equal(f->ends[DOWN0].sent[0].head.type, FRAME_OPEN);
	assert_int_equal(f->ends[DOWN0].sent[0].first, 7);
	assert_int_equal(f->ends[DOWN0].sent[1].head.offset, 5);
	assert_int_equal(f->ends[DOWN0].sent[1].first, 9);
	assert_int_equal(f->ends[DOWN0].sent[2].head.type, FRAME_PROBE);
	assert_int_equal(f->ends[DOWN0].sent[2].first, 4);
	assert_int_equal(f->ends[UP0].count, 2);
	assert_int_equal(f->ends[UP0].sent[1].head.type, FRAME_PROBED);
	assert_int_equal(f->items.used, 0);
	assert_int_equal(f->ends[UP0].hop->received_bytes, 100);
	assert_int_equal(f->ends[DOWN0].hop->sent_bytes, 100);
}

static void control_goes_ahead_of_waiting_data(void **state)
{
	struct fixture *f = *state;

	add(f, UP0, 1, 100);
	add(f, DOWN0, 1, 0);
	data(f, UP0, 0, 3000, 1);
	data(f, UP0, 3000, 10, 2);
	data(f, UP0, 3010, 0, 0);
	control(f, UP0, FRAME_ACK, 16, 3);
	control(f, UP0, FRAME_TUNNEL_CLOSE, 0, 0);
	assert_int_equal(f->ends[DOWN0].count, 0);
	give_room(f, DOWN0, 100);
	assert_int_equal(f->ends[DOWN0].count, 5);
	assert_int_equal(f->ends[DOWN0].sent[0].head.type, FRAME_ACK);
	assert_int_equal(f->ends[DOWN0].sent[0].first, 3);
	assert_int_equal(f->ends[DOWN0].sent[1].head.type, FRAME_TUNNEL_CLOSE);
	assert_int_equal(f->ends[DOWN0].sent[2].first, 1);
	assert_int_equal(f->ends[DOWN0].sent[3].first, 2);
	assert_int_equal(f->ends[DOWN0].sent[4].head.offset, 3010);
	assert_int_equal(f->chunks.used_bytes, 0);
}

/* What comes later may not pass what waits, even when room has come without a run. */
static void waiting_data_is_not_overtaken(void **state)
{
	struct fixture *f = *state;

	add(f, UP0, 1, 100);
	add(f, DOWN0, 1, 0);
	data(f, UP0, 0, 10, 1);
	f->ends[DOWN0].room = 100;
	f->ends[DOWN0].hop->is_blocked = false;
	data(f, UP0, 10, 10, 2);
	relay_run(f->relay);
	assert_int_equal(f->ends[DOWN0].sent[0].first, 1);
	assert_int_equal(f->ends[DOWN0].sent[1].first, 2);
}

static void small_payloads_share_a_chunk(void **state)
{
	struct fixture *f = *state;

	add(f, UP0, 1, 100);
	add(f, DOWN0, 1, 0);
	for (int i = 0; i < 100; i++)
		data(f, UP0, 64 * (uint64_t)i, 64, 1);
	assert_int_equal(f->items.used, 100);
	assert_true(f->chunks.used_bytes <= 16 * KIB);
	data(f, UP0, 6400, 60000, 1);
	assert_true(f->chunks.used_bytes >= 64 * KIB); /* its own chunk: no copy */
}

static void a_full_queue_pauses_its_feeders_only(void **state)
{
	struct fixture *f = *state;
	size_t frames = 0;

	add(f, UP0, 1, 100);
	add(f, DOWN0, 1, 0);
	while (!f->ends[UP0].is_paused) {
		data(f, UP0, 0, 10000, 1);
		assert_true(++frames <= RELAY_QUEUE_BYTES / 10000 + 1);
	}
	assert_true(frames * 10000 + 10000 > RELAY_QUEUE_BYTES * 9 / 10);
	assert_false(f->ends[DOWN0].is_paused);
	add(f, UP1, 1, 100);
	assert_true(f->ends[UP1].is_paused);

	give_room(f, DOWN0, frames / 3);
	assert_true(f->ends[UP0].is_paused);
	give_room(f, DOWN0, frames / 3);
	assert_false(f->ends[UP0].is_paused);
	assert_false(f->ends[UP1].is_paused);
}

static void control_frames_are_bounded_too(void **state)
{
	struct fixture *f = *state;
	size_t frames = 0;

	add(f, UP0, 1, 100);
	add(f, DOWN0, 1, 0);
	while (!f->ends[UP0].is_paused) {
		control(f, UP0, FRAME_ACK, 16, 1);
		assert_true(++frames <= RELAY_QUEUE_BYTES / 16);
	}
}

static void splits_by_weight(void **state)
{
	struct fixture *f = *state;
	size_t a, b;

	add(f, UP0, 1, 100);
	add(f, DOWN0, 1, SENT_MAX);
	add(f, DOWN1, 3, SENT_MAX);
	for (int i = 0; i < 4000; i++)
		data(f, UP0, 0, (uint32_t)(1 + i % 7 * 100), 1);
	a = f->ends[DOWN0].hop->sent_bytes;
	b = f->ends[DOWN1].hop->sent_bytes;
	assert_true(b > 3 * a * 99 / 100 && b < 3 * a * 101 / 100);
}

/* A hop that had no room for long makes up for a bounded part of its share. */
static void catches_up_within_bounds(void **state)
{
	struct fixture *f = *state;
	uint64_t before, lag = 0;

	add(f, UP0, 1, 100);
	add(f, DOWN0, 1, 0);
	add(f, DOWN1, 1, SENT_MAX);
	for (int i = 0; i < 100; i++)
		data(f, UP0, 0, 50000, 1);
	give_room(f, DOWN0, SENT_MAX);
	before = f->ends[DOWN1].hop->sent_bytes;
	while (f->ends[DOWN1].hop->sent_bytes == before) {
		data(f, UP0, 0, 50000, 1);
		lag = f->ends[DOWN0].hop->sent_bytes;
		assert_true(lag <= RELAY_LAG_BYTES + 3 * 50000);
	}
	assert_true(lag >= RELAY_LAG_BYTES - 50000);
}

static void works_on_over_what_is_left(void **state)
{
	struct fixture *f = *state;

	add(f, UP0, 1, 100);
	add(f, DOWN0, 1, 100);
	add(f, DOWN1, 1, 0);
	lose(f, DOWN0);
	data(f, UP0, 0, 10, 1);
	assert_false(f->ends[UP0].is_closed);
	give_room(f, DOWN1, 100);
	assert_int_equal(f->ends[DOWN1].count, 1);
	assert_int_equal(f->ends[DOWN1].sent[0].first, 1);
}

static void tells_the_side_the_bytes_came_from(void **state)
{
	struct fixture *f = *state;

	for (int which = UP0; which <= DOWN1; which++)
		add(f, which, 1, 100);
	lose(f, DOWN0);
	for (int which = UP0; which <= UP1; which++) {
		assert_int_equal(f->ends[which].count, 1);
		assert_int_equal(f->ends[which].sent[0].head.type, FRAME_PATH_LOST);
	}
	assert_int_equal(f->ends[UP0].sent[0].event, f->ends[UP1].sent[0].event);
	assert_int_equal(f->ends[DOWN1].count, 0);
	lose(f, UP1);
	assert_int_equal(f->ends[DOWN1].count, 1);
	assert_int_not_equal(f->ends[DOWN1].sent[0].event, f->ends[UP0].sent[0].event);
}

static void an_event_runs_on_once(void **state)
{
	struct fixture *f = *state;

	for (int which = UP0; which <= DOWN1; which++)
		add(f, which, 1, 100);
	event(f, DOWN0, 42);
	event(f, DOWN1, 42);
	event(f, DOWN1, 43);
	for (int which = UP0; which <= UP1; which++) {
		assert_int_equal(f->ends[which].count, 2);
		assert_int_equal(f->ends[which].sent[0].event, 42);
		assert_int_equal(f->ends[which].sent[1].event, 43);
	}
	assert_int_equal(f->ends[DOWN0].count + f->ends[DOWN1].count, 0);
}

static void a_blocked_hop_keeps_the_newest_event(void **state)
{
	struct fixture *f = *state;

	add(f, UP0, 1, 0);
	add(f, UP1, 1, 100);
	add(f, DOWN0, 1, 100);
	for (uint64_t id = 1; id <= 5; id++)
		event(f, DOWN0, id);
	data(f, DOWN0, 0, 10, 1);
	assert_int_equal(f->ends[UP1].count, 6);
	assert_int_equal(f->ends[UP0].count, 0);
	give_room(f, UP0, 100);
	assert_int_equal(f->ends[UP0].count, 1);
	assert_int_equal(f->ends[UP0].sent[0].event, 5);
}

static void without_a_next_hop_it_hangs_up(void **state)
{
	struct fixture *f = *state;

	for (int which = UP0; which <= DOWN0; which++)
		add(f, which, 1, 0);
	data(f, UP0, 0, 5000, 1);
	data(f, DOWN0, 0, 10, 1);
	lose(f, DOWN0);
	assert_true(f->ends[UP0].is_closed && f->ends[UP1].is_closed);
	assert_int_equal(f->ends[UP0].count, 0);
	assert_int_equal(f->items.used, 0);

	/* It may begin anew. */
	add(f, UP0, 1, 100);
	add(f, DOWN1, 1, 100);
	data(f, UP0, 0, 10, 1);
	assert_int_equal(f->ends[DOWN1].count, 1);
	lose(f, UP0);
	assert_true(f->ends[DOWN1].is_closed);
}

/* The hops that fed a full queue are gone; those that come next must not stay paused. */
static void a_pause_ends_with_the_queue(void **state)
{
	struct fixture *f = *state;

	add(f, UP0, 1, 100);
	add(f, DOWN0, 1, 0);
	for (int i = 0; i < 10; i++)
		data(f, UP0, 0, 60000, 1);
	assert_true(f->ends[UP0].is_paused);
	lose(f, DOWN0);
	add(f, UP0, 1, 100);
	assert_false(f->ends[UP0].is_paused);
}

static void drops_what_is_not_forwarded(void **state)
{
	static const uint8_t types[] = {FRAME_HELLO, FRAME_PING, FRAME_PONG, FRAME_DRAINED};
	struct fixture *f = *state;

	add(f, UP0, 1, 100);
	add(f, DOWN0, 1, 100);
	for (size_t i = 0; i < sizeof(types); i++)
		control(f, UP0, types[i], 8, 1);
	event(f, UP0, 0);
	control(f, UP0, FRAME_PATH_LOST, 3, 1); /* no event id at all */
	assert_int_equal(f->ends[DOWN0].count, 0);
	assert_int_equal(f->items.used, 0);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(goes_straight_through),
		test(control_goes_ahead_of_waiting_data),
		test(waiting_data_is_not_overtaken),
		test(small_payloads_share_a_chunk),
		test(a_full_queue_pauses_its_feeders_only),
		test(control_frames_are_bounded_too),
		test(splits_by_weight),
		test(catches_up_within_bounds),
		test(works_on_over_what_is_left),
		test(tells_the_side_the_bytes_came_from),
		test(an_event_runs_on_once),
		test(a_blocked_hop_keeps_the_newest_event),
		test(without_a_next_hop_it_hangs_up),
		test(a_pause_ends_with_the_queue),
		test(drops_what_is_not_forwarded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
