/* The relay when hops stall, N x M: who gets frames, and who is told. */
/* with: tests/unit/flow/relay_fixture.c */
#include "relay_fixture.h"

static void a_stalled_hop_is_passed_over_and_told_of(void **state)
{
	struct fixture *f = *state;

	for (int which = UP0; which <= DOWN1; which++)
		add(f, which, 1, 100);
	stall(f, DOWN0, true);
	for (int which = UP0; which <= UP1; which++)
		expect_event(&f->ends[which], 0, FRAME_PATH_LOST);
	assert_int_equal(f->ends[UP0].sent[0].event, f->ends[UP1].sent[0].event);
	for (int i = 0; i < 10; i++)
		data(f, UP0, 0, 5000, 1);
	assert_int_equal(f->ends[DOWN0].count, 0);
	assert_int_equal(f->ends[DOWN1].count, 10);
	stall(f, DOWN0, false);
	for (int i = 0; i < 10; i++)
		data(f, UP0, 0, 5000, 1);
	assert_true(f->ends[DOWN0].count > 0);
	assert_int_equal(f->ends[UP0].count, 1);
}

/* It was in the middle of a burst. */
static void a_stall_ends_the_burst(void **state)
{
	struct fixture *f = *state;
	int first;

	for (int which = UP0; which <= DOWN1; which++)
		add(f, which, 1, 100);
	data(f, UP0, 0, 10, 1);
	first = f->ends[DOWN0].count ? DOWN0 : DOWN1;
	relay_set_stalled(f->relay, f->ends[first].hop, true);
	data(f, UP0, 10, 10, 1);
	assert_int_equal(f->ends[first].count, 1);
}

static void when_all_stall_frames_wait_for_the_first_that_goes_on(void **state)
{
	struct fixture *f = *state;

	for (int which = UP0; which <= DOWN1; which++)
		add(f, which, 1, 100);
	stall(f, DOWN0, true);
	data(f, UP0, 0, 10, 1);
	stall(f, DOWN1, true);
	data(f, UP0, 10, 10, 2);
	assert_int_equal(f->ends[UP0].count, 2);
	expect_event(&f->ends[UP0], 1, FRAME_PATH_STALLED); /* there is no way on */
	assert_int_equal(f->ends[DOWN0].count, 0);
	assert_int_equal(f->ends[DOWN1].count, 1);

	/* Now there is somebody who can. */
	stall(f, DOWN0, false);
	assert_int_equal(f->ends[DOWN0].count, 1);
	assert_int_equal(f->ends[DOWN0].sent[0].first, 2);
	assert_int_equal(f->ends[UP0].count, 4);
	expect_event(&f->ends[UP0], 2, FRAME_PATH_BACK);
	expect_event(&f->ends[UP0], 3, FRAME_PATH_LOST); /* of the second one */
	assert_int_not_equal(f->ends[UP0].sent[0].event, f->ends[UP0].sent[3].event);
}

static void a_hop_that_joins_makes_up_for_stalled_ones(void **state)
{
	struct fixture *f = *state;

	add(f, UP0, 1, 100);
	add(f, DOWN0, 1, 100);
	stall(f, DOWN0, true);
	data(f, UP0, 0, 10, 1);
	expect_event(&f->ends[UP0], 0, FRAME_PATH_STALLED);
	add(f, DOWN1, 1, 100);
	relay_run(f->relay);
	expect_event(&f->ends[UP0], 1, FRAME_PATH_BACK);
	expect_event(&f->ends[UP0], 2, FRAME_PATH_LOST);
	assert_int_equal(f->ends[DOWN1].count, 1);
}

/* What a neighbour says of its side counts as this hop's own. */
static void a_stall_behind_a_hop_is_a_stall_of_it(void **state)
{
	struct fixture *f = *state;

	for (int which = UP0; which <= DOWN1; which++)
		add(f, which, 1, 100);
	event_of(f, DOWN0, FRAME_PATH_STALLED, 77);
	expect_event(&f->ends[UP0], 0, FRAME_PATH_LOST);
	for (int i = 0; i < 10; i++)
		data(f, UP0, 0, 5000, 1);
	assert_int_equal(f->ends[DOWN0].count, 0);
	event_of(f, DOWN1, FRAME_PATH_STALLED, 78);
	expect_event(&f->ends[UP0], 1, FRAME_PATH_STALLED);
	event_of(f, DOWN0, FRAME_PATH_BACK, 79);
	expect_event(&f->ends[UP0], 2, FRAME_PATH_BACK);
	data(f, UP0, 0, 5000, 1);
	assert_int_equal(f->ends[DOWN0].count, 1);
}

/* A fresh connection instead of a stalled one, at the only next hop. */
static void a_replacement_within_the_turn_is_a_loss_and_no_end(void **state)
{
	struct fixture *f = *state;

	add(f, UP0, 1, 100);
	add(f, DOWN0, 1, 100);
	stall(f, DOWN0, true);
	data(f, UP0, 0, 10, 1);
	relay_remove_hop(f->relay, f->ends[DOWN0].hop);
	add(f, DOWN0, 1, 100);
	relay_run(f->relay);
	assert_false(f->ends[UP0].is_closed);
	assert_int_equal(f->ends[UP0].count, 3);
	expect_event(&f->ends[UP0], 0, FRAME_PATH_STALLED);
	expect_event(&f->ends[UP0], 1, FRAME_PATH_LOST);
	expect_event(&f->ends[UP0], 2, FRAME_PATH_BACK);
	assert_int_equal(f->ends[DOWN0].count, 1);
}

/* One of two good next hops was stalled already, and the other one dies. */
static void a_death_that_leaves_only_stalled_ones_is_told(void **state)
{
	struct fixture *f = *state;

	add_all(f, 100);
	stall(f, DOWN1, true);
	lose(f, DOWN0);
	assert_int_equal(f->ends[UP0].count, 3);
	expect_event(&f->ends[UP0], 0, FRAME_PATH_LOST);
	expect_event(&f->ends[UP0], 1, FRAME_PATH_STALLED);
	expect_event(&f->ends[UP0], 2, FRAME_PATH_LOST);
	stall(f, DOWN1, false);
	expect_event(&f->ends[UP0], 3, FRAME_PATH_BACK);
}

static void so_is_an_end_in_order(void **state)
{
	struct fixture *f = *state;

	add_all(f, 100);
	stall(f, DOWN1, true);
	relay_drain_hop(f->relay, f->ends[DOWN0].hop);
	relay_run(f->relay);
	assert_true(f->ends[DOWN0].has_drain);
	assert_int_equal(f->ends[UP0].count, 2);
	expect_event(&f->ends[UP0], 1, FRAME_PATH_STALLED);
	drain(f, DOWN0);
	retire(f, DOWN0);
	assert_int_equal(f->ends[UP0].count, 2);
}

/* Nothing more is to go there, and so nothing waits; nor for what it has, which counts as lost. */
static void where_all_has_gone_out_nothing_stalls(void **state)
{
	struct fixture *f = *state;

	add(f, UP0, 1, 100);
	add(f, DOWN0, 1, 100);
	drain(f, UP0);
	assert_true(f->ends[DOWN0].has_drain);
	stall(f, DOWN0, true);
	assert_int_equal(f->ends[UP0].count, 2);
	expect_event(&f->ends[UP0], 0, FRAME_PATH_LOST);
	expect_event(&f->ends[UP0], 1, FRAME_DRAIN);
}

/* Between two proxies that have no way on: both queues are full, so neither of them is read, and
 * when one of them goes on its word for it would not be heard. It reads what we have for it. */
static void nobody_waits_for_what_he_does_not_read(void **state)
{
	struct fixture *f = *state;

	add(f, UP0, 1, 1);
	add(f, DOWN0, 1, 1);
	event_of(f, UP0, FRAME_PATH_STALLED, 77);   /* this takes DOWN0's room, */
	event_of(f, DOWN0, FRAME_PATH_STALLED, 78); /* and this UP0's */
	for (int i = 0; !f->ends[UP0].is_paused || !f->ends[DOWN0].is_paused; i++) {
		assert_true(i < 100);
		data(f, UP0, 0, 10000, 1);
		data(f, DOWN0, 0, 10000, 2);
		relay_run(f->relay);
	}
	give_room(f, UP0, 100);
	assert_int_equal(f->ends[UP0].sent[1].first, 2);
	assert_false(f->ends[DOWN0].is_paused);
	give_room(f, DOWN0, 100);
	assert_int_equal(f->ends[DOWN0].sent[1].first, 1);
	assert_false(f->ends[UP0].is_paused);
	event_of(f, UP0, FRAME_PATH_BACK, 79);
	expect_event(&f->ends[DOWN0], f->ends[DOWN0].count - 1, FRAME_PATH_BACK);
}

/* It had some since it stalled, because all did: nobody has told of those. */
static void what_waits_behind_a_hop_is_told_of_when_another_goes_on(void **state)
{
	struct fixture *f = *state;

	add_all(f, 100);
	event_of(f, DOWN0, FRAME_PATH_STALLED, 77);
	stall(f, DOWN1, true);
	data(f, UP0, 0, 10, 1);
	relay_run(f->relay);
	assert_int_equal(f->ends[DOWN0].count, 1);
	assert_int_equal(f->ends[UP0].count, 2);
	stall(f, DOWN1, false);
	expect_event(&f->ends[UP0], 2, FRAME_PATH_BACK);
	expect_event(&f->ends[UP0], 3, FRAME_PATH_LOST);
	data(f, UP0, 10, 10, 1);
	assert_int_equal(f->ends[DOWN1].count, 1);
}

/* Behind its DRAIN a neighbour cannot take back what it said, nor can we. */
static void a_drain_ends_a_stall_behind(void **state)
{
	struct fixture *f = *state;

	add(f, UP0, 1, 100);
	add(f, DOWN0, 1, 100);
	event_of(f, DOWN0, FRAME_PATH_STALLED, 77);
	drain(f, DOWN0);
	assert_int_equal(f->ends[UP0].count, 3);
	expect_event(&f->ends[UP0], 0, FRAME_PATH_STALLED);
	expect_event(&f->ends[UP0], 1, FRAME_PATH_BACK);
	assert_true(f->ends[UP0].has_drain);
}

/* What its hops had said went with them. */
static void it_forgets_stalls_when_it_hangs_up(void **state)
{
	struct fixture *f = *state;

	add(f, UP0, 1, 100);
	add(f, DOWN0, 1, 100);
	stall(f, UP0, true);
	lose(f, DOWN0);
	assert_true(f->ends[UP0].is_closed);
	add(f, DOWN1, 1, 100);
	relay_run(f->relay);
	assert_int_equal(f->ends[DOWN1].count, 0);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_stalled_hop_is_passed_over_and_told_of),
		test(a_stall_ends_the_burst),
		test(when_all_stall_frames_wait_for_the_first_that_goes_on),
		test(a_hop_that_joins_makes_up_for_stalled_ones),
		test(a_stall_behind_a_hop_is_a_stall_of_it),
		test(a_replacement_within_the_turn_is_a_loss_and_no_end),
		test(a_death_that_leaves_only_stalled_ones_is_told),
		test(so_is_an_end_in_order),
		test(where_all_has_gone_out_nothing_stalls),
		test(nobody_waits_for_what_he_does_not_read),
		test(what_waits_behind_a_hop_is_told_of_when_another_goes_on),
		test(a_drain_ends_a_stall_behind),
		test(it_forgets_stalls_when_it_hangs_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
