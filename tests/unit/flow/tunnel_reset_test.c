/* with: tests/unit/flow/world.c */
/* RESET in both directions and in each state of a session, what is delivered before it, answers
 * to frames for finished sessions, and the end of all sessions at once. */
#include "world.h"

#include <errno.h>

#define ANSWER FRAME_FLAG_ANSWER

static void assert_no_session(const struct world *w)
{
	assert_int_equal(tunnel_session_count(w->t), 0);
}

/* ---- ours ---- */

static void a_client_that_goes_before_its_open_leaves_no_trace(void **state)
{
	struct world *w = *state;

	w->paths[0]->is_blocked = w->paths[1]->is_blocked = true;
	user_resets(w, open_session(w, 100), RESET_BY_PEER);
	assert_no_session(w);
	w->paths[0]->is_blocked = w->paths[1]->is_blocked = false;
	run(w);
	expect_nothing(w);
}

static void a_reset_goes_out_until_it_is_answered(void **state)
{
	struct world *w = *state;

	user_resets(w, begin_session(w), RESET_BY_PEER);
	expect_reset(w, 1, RESET_BY_PEER, 0);
	wait_ms(w, RESEND_RESET_MS + TIMED_TICK_MS);
	expect_reset(w, 1, RESET_BY_PEER, 0);
	wait_ms(w, RESEND_RESET_MS);
	expect_nothing(w); /* twice as long from now on */
	wait_ms(w, RESEND_RESET_MS + TIMED_TICK_MS);
	expect_reset(w, 1, RESET_BY_PEER, 0);
	assert_int_equal(receive_reset(w, 0, 1, RESET_BY_PEER, 0, ANSWER), 0);
	assert_no_session(w);
	wait_ms(w, 10000);
	expect_nothing(w);
}

static void a_reset_before_any_ack_of_open(void **state)
{
	struct world *w = *state;
	struct user *u = open_session(w, 0);

	expect_frame(w, FRAME_OPEN, 1);
	user_resets(w, u, RESET_BY_PEER);
	expect_reset(w, 1, RESET_BY_PEER, 0);
	assert_int_equal(receive_reset(w, 0, 1, RESET_BY_PEER, 0, ANSWER), 0);
	assert_no_session(w);
}

/* As plain TCP would: bytes that were sent before are still delivered. */
static void what_was_sent_before_a_reset_is_sent_again(void **state)
{
	struct world *w = *state;
	struct user *u = begin_session(w);

	user_sends(w, u, 100);
	expect_data(w, 1, 0, 100, 0);
	user_resets(w, u, RESET_BY_PEER);
	assert_int_equal(expect_frame(w, FRAME_RESET, 1)->head.offset, 100);
	path_lost(w, 0);
	path_lost(w, 1);
	path_up(w, 1);
	expect_reset(w, 1, RESET_BY_PEER, 0);
	expect_data(w, 1, 0, 100, 0);
}

static void the_final_offset_does_not_count_fin(void **state)
{
	struct world *w = *state;
	struct user *u = begin_session(w);

	user_sends(w, u, 100);
	user_ends(w, u);
	skip_sent(w);
	user_resets(w, u, RESET_BY_PEER);
	assert_int_equal(expect_frame(w, FRAME_RESET, 1)->head.offset, 100);
}

static void immediate_resets_take_their_bytes_along(void **state)
{
	static const enum reset_code codes[] = {RESET_BY_OPERATOR, RESET_NO_PATH, RESET_NO_OPEN,
						RESET_PROTOCOL,	   RESET_LIMIT,	  RESET_CLOSING,
						RESET_TIMEOUT};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		struct user *u = begin_session(w);

		user_sends(w, u, 100);
		assert_int_equal(receive_ack(w, 0, u->id, 40, FIRST_CREDIT_BYTES), 0);
		skip_sent(w);
		user_resets(w, u, codes[i]);
		assert_int_equal(expect_frame(w, FRAME_RESET, u->id)->head.offset, 40);
		assert_int_equal(w->paths[0]->inflight_bytes + w->paths[1]->inflight_bytes, 0);
		assert_int_equal(receive_reset(w, 0, u->id, codes[i], 0, ANSWER), 0);
	}
	assert_no_session(w);
}

/* Without credit its last bytes cannot be taken: they are not waited for longer than a reset. */
static void a_client_that_resets_while_nothing_is_taken(void **state)
{
	struct world *w = *state;
	struct user *u = begin_session(w);

	user_sends(w, u, 50000);
	assert_int_equal(receive_ack(w, 0, 1, FIRST_CREDIT_BYTES, FIRST_CREDIT_BYTES), 0);
	wait_ms(w, 1000);
	session_source_lost(u->session, w->now_us);
	wait_ms(w, w->t->config.reset_wait_us / US_PER_MS - 1);
	assert_false(u->is_ended);
	skip_sent(w);
	wait_ms(w, 1 + TIMED_TICK_MS);
	assert_ended(u, RESET_BY_PEER);
	assert_int_equal(expect_frame(w, FRAME_RESET, 1)->head.offset, FIRST_CREDIT_BYTES);
	assert_int_equal(receive_reset(w, 0, 1, RESET_BY_PEER, 0, ANSWER), 0);
	assert_no_session(w);
}

static void a_lost_client_whose_bytes_are_taken_after_all(void **state)
{
	struct world *w = *state;
	struct user *u = begin_session(w);

	user_sends(w, u, 50000);
	assert_int_equal(receive_ack(w, 0, 1, FIRST_CREDIT_BYTES, FIRST_CREDIT_BYTES), 0);
	u->error = -ECONNRESET;
	session_source_lost(u->session, w->now_us);
	assert_int_equal(receive_ack(w, 0, 1, FIRST_CREDIT_BYTES, 60000), 0);
	assert_int_equal(u->read_bytes, 50000);
	session_source_ready(u->session);
	run(w);
	assert_null(u->session); /* the error came behind the last byte */
	assert_int_equal(receive_reset(w, 0, 1, RESET_BY_PEER, 0, ANSWER), 0);
	assert_no_session(w);
}

static void a_client_that_resets_its_connection(void **state)
{
	struct world *w = *state;
	struct user *u = begin_session(w);

	u->error = -ECONNRESET;
	user_sends(w, u, 50);
	expect_data(w, 1, 0, 50, 0);
	user_sends(w, u, 0);
	assert_int_equal(expect_frame(w, FRAME_RESET, 1)->head.offset, 50);
	assert_false(u->is_ended); /* it knows */
}

static void frames_for_a_session_that_is_being_reset_are_dropped(void **state)
{
	struct world *w = *state;
	struct user *u = begin_session(w);

	user_resets(w, u, RESET_BY_PEER);
	expect_reset(w, 1, RESET_BY_PEER, 0);
	assert_int_equal(receive_data(w, 0, 1, 0, 100, 0), 0);
	assert_int_equal(receive_ack(w, 0, 1, 0, FIRST_CREDIT_BYTES), 0);
	expect_nothing(w);
	assert_int_equal(u->told, 0);
}

static void two_resets_that_cross_answer_each_other(void **state)
{
	struct world *w = *state;

	user_resets(w, begin_session(w), RESET_BY_PEER);
	expect_reset(w, 1, RESET_BY_PEER, 0);
	assert_int_equal(receive_reset(w, 0, 1, RESET_TIMEOUT, 0, 0), 0);
	expect_reset(w, 1, RESET_FINISHED, ANSWER);
	assert_no_session(w);
}

/* ---- theirs ---- */

static void a_reset_reaches_the_server_and_is_answered(void **state)
{
	struct world *w = *state;
	struct user *u = accept_session(w, 1);

	assert_int_equal(receive_reset(w, 0, 1, RESET_BY_PEER, 0, 0), 0);
	assert_ended(u, RESET_BY_PEER);
	expect_reset(w, 1, RESET_BY_PEER, ANSWER);
	assert_no_session(w);
	assert_int_equal(w->t->counters.reset, 1);
}

static void bytes_before_a_reset_are_delivered_first(void **state)
{
	struct world *w = *state;
	struct user *u = accept_session(w, 1);

	assert_int_equal(receive_data(w, 0, 1, 0, 100, 0), 0);
	assert_int_equal(receive_reset(w, 1, 1, RESET_BY_PEER, 150, 0), 0);
	assert_int_equal(receive_data(w, 0, 1, 100, 50, 0), 0); /* late, but before it */
	user_takes(w, u, 149);
	assert_false(u->is_ended);
	user_takes(w, u, 1);
	assert_ended(u, RESET_BY_PEER);
	skip_sent(w);
	w->seen--;
	expect_reset(w, 1, RESET_BY_PEER, ANSWER);
	assert_no_session(w);
}

static void but_not_for_ever(void **state)
{
	struct world *w = *state;
	struct user *u = accept_session(w, 1);

	assert_int_equal(receive_data(w, 0, 1, 0, 100, 0), 0);
	assert_int_equal(receive_reset(w, 1, 1, RESET_BY_PEER, 150, 0), 0);
	wait_ms(w, 290);
	assert_false(u->is_ended);
	wait_ms(w, 10 + TIMED_TICK_MS);
	assert_ended(u, RESET_BY_PEER);
	assert_no_session(w);
}

static void immediate_resets_wait_for_nothing(void **state)
{
	static const enum reset_code codes[] = {RESET_BY_OPERATOR, RESET_TIMEOUT, RESET_LIMIT};
	struct world *w = *state;

	for (uint64_t id = 1; id <= 3; id++) {
		struct user *u = accept_session(w, id);

		assert_int_equal(receive_data(w, 0, id, 0, 100, 0), 0);
		assert_int_equal(receive_reset(w, 1, id, codes[id - 1], 100, 0), 0);
		assert_ended(u, codes[id - 1]);
		expect_reset(w, id, codes[id - 1], ANSWER);
	}
}

static void a_reset_stops_what_goes_the_other_way(void **state)
{
	struct world *w = *state;
	struct user *u = begin_session(w);

	user_sends(w, u, 100000);
	skip_sent(w);
	assert_int_equal(receive_reset(w, 0, 1, RESET_REFUSED, 0, 0), 0);
	assert_ended(u, RESET_REFUSED);
	expect_reset(w, 1, RESET_REFUSED, ANSWER);
	assert_int_equal(w->paths[0]->inflight_bytes + w->paths[1]->inflight_bytes, 0);
	path_lost(w, 0);
	expect_nothing(w);
}

static void a_reset_of_what_is_not_open_yet(void **state)
{
	struct world *w = *state;

	assert_int_equal(receive_data(w, 0, 1, 0, 100, 0), 0);
	assert_int_equal(receive_reset(w, 1, 1, RESET_BY_PEER, 100, 0), 0);
	expect_reset(w, 1, RESET_BY_PEER, ANSWER);
	assert_no_session(w);
	assert_int_equal(receive_open(w, 0, 1), 0);
	expect_reset(w, 1, RESET_FINISHED, ANSWER);
	assert_int_equal(w->user_count, 0);
}

/* While the answer waits for room, and while the bytes before it wait for the server. */
static void a_repeated_reset_changes_nothing(void **state)
{
	struct world *w = *state;
	struct user *u = accept_session(w, 1);

	assert_int_equal(receive_data(w, 0, 1, 0, 100, 0), 0);
	assert_int_equal(receive_reset(w, 1, 1, RESET_BY_PEER, 100, 0), 0);
	assert_int_equal(receive_reset(w, 0, 1, RESET_BY_OPERATOR, 0, 0), 0);
	assert_false(u->is_ended);
	w->paths[0]->is_blocked = w->paths[1]->is_blocked = true;
	user_takes(w, u, 100);
	assert_ended(u, RESET_BY_PEER);
	assert_int_equal(receive_reset(w, 0, 1, RESET_BY_PEER, 100, 0), 0);
	w->paths[1]->is_blocked = false;
	run(w);
	expect_reset(w, 1, RESET_BY_PEER, ANSWER);
	expect_nothing(w);
	/* And afterwards, when the answer was lost. */
	assert_int_equal(receive_reset(w, 1, 1, RESET_BY_PEER, 100, 0), 0);
	expect_reset(w, 1, RESET_FINISHED, ANSWER);
}

static void the_server_goes_while_bytes_before_a_reset_wait_for_it(void **state)
{
	struct world *w = *state;
	struct user *u = accept_session(w, 1);

	assert_int_equal(receive_data(w, 0, 1, 0, 100, 0), 0);
	assert_int_equal(receive_reset(w, 1, 1, RESET_BY_PEER, 100, 0), 0);
	user_resets(w, u, RESET_BY_PEER);
	wait_ms(w, 300 + TIMED_TICK_MS);
	assert_no_session(w);
	skip_sent(w);
	w->seen--;
	expect_reset(w, 1, RESET_BY_PEER, ANSWER);
	assert_false(u->is_ended);
}

/* The other end does not know the id any more, though it should. */
static void an_answer_that_nobody_asked_for(void **state)
{
	struct world *w = *state;
	struct user *u = begin_session(w);

	user_sends(w, u, 100);
	skip_sent(w);
	assert_int_equal(receive_reset(w, 0, 1, RESET_FINISHED, 0, ANSWER), 0);
	assert_ended(u, RESET_TIMEOUT);
	assert_no_session(w);
	expect_nothing(w);
}

/* ---- finished ids ---- */

static void frames_for_finished_ids_are_answered(void **state)
{
	struct world *w = *state;

	assert_int_equal(receive_reset(w, 0, 1, RESET_BY_PEER, 0, 0), 0);
	skip_sent(w);
	assert_int_equal(receive_data(w, 1, 1, 0, 100, 0), 0);
	expect_reset(w, 1, RESET_FINISHED, ANSWER);
	assert_int_equal(receive_ack(w, 1, 1, 0, 100), 0);
	expect_nothing(w); /* an ACK asks for nothing */
	assert_int_equal(receive_reset(w, 0, 1, RESET_FINISHED, 0, ANSWER), 0);
	expect_nothing(w); /* nor does an answer */
}

static void answers_go_back_on_the_path_that_asked(void **state)
{
	struct world *w = *state;

	assert_int_equal(receive_reset(w, 0, 1, RESET_BY_PEER, 0, 0), 0);
	assert_ptr_equal(expect_frame(w, FRAME_RESET, 1)->path, w->paths[0]);
	w->paths[1]->is_blocked = true;
	assert_int_equal(receive_data(w, 1, 1, 0, 100, 0), 0);
	expect_nothing(w);
}

/* A proxy sends what the other end asks on whichever path it likes. */
static void answers_to_a_prepared_path_go_another_way(void **state)
{
	struct world *w = *state;
	struct user *u = begin_session(w);

	assert_int_equal(receive_reset(w, 0, u->id, RESET_BY_OPERATOR, 0, 0), 0);
	assert_ended(u, RESET_BY_OPERATOR);
	skip_sent(w);
	tunnel_hold_path(w->paths[0]);
	assert_int_equal(receive_data(w, 0, u->id, 0, 100, 0), 0);
	assert_ptr_equal(expect_frame(w, FRAME_RESET, u->id)->path, w->paths[1]);
}

static void answers_are_limited(void **state)
{
	struct world *w = *state;

	assert_int_equal(receive_reset(w, 0, 1, RESET_BY_PEER, 0, 0), 0);
	for (int second = 0; second < 3; second++) {
		w->now_us += US_PER_S;
		skip_sent(w);
		for (int i = 0; i < 3000; i++)
			assert_int_equal(receive_data(w, 0, 1, 0, 1, 0), 0);
		assert_int_equal(w->sent_count - w->seen, STRAY_ANSWERS_PER_S);
	}
}

/* ---- all at once ---- */

static void an_operator_resets_all(void **state)
{
	struct world *w = *state;
	struct user *users[3];

	for (int i = 0; i < 3; i++)
		users[i] = begin_session(w);
	user_resets(w, users[0], RESET_BY_PEER);
	skip_sent(w);
	assert_int_equal(tunnel_reset_all(w->t, RESET_BY_OPERATOR, "reset", w->now_us), 2);
	run(w);
	assert_ended(users[1], RESET_BY_OPERATOR);
	assert_ended(users[2], RESET_BY_OPERATOR);
	expect_reset(w, 2, RESET_BY_OPERATOR, 0);
	expect_reset(w, 3, RESET_BY_OPERATOR, 0);
	expect_nothing(w);
	assert_int_equal(w->t->counters.reset, 3);
}

static void a_session_is_counted_once(void **state)
{
	struct world *w = *state;
	struct user *u = accept_session(w, 1);

	assert_int_equal(receive_data(w, 0, 1, 0, 100, 0), 0);
	assert_int_equal(receive_reset(w, 1, 1, RESET_BY_PEER, 100, 0), 0);
	tunnel_end_all(w->t, RESET_NO_PATH, "as the test says");
	assert_ended(u, RESET_NO_PATH);
	assert_int_equal(w->t->counters.reset, 1);
}

static void the_other_end_closes_the_tunnel(void **state)
{
	const struct frame head = {.type = FRAME_TUNNEL_CLOSE};
	struct world *w = *state;
	struct user *u = accept_session(w, 1);

	assert_int_equal(receive(w, 0, &head, NULL, NULL), 0);
	assert_ended(u, RESET_CLOSING);
	assert_true(w->is_closed);
}

static void closing_is_told_on_every_path(void **state)
{
	struct world *w = *state;

	tunnel_send_close(w->t);
	assert_ptr_equal(expect_frame(w, FRAME_TUNNEL_CLOSE, 0)->path, w->paths[0]);
	assert_ptr_equal(expect_frame(w, FRAME_TUNNEL_CLOSE, 0)->path, w->paths[1]);
	expect_nothing(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		initiator_test(a_client_that_goes_before_its_open_leaves_no_trace),
		initiator_test(a_reset_goes_out_until_it_is_answered),
		initiator_test(a_reset_before_any_ack_of_open),
		initiator_test(what_was_sent_before_a_reset_is_sent_again),
		initiator_test(the_final_offset_does_not_count_fin),
		initiator_test(immediate_resets_take_their_bytes_along),
		initiator_test(a_client_that_resets_while_nothing_is_taken),
		initiator_test(a_lost_client_whose_bytes_are_taken_after_all),
		initiator_test(a_client_that_resets_its_connection),
		initiator_test(frames_for_a_session_that_is_being_reset_are_dropped),
		initiator_test(two_resets_that_cross_answer_each_other),
		acceptor_test(a_reset_reaches_the_server_and_is_answered),
		acceptor_test(bytes_before_a_reset_are_delivered_first),
		acceptor_test(but_not_for_ever),
		acceptor_test(immediate_resets_wait_for_nothing),
		initiator_test(a_reset_stops_what_goes_the_other_way),
		acceptor_test(a_reset_of_what_is_not_open_yet),
		acceptor_test(a_repeated_reset_changes_nothing),
		acceptor_test(the_server_goes_while_bytes_before_a_reset_wait_for_it),
		initiator_test(an_answer_that_nobody_asked_for),
		acceptor_test(frames_for_finished_ids_are_answered),
		acceptor_test(answers_go_back_on_the_path_that_asked),
		initiator_test(answers_to_a_prepared_path_go_another_way),
		acceptor_test(answers_are_limited),
		initiator_test(an_operator_resets_all),
		acceptor_test(a_session_is_counted_once),
		acceptor_test(the_other_end_closes_the_tunnel),
		initiator_test(closing_is_told_on_every_path),
	};

	return cmocka_run_group_tests_name("tunnel_reset", tests, NULL, NULL);
}
