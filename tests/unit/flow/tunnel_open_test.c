/* with: tests/unit/flow/world.c */
/* How sessions begin: OPEN and what may come before, with and after it, who is refused, and how
 * long clients and sessions wait for a path. */
#include "world.h"

#include <errno.h>

/* ---- initiator ---- */

static void open_goes_out_without_data(void **state)
{
	struct world *w = *state;
	struct user *u = open_session(w, 0);

	assert_int_equal(u->id, 1);
	assert_string_equal(expect_frame(w, FRAME_OPEN, 1)->open.target.name, "web");
	expect_nothing(w);
	assert_int_equal(open_session(w, 0)->id, 2);
	expect_frame(w, FRAME_OPEN, 2);
}

static void data_follows_open_in_the_same_run(void **state)
{
	struct world *w = *state;

	open_session(w, 100);
	expect_frame(w, FRAME_OPEN, 1);
	expect_data(w, 1, 0, 100, 0);
	expect_nothing(w);
}

static void before_any_ack_data_stays_within_first_credit(void **state)
{
	struct world *w = *state;
	struct user *u = open_session(w, 100000);

	expect_frame(w, FRAME_OPEN, 1);
	expect_data(w, 1, 0, FIRST_CREDIT_BYTES, 0);
	expect_nothing(w);
	assert_int_equal(u->has_bytes, 100000 - FIRST_CREDIT_BYTES);
}

static void a_client_that_ends_at_once(void **state)
{
	struct world *w = *state;
	struct user *u = open_session(w, 0);

	user_ends(w, u);
	expect_frame(w, FRAME_OPEN, 1);
	expect_data(w, 1, 0, 0, FRAME_FLAG_FIN);
}

static void open_is_sent_again_until_an_ack(void **state)
{
	struct world *w = *state;
	const struct path *first;

	open_session(w, 0);
	first = expect_frame(w, FRAME_OPEN, 1)->path;
	path_lost(w, first == w->paths[1]);
	expect_frame(w, FRAME_OPEN, 1);
	path_up(w, first == w->paths[1]);
	expect_nothing(w);
	assert_int_equal(receive_ack(w, w->paths[0] ? 0 : 1, 1, 0, FIRST_CREDIT_BYTES), 0);
	path_lost(w, w->paths[0] ? 0 : 1);
	expect_nothing(w);
}

static void open_is_not_sent_again_for_another_paths_loss(void **state)
{
	struct world *w = *state;

	open_session(w, 0);
	path_lost(w, expect_frame(w, FRAME_OPEN, 1)->path == w->paths[0]);
	expect_nothing(w);
}

static void the_initiator_knows_all_ids(void **state)
{
	struct world *w = *state;

	begin_session(w);
	assert_int_equal(receive_data(w, 0, 2, 0, 10, 0), -EPROTO);
	assert_int_equal(receive_ack(w, 0, 2, 0, 10), -EPROTO);
	assert_int_equal(receive_reset(w, 0, 2, RESET_BY_PEER, 0, 0), -EPROTO);
	assert_int_equal(receive_open(w, 0, 1), -EPROTO);
	expect_nothing(w);
}

static void at_the_limit_clients_are_refused(void **state)
{
	struct world *w = *state;
	const struct open_info info = {.target.kind = ADDRESS_NONE};

	for (int i = 0; i < WORLD_SESSIONS_MAX; i++)
		open_session(w, 0);
	assert_null(tunnel_open(w->t, &info, w, w->now_us));
	w->t->sessions_max = 3; /* what the acceptor takes */
	w->budget.sessions_max = 100;
	assert_null(tunnel_open(w->t, &info, w, w->now_us));
}

/* ---- waiting for a path ---- */

static void clients_wait_for_the_first_path(void **state)
{
	struct world *w = *state;
	struct user *u;

	path_lost(w, 0);
	path_lost(w, 1);
	u = open_session(w, 100);
	assert_string_equal(session_state_name(u->session), "waiting");
	expect_nothing(w);
	wait_ms(w, 900);
	path_up(w, 0);
	expect_frame(w, FRAME_OPEN, 1);
	expect_data(w, 1, 0, 100, 0);
	wait_ms(w, 500);
	assert_false(u->is_ended);
}

static void clients_do_not_wait_for_ever(void **state)
{
	struct world *w = *state;
	struct user *u;

	path_lost(w, 0);
	path_lost(w, 1);
	u = open_session(w, 100);
	wait_ms(w, 990);
	assert_false(u->is_ended);
	wait_ms(w, 10 + TIMED_TICK_MS);
	assert_ended(u, RESET_NO_PATH);
	assert_int_equal(tunnel_session_count(w->t), 0);
	assert_int_equal(w->t->counters.refused, 1);
	expect_nothing(w);
}

static void sessions_outlive_a_short_loss_of_all_paths(void **state)
{
	struct world *w = *state;
	struct user *u = begin_session(w);

	user_sends(w, u, 100);
	expect_data(w, 1, 0, 100, 0);
	path_lost(w, 0);
	path_lost(w, 1);
	wait_ms(w, 2900);
	path_up(w, 1);
	expect_data(w, 1, 0, 100, 0);
	assert_false(w->is_closed);
}

static void sessions_end_when_no_path_comes_back(void **state)
{
	struct world *w = *state;
	struct user *u = begin_session(w);

	path_lost(w, 0);
	wait_ms(w, 5000); /* one is left */
	path_lost(w, 1);
	wait_ms(w, 2999);
	assert_false(u->is_ended);
	wait_ms(w, 1);
	assert_ended(u, RESET_NO_PATH);
	assert_true(w->is_closed);
}

/* The egress has restarted: what it knew of is reset, who still waits begins there. */
static void renewing_keeps_who_still_waits(void **state)
{
	const struct tunnel_id id = {.bytes = "another tunnel"};
	struct world *w = *state;
	struct user *known = begin_session(w), *waits;

	path_lost(w, 0);
	path_lost(w, 1);
	waits = open_session(w, 10);
	tunnel_renew(w->t, &id, RESET_CLOSING, "the egress has restarted");
	assert_ended(known, RESET_CLOSING);
	assert_false(waits->is_ended);
	assert_memory_equal(&w->t->config.id, &id, sizeof(id));
	path_up(w, 0);
	expect_frame(w, FRAME_OPEN, waits->id);
	expect_data(w, waits->id, 0, 10, 0);
	expect_nothing(w);
}

/* ---- acceptor ---- */

static void open_is_acknowledged_at_once(void **state)
{
	struct world *w = *state;

	assert_int_equal(receive_open(w, 0, 1), 0);
	assert_int_equal(expect_ack(w, 1, 0)->credit, FIRST_CREDIT_BYTES);
	assert_string_equal(w->users[0].info.target.name, "web");
	expect_nothing(w);
}

static void a_second_open_is_acknowledged_and_opens_nothing(void **state)
{
	struct world *w = *state;

	accept_session(w, 1);
	assert_int_equal(receive_open(w, 1, 1), 0);
	expect_ack(w, 1, 0);
	assert_int_equal(w->user_count, 1);
}

static void data_may_come_before_its_open(void **state)
{
	struct world *w = *state;

	assert_int_equal(receive_data(w, 1, 1, 0, 100, 0), 0);
	wait_ms(w, 400);
	expect_nothing(w); /* an ACK would say that OPEN has come */
	assert_int_equal(w->user_count, 0);
	assert_int_equal(receive_open(w, 0, 1), 0);
	expect_ack(w, 1, 100);
	assert_int_equal(w->users[0].told, 1);
	user_takes(w, &w->users[0], 100);
	wait_ms(w, 1000);
	assert_false(w->users[0].is_ended);
}

static void data_whose_open_does_not_come_is_reset(void **state)
{
	struct world *w = *state;

	assert_int_equal(receive_data(w, 1, 1, 0, 100, 0), 0);
	wait_ms(w, 490);
	expect_nothing(w);
	wait_ms(w, 10 + TIMED_TICK_MS);
	expect_reset(w, 1, RESET_NO_OPEN, 0);
	assert_int_equal(receive_open(w, 0, 1), 0); /* too late */
	assert_int_equal(w->user_count, 0);
}

static void a_reset_before_its_open_finishes_the_id(void **state)
{
	struct world *w = *state;

	assert_int_equal(receive_reset(w, 0, 1, RESET_BY_PEER, 0, 0), 0);
	expect_reset(w, 1, RESET_FINISHED, FRAME_FLAG_ANSWER);
	assert_int_equal(receive_open(w, 1, 1), 0);
	expect_reset(w, 1, RESET_FINISHED, FRAME_FLAG_ANSWER);
	assert_int_equal(receive_data(w, 1, 1, 0, 10, 0), 0);
	expect_reset(w, 1, RESET_FINISHED, FRAME_FLAG_ANSWER);
	assert_int_equal(w->user_count, 0);
	assert_int_equal(tunnel_session_count(w->t), 0);
}

static void at_the_limit_sessions_are_reset(void **state)
{
	struct world *w = *state;
	uint64_t id = 1;

	for (; id <= WORLD_SESSIONS_MAX; id++)
		accept_session(w, id);
	assert_int_equal(receive_open(w, 0, id), 0);
	expect_reset(w, id, RESET_LIMIT, 0);
	assert_int_equal(receive_data(w, 0, id + 1, 0, 10, 0), 0); /* DATA that came first */
	expect_reset(w, id + 1, RESET_LIMIT, 0);
	assert_int_equal(w->user_count, WORLD_SESSIONS_MAX);
	assert_int_equal(w->t->counters.refused, 2);
	/* Those that wait for an answer are counted too. */
	for (id += 2; id <= WORLD_SESSIONS_MAX + SESSIONS_REFUSED_MAX; id++)
		assert_int_equal(receive_open(w, 0, id), 0);
	assert_int_equal(tunnel_session_count(w->t), id - 1);
}

/* Who holds all the places, also those of the refused, may be another tunnel: this one is told
 * and not cut off, unless it asks faster than answers go. */
static void at_both_limits_one_answer_must_do(void **state)
{
	struct world *w = *state;
	uint64_t id = 1;

	w->budget.sessions += WORLD_SESSIONS_MAX + SESSIONS_REFUSED_MAX;
	for (; id <= STRAY_ANSWERS_PER_S; id++) {
		assert_int_equal(receive_open(w, 0, id), 0);
		expect_reset(w, id, RESET_FINISHED, FRAME_FLAG_ANSWER);
	}
	assert_int_equal(receive_open(w, 0, id), -EPROTO);
	assert_int_equal(w->t->finished.count, 1);
	assert_int_equal(tunnel_session_count(w->t), 0);
	w->budget.sessions -= WORLD_SESSIONS_MAX + SESSIONS_REFUSED_MAX;
}

/* Ids that are left out are remembered one by one, whichever way the others finish. */
static void holes_in_the_ids_are_bounded(void **state)
{
	struct world *w = *state;
	uint64_t id = 2;

	for (uint32_t i = 0; i < FINISHED_RANGES_SURE; i++, id += 2) {
		skip_sent(w);
		assert_int_equal(receive_open(w, 0, id), 0);
		assert_int_equal(receive_reset(w, 0, id, RESET_BY_OPERATOR, 0, 0), 0);
		w->user_count = 0;
	}
	assert_int_equal(w->t->finished.count, FINISHED_RANGES_SURE);
	w->budget.finished_ranges += FINISHED_RANGES_MAX; /* another tunnel's */
	assert_int_equal(receive_open(w, 0, id), 0);
	assert_int_equal(receive_reset(w, 0, id, RESET_BY_OPERATOR, 0, 0), 0);
	id += 2;
	assert_int_equal(receive_open(w, 0, id), -EPROTO);
	assert_int_equal(receive_data(w, 0, id, 0, 10, 0), -EPROTO);
	assert_int_equal(receive_reset(w, 0, id, RESET_BY_PEER, 0, 0), -EPROTO);
	w->budget.finished_ranges -= FINISHED_RANGES_MAX;
}

static void frames_of_a_hop_do_not_belong_here(void **state)
{
	static const enum frame_type types[] = {FRAME_HELLO, FRAME_HELLO_ACK, FRAME_AUTH,
						FRAME_PING,  FRAME_PONG,      FRAME_DATAGRAM};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct frame head = {.type = (uint8_t)types[i]};

		assert_int_equal(receive(w, 0, &head, NULL, NULL), -EPROTO);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		initiator_test(open_goes_out_without_data),
		initiator_test(data_follows_open_in_the_same_run),
		initiator_test(before_any_ack_data_stays_within_first_credit),
		initiator_test(a_client_that_ends_at_once),
		initiator_test(open_is_sent_again_until_an_ack),
		initiator_test(open_is_not_sent_again_for_another_paths_loss),
		initiator_test(the_initiator_knows_all_ids),
		initiator_test(at_the_limit_clients_are_refused),
		initiator_test(clients_wait_for_the_first_path),
		initiator_test(clients_do_not_wait_for_ever),
		initiator_test(sessions_outlive_a_short_loss_of_all_paths),
		initiator_test(sessions_end_when_no_path_comes_back),
		initiator_test(renewing_keeps_who_still_waits),
		acceptor_test(open_is_acknowledged_at_once),
		acceptor_test(a_second_open_is_acknowledged_and_opens_nothing),
		acceptor_test(data_may_come_before_its_open),
		acceptor_test(data_whose_open_does_not_come_is_reset),
		acceptor_test(a_reset_before_its_open_finishes_the_id),
		acceptor_test(at_the_limit_sessions_are_reset),
		acceptor_test(at_both_limits_one_answer_must_do),
		acceptor_test(holes_in_the_ids_are_bounded),
		acceptor_test(frames_of_a_hop_do_not_belong_here),
	};

	return cmocka_run_group_tests_name("tunnel_open", tests, NULL, NULL);
}
