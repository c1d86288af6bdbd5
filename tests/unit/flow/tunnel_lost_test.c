/* with: tests/unit/flow/world.c */
/* What was lost with its path: when it goes out again, and who looks after it meanwhile. */
#include "world.h"

#define FRAME PATH_FRAME_FIRST_BYTES

/* Two frames on each path; which one has the first. */
static int send_four(struct world *w, struct user *u)
{
	int first;

	user_sends(w, u, 4 * FRAME);
	first = expect_frame(w, FRAME_DATA, u->id)->path == w->paths[1];
	assert_int_equal(w->paths[0]->inflight_bytes, 2 * FRAME);
	assert_int_equal(w->paths[1]->inflight_bytes, 2 * FRAME);
	skip_sent(w);
	return first;
}

/* The next run finds these bytes. */
static void has_more(struct user *u, uint64_t bytes)
{
	u->has_bytes += bytes;
	session_source_ready(u->session);
}

static void new_bytes_go_while_an_ack_may_come(void **state)
{
	struct world *w = *state;
	struct user *u = begin_known(w);
	int gone = send_four(w, u);

	w->paths[1 - gone]->cap_bytes = 3 * FRAME;
	has_more(u, 2 * FRAME);
	path_lost(w, gone);
	expect_data(w, u->id, 4 * FRAME, FRAME, 0);
	expect_nothing(w); /* one has to wait, and what is lost with it */
	w->now_us += WORLD_RTT_MS * US_PER_MS;
	w->paths[1 - gone]->cap_bytes = 8 * FRAME;
	run(w);
	expect_data(w, u->id, 0, FRAME, 0); /* it was due now */
	expect_data(w, u->id, 2 * FRAME, FRAME, 0);
	expect_data(w, u->id, 5 * FRAME, FRAME, 0);
	expect_nothing(w);
}

static void with_nothing_new_it_goes_at_once(void **state)
{
	struct world *w = *state;
	struct user *u = begin_known(w);
	int gone = send_four(w, u);

	w->paths[1 - gone]->cap_bytes = 8 * FRAME;
	has_more(u, FRAME);
	path_lost(w, gone);
	expect_data(w, u->id, 4 * FRAME, FRAME, 0);
	expect_data(w, u->id, 0, FRAME, 0);
	expect_data(w, u->id, 2 * FRAME, FRAME, 0);
	expect_nothing(w);
}

static void what_is_stuck_goes_at_once(void **state)
{
	struct world *w = *state;
	struct user *u = begin_known(w);
	int stuck = send_four(w, u);

	w->paths[1 - stuck]->cap_bytes = 4 * FRAME;
	has_more(u, 2 * FRAME);
	tunnel_path_stalled(w->t, w->paths[stuck], true, w->now_us);
	run(w);
	expect_data(w, u->id, 0, FRAME, 0);
	expect_data(w, u->id, 2 * FRAME, FRAME, 0);
	expect_nothing(w);
}

static void what_cannot_have_arrived_goes_first(void **state)
{
	struct world *w = *state;
	struct user *u = begin_known(w);
	int gone = send_four(w, u);

	w->paths[1 - gone]->cap_bytes = 4 * FRAME;
	has_more(u, 2 * FRAME);
	tunnel_path_undelivered(w->paths[gone], 1);
	path_lost(w, gone);
	expect_data(w, u->id, 2 * FRAME, FRAME, 0);
	expect_data(w, u->id, 4 * FRAME, FRAME, 0);
	expect_nothing(w);
}

/* Both carried it, the one that stays had it first. */
static void another_path_that_carries_it_looks_after_it(void **state)
{
	struct world *w = *state;
	struct user *u = begin_known(w);
	int gone;

	tunnel_set_scheduler(w->t, scheduler_find("redundant"));
	user_sends(w, u, 100);
	expect_frame(w, FRAME_DATA, u->id);
	gone = expect_frame(w, FRAME_DATA, u->id)->path == w->paths[1];
	tunnel_set_scheduler(w->t, scheduler_find("adaptive"));
	path_lost(w, gone);
	path_up(w, gone);
	expect_nothing(w);
	wait_ms(w, WORLD_RTT_MS + 2 * PATH_STALL_SLACK_MS);
	assert_ptr_equal(expect_frame(w, FRAME_DATA, u->id)->path, w->paths[gone]);
}

/* A proxy behind it may have died with what it took. */
static void an_open_is_repeated_also_after_a_drain(void **state)
{
	struct world *w = *state;
	int on;

	open_session(w, 100);
	on = expect_frame(w, FRAME_OPEN, 1)->path == w->paths[1];
	skip_sent(w);
	tunnel_drain_path(w->t, w->paths[on]);
	assert_int_equal(receive(w, on, &(struct frame){.type = FRAME_DRAIN}, NULL, NULL), 0);
	assert_ptr_equal(w->drained, w->paths[on]);
	skip_sent(w);
	path_lost(w, on);
	assert_ptr_equal(expect_frame(w, FRAME_OPEN, 1)->path, w->paths[1 - on]);
}

/* What a copy had brought is no measure of the path that carried it last. */
static void part_of_a_copy_is_no_sample(void **state)
{
	struct world *w = *state;
	struct user *u = begin_known(w);
	int gone = send_four(w, u);
	const struct path *left = w->paths[1 - gone];

	path_lost(w, gone);
	assert_int_equal(left->resent_bytes, 2 * FRAME);
	assert_int_equal(receive_ack(w, 1 - gone, u->id, FRAME / 2, WORLD_CREDIT), 0);
	assert_int_equal(left->delivered_bytes, 0);
	assert_int_equal(left->inflight_bytes, 4 * FRAME - FRAME / 2);
}

/* A copy's path said that it never arrived. That holds for that path only. */
static void another_path_may_still_bring_it(void **state)
{
	struct world *w = *state;
	struct user *u = begin_known(w);
	const struct segment *seg;
	int gone;

	tunnel_set_scheduler(w->t, scheduler_find("redundant"));
	user_sends(w, u, 100);
	expect_frame(w, FRAME_DATA, u->id);
	gone = expect_frame(w, FRAME_DATA, u->id)->path == w->paths[1];
	tunnel_path_undelivered(w->paths[gone], 100);
	path_lost(w, gone);
	seg = sendq_head(&u->session->out);
	assert_ptr_equal(seg->path, w->paths[1 - gone]);
	assert_in_range(seg->due_us, w->now_us + WORLD_RTT_MS * US_PER_MS, w->now_us + US_PER_S);
}

/* DRAIN came, and ours went out behind the bytes; then the connection broke. */
static void a_drain_that_did_not_arrive_is_none(void **state)
{
	struct world *w = *state;
	struct user *u = begin_known(w);
	int on;

	user_sends(w, u, 100);
	on = expect_frame(w, FRAME_DATA, u->id)->path == w->paths[1];
	assert_int_equal(receive(w, on, &(struct frame){.type = FRAME_DRAIN}, NULL, NULL), 0);
	expect_frame(w, FRAME_DRAIN, 0);
	tunnel_path_undelivered(w->paths[on], 1);
	path_lost(w, on);
	assert_ptr_equal(expect_frame(w, FRAME_DATA, u->id)->path, w->paths[1 - on]);
}

/* It was lost behind a path that had been drained, or where nobody was left who could tell. */
static void an_open_that_nobody_answers_is_repeated(void **state)
{
	struct world *w = *state;

	open_session(w, 0);
	expect_frame(w, FRAME_OPEN, 1);
	wait_ms(w, ASK_MIN_MS - TIMED_TICK_MS);
	expect_nothing(w);
	wait_ms(w, 3 * TIMED_TICK_MS);
	expect_frame(w, FRAME_OPEN, 1);
	assert_int_equal(receive_ack(w, 0, 1, 0, WORLD_CREDIT), 0);
	wait_ms(w, ASK_MAX_MS);
	expect_nothing(w);
}

/* One waits long for the bytes on a path whose RTT varies much, and not so for the other's. */
static void a_look_at_one_path_is_no_later_for_another(void **state)
{
	struct world *w = *state;
	struct user *u = begin_known(w);

	w->paths[1]->rttvar_us = US_PER_S;
	w->paths[0]->is_blocked = true;
	user_sends(w, u, 100);
	wait_ms(w, 2 * PATH_STALL_SLACK_MS);
	assert_true(w->t->watch_next_us > w->now_us + US_PER_S);
	w->paths[0]->is_blocked = false;
	user_sends(w, u, 100);
	assert_int_equal(w->paths[0]->inflight_bytes, 100);
	assert_true(w->t->watch_next_us <= w->now_us + PATH_STALL_SLACK_MS * US_PER_MS);
}

/* It waits for room on the path that comes first, which is silent and has none. */
static void a_lost_head_does_not_wait_for_room_for_ever(void **state)
{
	struct world *w = *state;
	struct user *u = begin_known(w);
	int gone;

	user_sends(w, u, 2 * FRAME);
	gone = expect_frame(w, FRAME_DATA, u->id)->path == w->paths[1];
	tunnel_set_scheduler(w->t, scheduler_find("backup"));
	tunnel_set_weight(w->t, w->paths[1 - gone], 2);
	w->paths[1 - gone]->cap_bytes = FRAME;
	path_lost(w, gone);
	path_up(w, gone);
	skip_sent(w);
	wait_ms(w, WORLD_RTT_MS + 3 * PATH_STALL_SLACK_MS);
	expect_data(w, u->id, 0, FRAME, 0);
	assert_int_equal(w->paths[gone]->inflight_bytes, FRAME);
}

static void nor_on_the_last_path(void **state)
{
	struct world *w = *state;
	struct user *u = begin_known(w);
	int gone;

	user_sends(w, u, 2 * FRAME);
	gone = expect_frame(w, FRAME_DATA, u->id)->path == w->paths[1];
	w->paths[1 - gone]->cap_bytes = FRAME;
	skip_sent(w);
	path_lost(w, gone);
	expect_nothing(w);
	wait_ms(w, WORLD_RTT_MS + 3 * PATH_STALL_SLACK_MS);
	expect_data(w, u->id, 0, FRAME, 0);
}

/* Nobody looks at a stalled path; one that is to be closed does not come back. */
static void a_stalled_path_that_is_drained_is_looked_at_again(void **state)
{
	struct world *w = *state;
	struct user *u = begin_known(w);

	tunnel_set_scheduler(w->t, scheduler_find("redundant"));
	user_sends(w, u, 100);
	tunnel_path_stalled(w->t, w->paths[0], true, w->now_us);
	w->t->watch_next_us = NEVER_US;
	tunnel_drain_path(w->t, w->paths[0]);
	run(w);
	assert_true(w->t->watch_next_us <= w->now_us + 2 * PATH_STALL_SLACK_MS * US_PER_MS);
}

/* ---- no path at all ---- */

static void a_prepared_path_is_none(void **state)
{
	struct world *w = *state;
	struct user *u = begin_known(w);

	tunnel_hold_path(w->paths[0]);
	path_lost(w, 1);
	wait_ms(w, 2999);
	assert_false(u->is_ended);
	wait_ms(w, 2);
	assert_ended(u, RESET_NO_PATH);
}

static int receive_event(struct world *w, int path, enum frame_type type)
{
	struct frame head = {.type = (uint8_t)type};
	uint8_t payload[sizeof(uint64_t)];

	head.len = (uint32_t)u64_encode(77, payload, sizeof(payload));
	return receive(w, path, &head, payload, NULL);
}

static void a_proxys_word_does_not_carry_out_a_change(void **state)
{
	struct world *w = *state;

	tunnel_hold_path(w->paths[0]);
	assert_int_equal(receive_event(w, 0, FRAME_PATH_STALLED), 0);
	assert_int_equal(w->paths[0]->state, PATH_PREPARED);
	assert_int_equal(receive_open(w, 0, 1), 0);
	assert_int_equal(w->paths[0]->state, PATH_ACTIVE);
}

/* ---- stalled paths ---- */

static void probe_takes(struct world *w, int path, uint64_t ms)
{
	while (w->probes[path] == 0)
		wait_ms(w, 1);
	wait_ms(w, ms);
	probe_back(w, path);
}

static void stall_twice(struct world *w, int path)
{
	tunnel_path_stalled(w->t, w->paths[path], true, w->now_us);
	wait_ms(w, PROBE_URGENT_MS);
	probe_back(w, path);
	assert_int_equal(w->paths[path]->state, PATH_ACTIVE);
	tunnel_path_stalled(w->t, w->paths[path], true, w->now_us);
	wait_ms(w, PROBE_URGENT_MS);
	probe_back(w, path);
}

/* From now on it is well. */
static void assert_held(struct world *w, int path, uint64_t since_us)
{
	while (w->paths[path]->state == PATH_STALLED)
		probe_takes(w, path, WORLD_RTT_MS);
	assert_in_range(w->now_us - since_us, HOLD_FIRST_MS * US_PER_MS,
			(HOLD_FIRST_MS + PROBE_URGENT_MS) * US_PER_MS);
}

static void one_of_two_stays_away_when_it_stalls_again(void **state)
{
	struct world *w = *state;

	begin_known(w);
	stall_twice(w, 0);
	assert_int_equal(w->paths[0]->state, PATH_STALLED);
	assert_held(w, 0, w->paths[0]->stalled_us);
}

/* What answered its probe was on the other one, perhaps, which has just stalled. */
static void a_held_path_is_asked_anew_when_the_last_one_stalls(void **state)
{
	struct world *w = *state;
	uint64_t token;

	begin_known(w);
	stall_twice(w, 0);
	wait_ms(w, PROBE_URGENT_MS);
	token = w->probes[0];
	assert_int_not_equal(token, 0);
	tunnel_path_stalled(w->t, w->paths[1], true, w->now_us);
	wait_ms(w, 1);
	assert_int_not_equal(w->probes[0], token);
	probe_back(w, 0);
	assert_int_equal(w->paths[0]->state, PATH_ACTIVE);
}

static void the_only_path_does_not_stay_away(void **state)
{
	struct world *w = *state;

	begin_known(w);
	tunnel_path_stalled(w->t, w->paths[1], true, w->now_us);
	stall_twice(w, 0);
	assert_int_equal(w->paths[0]->state, PATH_ACTIVE);
}

/* The answer takes longer than a probe is awaited at first. */
static void a_very_long_path_comes_back(void **state)
{
	struct world *w = *state;
	uint64_t token;

	begin_known(w);
	tunnel_path_stalled(w->t, w->paths[0], true, w->now_us);
	wait_ms(w, PROBE_URGENT_MS + PROBE_LOST_MS);
	token = w->probes[0];
	wait_ms(w, 2 * PROBE_LOST_MS - 2 * PROBE_URGENT_MS);
	assert_int_equal(w->probes[0], token);
	probe_back(w, 0);
	assert_int_equal(w->paths[0]->state, PATH_ACTIVE);
}

/* By the clock, also while nothing is under way. */
static void doubt_is_forgotten(void **state)
{
	struct world *w = *state;
	uint64_t before_us;

	begin_known(w);
	tunnel_path_stalled(w->t, w->paths[0], true, w->now_us);
	before_us = w->paths[0]->doubt_us;
	assert_true(before_us > 0);
	w->now_us += 5 * PATH_DOUBT_DECAY_MS * US_PER_MS;
	run(w);
	assert_in_range(w->paths[0]->doubt_us, before_us * 4 / 10, before_us * 6 / 10);
	w->now_us += 3600 * US_PER_S;
	run(w);
	assert_int_equal(w->paths[0]->doubt_us, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		initiator_test(new_bytes_go_while_an_ack_may_come),
		initiator_test(with_nothing_new_it_goes_at_once),
		initiator_test(what_is_stuck_goes_at_once),
		initiator_test(what_cannot_have_arrived_goes_first),
		initiator_test(another_path_that_carries_it_looks_after_it),
		initiator_test(an_open_is_repeated_also_after_a_drain),
		initiator_test(another_path_may_still_bring_it),
		initiator_test(a_drain_that_did_not_arrive_is_none),
		initiator_test(an_open_that_nobody_answers_is_repeated),
		initiator_test(a_look_at_one_path_is_no_later_for_another),
		initiator_test(a_lost_head_does_not_wait_for_room_for_ever),
		initiator_test(nor_on_the_last_path),
		initiator_test(a_stalled_path_that_is_drained_is_looked_at_again),
		initiator_test(part_of_a_copy_is_no_sample),
		initiator_test(a_prepared_path_is_none),
		acceptor_test(a_proxys_word_does_not_carry_out_a_change),
		initiator_test(one_of_two_stays_away_when_it_stalls_again),
		initiator_test(a_held_path_is_asked_anew_when_the_last_one_stalls),
		initiator_test(the_only_path_does_not_stay_away),
		initiator_test(a_very_long_path_comes_back),
		initiator_test(doubt_is_forgotten),
	};

	return cmocka_run_group_tests_name("tunnel_lost", tests, NULL, NULL);
}
