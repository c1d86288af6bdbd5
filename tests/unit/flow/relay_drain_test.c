/* The relay when hops are drained, N x M: who gets frames, who is told, and when DRAIN goes out. No
 * frame may follow a DRAIN; the fixture sees to that. */
/* with: tests/unit/flow/relay_fixture.c */
#include "relay_fixture.h"

static void one_of_several_is_drained_at_once(void **state)
{
	struct fixture *f = *state;

	add_all(f, 100);
	drain(f, UP0);
	assert_true(f->ends[UP0].has_drain);
	assert_false(f->ends[UP0].is_answered); /* the peer began, and will close */
	for (int i = 0; i < 10; i++)
		data(f, DOWN0, 0, 5000, 1);
	assert_int_equal(f->ends[UP1].count, 10);
	assert_false(f->ends[DOWN0].has_drain || f->ends[DOWN1].has_drain);
	retire(f, UP0);
	assert_int_equal(f->ends[DOWN0].count + f->ends[DOWN1].count, 0); /* no event */
}

/* What is queued goes to those who stay, also while the one that is to end has no room. */
static void a_blocked_hop_gets_its_drain_later(void **state)
{
	struct fixture *f = *state;

	add_all(f, 0);
	data(f, DOWN0, 0, 10, 1);
	event(f, DOWN0, 42);
	drain(f, UP0);
	give_room(f, UP0, 100);
	assert_int_equal(f->ends[UP0].count, 2);
	expect_event(&f->ends[UP0], 0, FRAME_PATH_LOST);
	expect_event(&f->ends[UP0], 1, FRAME_DRAIN);
	give_room(f, UP1, 100);
	assert_int_equal(f->ends[UP1].count, 2);
	assert_int_equal(f->ends[UP1].sent[1].head.type, FRAME_DATA);
}

/* An update after a link behind the next proxy has failed. */
static void one_that_stalls_is_not_waited_for(void **state)
{
	struct fixture *f = *state;

	add_all(f, 100);
	stall(f, DOWN0, true);
	drain(f, UP0);
	drain(f, UP1);
	assert_true(f->ends[UP0].has_drain && f->ends[DOWN1].has_drain);
	assert_false(f->ends[UP1].has_drain);
	drain(f, DOWN1);
	assert_true(f->ends[UP1].has_drain);
}

/* It has no room for its DRAIN, and the others were drained before. */
static void one_that_stalls_and_is_full_is_not_waited_for(void **state)
{
	struct fixture *f = *state;

	add_all(f, 100);
	stall(f, DOWN0, true);
	f->ends[DOWN0].hop->is_blocked = true;
	drain(f, DOWN1);
	drain(f, UP0);
	drain(f, UP1);
	assert_true(f->ends[UP1].has_drain);
}

/* Begun by either end: `near` are the hops towards it. */
static void drain_all(struct fixture *f, int near, int far)
{
	size_t before;

	add_all(f, 100);
	f->ends[far].hop->is_blocked = f->ends[far + 1].hop->is_blocked = true;
	data(f, near, 0, 10, 1);
	drain(f, near);
	assert_true(f->ends[near].has_drain);
	drain(f, near + 1);
	assert_false(f->ends[near + 1].has_drain); /* it is the way back */

	/* What is queued goes first. */
	give_room(f, far, 1);
	assert_int_equal(f->ends[far].sent[0].head.type, FRAME_DATA);
	assert_false(f->ends[far].has_drain || f->ends[far + 1].has_drain);
	give_room(f, far, 100);
	assert_true(f->ends[far].has_drain && !f->ends[far + 1].has_drain);
	give_room(f, far + 1, 100);
	assert_true(f->ends[far + 1].has_drain);

	/* The way back is open until DRAIN has come back on all, and all is sent. */
	data(f, far, 0, 10, 1);
	drain(f, far);
	assert_true(f->ends[far].is_answered);
	retire(f, far);
	data(f, far + 1, 10, 10, 2);
	assert_int_equal(f->ends[near + 1].count, 2);
	f->ends[near + 1].hop->is_blocked = true;
	data(f, far + 1, 20, 10, 3);
	drain(f, far + 1);
	retire(f, far + 1);
	assert_false(f->ends[near + 1].is_closed);
	before = f->ends[near + 1].count;
	give_room(f, near + 1, 100);
	assert_int_equal(f->ends[near + 1].count, before + 2);
	assert_int_equal(f->ends[near + 1].sent[before].first, 3);
	assert_true(f->ends[near + 1].has_drain);
	assert_false(f->ends[near + 1].is_answered);
	retire(f, near);
	retire(f, near + 1);
	assert_false(f->ends[near].is_closed || f->ends[far].is_closed);
}

static void the_last_one_drains_the_other_side_first(void **state)
{
	drain_all(*state, UP0, DOWN0);
}

static void an_egress_may_begin_as_well(void **state)
{
	drain_all(*state, DOWN0, UP0);
}

/* Both ends at once: each relay between them comes to the same end. */
static void both_ends_may_begin(void **state)
{
	struct fixture *f = *state;

	add(f, UP0, 1, 100);
	add(f, DOWN0, 1, 100);
	drain(f, UP0);
	assert_true(f->ends[DOWN0].has_drain);
	drain(f, DOWN0);
	assert_true(f->ends[UP0].has_drain);
}

static void after_a_drain_it_may_begin_anew(void **state)
{
	struct fixture *f = *state;

	add(f, UP0, 1, 100);
	add(f, DOWN0, 1, 100);
	drain(f, UP0);
	drain(f, DOWN0);
	retire(f, DOWN0);
	retire(f, UP0);
	/* As a proxy does: first the way on, then the one who waits for it. */
	add(f, DOWN1, 1, 100);
	relay_run(f->relay);
	assert_false(f->ends[DOWN1].has_drain);
	add(f, UP1, 1, 100);
	data(f, UP1, 0, 10, 1);
	relay_run(f->relay);
	assert_false(f->ends[UP1].has_drain);
	assert_int_equal(f->ends[DOWN1].count, 1);
}

/* An update in the middle: the tunnel stays, and the old hop need not be the way back. */
static void a_hop_that_joins_ends_the_drain_of_the_other_side(void **state)
{
	struct fixture *f = *state;

	add(f, UP0, 1, 100);
	add(f, DOWN0, 1, 0);
	data(f, UP0, 0, 10, 1);
	drain(f, UP0);
	assert_false(f->ends[UP0].has_drain);
	add(f, UP1, 1, 100);
	relay_run(f->relay);
	assert_true(f->ends[UP0].has_drain);
	give_room(f, DOWN0, 100);
	assert_int_equal(f->ends[DOWN0].count, 1);
	assert_false(f->ends[DOWN0].has_drain);
	data(f, DOWN0, 0, 10, 1);
	assert_int_equal(f->ends[UP1].count, 1);
}

/* The one that had not sent its DRAIN dies; the others have. */
static void a_death_may_complete_a_drain(void **state)
{
	struct fixture *f = *state;

	add_all(f, 100);
	f->ends[UP0].hop->is_blocked = true;
	drain(f, UP0);
	lose(f, UP1);
	for (int which = DOWN0; which <= DOWN1; which++) {
		assert_int_equal(f->ends[which].count, 2);
		expect_event(&f->ends[which], 0, FRAME_PATH_LOST);
		assert_true(f->ends[which].has_drain);
	}
	drain(f, DOWN0);
	lose(f, DOWN1);
	assert_false(f->ends[UP0].is_closed);
	give_room(f, UP0, 100);
	expect_event(&f->ends[UP0], 0, FRAME_PATH_LOST);
	expect_event(&f->ends[UP0], 1, FRAME_DRAIN);
}

/* The one that carried on for a drained one dies: there is no way back any more. */
static void without_a_way_it_hangs_up(void **state)
{
	struct fixture *f = *state;

	add_all(f, 100);
	drain(f, UP0);
	lose(f, UP1);
	assert_true(f->ends[UP0].is_closed && f->ends[DOWN0].is_closed && f->ends[DOWN1].is_closed);
}

/* The frames that a dead hop had cannot be told of to those who are drained. */
static void a_loss_that_cannot_be_told_is_the_end(void **state)
{
	struct fixture *f = *state;

	add_all(f, 100);
	f->ends[UP0].hop->is_blocked = true;
	drain(f, UP0);
	drain(f, UP1); /* both are the way back */
	assert_true(f->ends[DOWN0].has_drain && f->ends[DOWN1].has_drain);
	lose(f, UP1);
	assert_true(f->ends[UP0].is_closed && f->ends[DOWN0].is_closed && f->ends[DOWN1].is_closed);
}

static void the_last_hop_dies_while_it_drains(void **state)
{
	struct fixture *f = *state;

	add(f, UP0, 1, 100);
	add(f, DOWN0, 1, 100);
	drain(f, UP0);
	lose(f, UP0);
	assert_true(f->ends[DOWN0].is_closed);
}

static void we_may_want_to_be_rid_of_a_hop(void **state)
{
	struct fixture *f = *state;

	add(f, UP0, 1, 100);
	add(f, DOWN0, 1, 100);
	relay_drain_hop(f->relay, f->ends[DOWN0].hop);
	relay_run(f->relay);
	data(f, UP0, 0, 10, 1);
	assert_int_equal(f->ends[DOWN0].count, 1); /* there is no other */
	assert_false(f->ends[DOWN0].has_drain);
	add(f, DOWN1, 1, 100);
	relay_run(f->relay);
	assert_true(f->ends[DOWN0].has_drain);
	data(f, UP0, 10, 10, 1);
	assert_int_equal(f->ends[DOWN1].count, 1);

	/* What it says until it has drained is passed on. */
	data(f, DOWN0, 0, 10, 7);
	assert_int_equal(f->ends[UP0].count, 1);
	assert_false(f->ends[DOWN0].is_answered);
	drain(f, DOWN0);
	assert_true(f->ends[DOWN0].is_answered);
	retire(f, DOWN0);
	assert_int_equal(f->ends[UP0].count, 1);
	assert_false(f->ends[UP0].is_closed);
}

static void who_has_drained_and_dies_before_its_end_is_a_loss(void **state)
{
	struct fixture *f = *state;

	add_all(f, 100);
	drain(f, UP0);
	lose(f, UP0);
	expect_event(&f->ends[DOWN0], 0, FRAME_PATH_LOST);
	assert_false(f->ends[DOWN0].is_closed || f->ends[DOWN0].has_drain);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(one_of_several_is_drained_at_once),
		test(a_blocked_hop_gets_its_drain_later),
		test(one_that_stalls_is_not_waited_for),
		test(one_that_stalls_and_is_full_is_not_waited_for),
		test(the_last_one_drains_the_other_side_first),
		test(an_egress_may_begin_as_well),
		test(both_ends_may_begin),
		test(after_a_drain_it_may_begin_anew),
		test(a_hop_that_joins_ends_the_drain_of_the_other_side),
		test(a_death_may_complete_a_drain),
		test(without_a_way_it_hangs_up),
		test(a_loss_that_cannot_be_told_is_the_end),
		test(the_last_hop_dies_while_it_drains),
		test(we_may_want_to_be_rid_of_a_hop),
		test(who_has_drained_and_dies_before_its_end_is_a_loss),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
