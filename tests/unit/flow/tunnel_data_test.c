/* with: tests/unit/flow/world.c */
/* Bytes and their acknowledgements: when an ACK goes out, what credit it gives, what a sender
 * without credit does, and what ends a session that breaks the rules. */
#include "world.h"

#define PLENTY (100 * MIB)

/* ---- acknowledging ---- */

static void new_bytes_wait_for_company(void **state)
{
	struct world *w = *state;

	accept_session(w, 1);
	assert_int_equal(receive_data(w, 0, 1, 0, 100, 0), 0);
	assert_int_equal(receive_data(w, 1, 1, 100, 50, 0), 0);
	expect_nothing(w);
	assert_int_equal(tunnel_next_run_at(w->t, w->now_us), w->now_us + ACK_DELAY_US);
	wait_ms(w, ACK_DELAY_US / US_PER_MS);
	assert_int_equal(expect_ack(w, 1, 150)->delay_us, ACK_DELAY_US);
	expect_nothing(w);
	assert_int_equal(w->users[0].told, 2);
}

static void an_ack_rides_along_with_bytes(void **state)
{
	struct world *w = *state;
	struct user *u = accept_session(w, 1);

	assert_int_equal(receive_data(w, 0, 1, 0, 100, 0), 0);
	user_sends(w, u, 100);
	expect_data(w, 1, 0, 100, 0);
	expect_ack(w, 1, 100);
	wait_ms(w, 10);
	expect_nothing(w);
}

static void duplicates_are_acknowledged_at_once(void **state)
{
	struct world *w = *state;

	accept_session(w, 1);
	assert_int_equal(receive_data(w, 0, 1, 0, 100, 0), 0);
	assert_int_equal(receive_data(w, 1, 1, 0, 100, 0), 0);
	expect_ack(w, 1, 100);
	assert_int_equal(w->paths[1]->duplicate_bytes, 100);
	assert_int_equal(receive_data(w, 0, 1, 100, 0, 0), 0); /* a probe */
	expect_ack(w, 1, 100);
}

static void the_end_is_acknowledged_at_once(void **state)
{
	struct world *w = *state;

	accept_session(w, 1);
	assert_int_equal(receive_data(w, 0, 1, 0, 100, FRAME_FLAG_FIN), 0);
	expect_ack(w, 1, 101);
	assert_false(session_is_at_end(w->users[0].session)); /* its bytes come first */
}

static void many_bytes_are_acknowledged_at_once(void **state)
{
	struct world *w = *state;
	struct session *s = accept_session(w, 1)->session;
	uint64_t offset = 0;

	s->granted = MIB;
	for (; offset < ACK_BYTES - 8 * KIB; offset += 8 * KIB)
		assert_int_equal(receive_data(w, 0, 1, offset, 8 * KIB, 0), 0);
	expect_nothing(w);
	assert_int_equal(receive_data(w, 0, 1, offset, 8 * KIB, 0), 0);
	expect_ack(w, 1, ACK_BYTES);
}

static void an_ack_tells_what_lies_beyond_gaps(void **state)
{
	struct world *w = *state;
	const struct ack_info *ack;

	accept_session(w, 1);
	assert_int_equal(receive_data(w, 0, 1, 100, 100, 0), 0);
	assert_int_equal(receive_data(w, 0, 1, 300, 100, 0), 0);
	wait_ms(w, 2);
	ack = expect_ack(w, 1, 0);
	assert_int_equal(ack->range_count, 2);
	assert_int_equal(ack->ranges[1].start, 300);
	assert_int_equal(ack->ranges[1].end, 400);
	assert_int_equal(w->users[0].told, 0);
	assert_int_equal(receive_data(w, 0, 1, 0, 100, 0), 0);
	assert_int_equal(w->users[0].told, 1);
	user_takes(w, &w->users[0], 200);
}

/* ---- credit that is used up ---- */

static void without_credit_nothing_is_sent(void **state)
{
	struct world *w = *state;
	struct user *u = begin_session(w);

	user_sends(w, u, 50000);
	expect_data(w, 1, 0, FIRST_CREDIT_BYTES, 0);
	path_lost(w, 1); /* so that nobody tries another way */
	wait_ms(w, 10000);
	expect_nothing(w); /* what is outstanding will be acknowledged */
	assert_int_equal(receive_ack(w, 0, 1, 1000, 20000), 0);
	expect_data(w, 1, FIRST_CREDIT_BYTES, 20000 - FIRST_CREDIT_BYTES, 0);
	expect_nothing(w);
}

static uint64_t ms_until_probe(struct world *w)
{
	uint64_t start_us = w->now_us;

	while (w->seen == w->sent_count)
		wait_ms(w, 1);
	expect_data(w, 1, FIRST_CREDIT_BYTES, 0, 0);
	expect_nothing(w);
	return (w->now_us - start_us) / US_PER_MS;
}

/* An ACK with more credit may be lost with its path: whoever has nothing outstanding asks. */
static void a_sender_without_credit_probes(void **state)
{
	struct world *w = *state;
	struct user *u = begin_session(w);
	uint64_t step_ms = ASK_MIN_MS;

	user_sends(w, u, 50000);
	expect_data(w, 1, 0, FIRST_CREDIT_BYTES, 0);
	assert_int_equal(receive_ack(w, 0, 1, FIRST_CREDIT_BYTES, FIRST_CREDIT_BYTES), 0);
	for (int i = 0; i < 8; i++) {
		assert_in_range(ms_until_probe(w), step_ms, step_ms + TIMED_TICK_MS);
		step_ms = 2 * step_ms < ASK_MAX_MS ? 2 * step_ms : ASK_MAX_MS;
	}
	assert_int_equal(receive_ack(w, 0, 1, FIRST_CREDIT_BYTES, 60000), 0);
	skip_sent(w);
	assert_int_equal(receive_ack(w, 0, 1, 50000, 60000), 0);
	wait_ms(w, 2 * ASK_MAX_MS);
	expect_nothing(w);
}

/* ---- credit that is given ---- */

/* The other end sends all it may, in large frames, and the server takes it at once. Returns the
 * last credit. */
static uint64_t fill_window(struct world *w, struct user *u, uint64_t credit)
{
	while (u->got_bytes < credit) {
		uint64_t left = credit - u->got_bytes;
		uint32_t len = left < 32 * KIB ? (uint32_t)left : 32 * KIB;

		assert_int_equal(receive_data(w, 0, u->id, u->got_bytes, len, 0), 0);
		user_takes(w, u, len);
	}
	wait_ms(w, 2);
	assert_true(w->seen < w->sent_count);
	w->seen = w->sent_count - 1;
	return expect_ack(w, u->id, u->got_bytes)->credit;
}

static void a_fast_reader_gets_a_larger_window(void **state)
{
	struct world *w = *state;
	struct user *u = accept_session(w, 1);
	uint64_t credit = FIRST_CREDIT_BYTES, window = FIRST_CREDIT_BYTES;

	w->t->config.window_max_bytes = 256 * KIB;
	while (window < 256 * KIB) {
		credit = fill_window(w, u, credit);
		assert_in_range(credit - u->got_bytes, window, 2 * window);
		window = credit - u->got_bytes;
	}
	credit = fill_window(w, u, credit);
	assert_int_equal(credit - u->got_bytes, 256 * KIB);
	assert_int_equal(w->budget.granted_bytes, 256 * KIB - FIRST_CREDIT_BYTES);
}

static void a_slow_reader_keeps_its_window(void **state)
{
	struct world *w = *state;
	struct user *u = accept_session(w, 1);
	uint64_t credit = FIRST_CREDIT_BYTES;

	for (int i = 0; i < 20; i++) {
		assert_int_equal(receive_data(w, 0, 1, u->got_bytes, 8 * KIB, 0), 0);
		wait_ms(w, WINDOW_SLACK_MS);
		user_takes(w, u, 8 * KIB);
		w->seen = w->sent_count - 1;
		credit = expect_ack(w, 1, u->got_bytes)->credit;
	}
	assert_int_equal(credit - u->got_bytes, FIRST_CREDIT_BYTES);
}

/* A reader that stops is promised no more, however long it is. */
static void who_takes_nothing_gets_no_credit(void **state)
{
	struct world *w = *state;

	accept_session(w, 1);
	assert_int_equal(receive_data(w, 0, 1, 0, FIRST_CREDIT_BYTES, 0), 0);
	wait_ms(w, 1000);
	for (int copy = 0; copy < 2; copy++)
		assert_int_equal(expect_ack(w, 1, FIRST_CREDIT_BYTES)->credit, FIRST_CREDIT_BYTES);
	expect_nothing(w);
}

static void an_ack_of_many_bytes_goes_out_on_two_paths(void **state)
{
	struct world *w = *state;
	const struct sent *first, *second;

	accept_session(w, 1);
	accept_session(w, 2);
	assert_int_equal(receive_data(w, 0, 1, 0, ACK_TWICE_BYTES - 1, 0), 0);
	wait_ms(w, 5);
	expect_ack(w, 1, ACK_TWICE_BYTES - 1);
	expect_nothing(w);
	assert_int_equal(receive_data(w, 0, 2, 0, ACK_TWICE_BYTES, 0), 0);
	wait_ms(w, 5);
	first = expect_frame(w, FRAME_ACK, 2);
	second = expect_frame(w, FRAME_ACK, 2);
	assert_int_equal(first->head.offset, ACK_TWICE_BYTES);
	assert_int_equal(second->head.offset, first->head.offset);
	assert_ptr_not_equal(first->path, second->path);
	expect_nothing(w);
}

static void grants_are_small_when_memory_is_short(void **state)
{
	struct world *w = *state;
	struct user *u = accept_session(w, 1);
	uint64_t credit = FIRST_CREDIT_BYTES;

	w->budget.granted_bytes_max = 400000;
	u->session->window_bytes = MIB;
	for (int i = 0; i < 10; i++) {
		credit = fill_window(w, u, credit);
		assert_in_range(credit - u->got_bytes, FIRST_CREDIT_BYTES, 400000);
		assert_true(w->budget.granted_bytes <= 400000);
	}
	assert_true(credit - u->got_bytes > FIRST_CREDIT_BYTES);
}

static void the_first_credit_is_always_granted(void **state)
{
	struct world *w = *state;
	struct user *u = accept_session(w, 1);
	uint64_t credit = FIRST_CREDIT_BYTES;

	w->budget.granted_bytes_max = 0;
	for (int i = 0; i < 10; i++) {
		credit = fill_window(w, u, credit);
		assert_int_equal(credit - u->got_bytes, FIRST_CREDIT_BYTES);
	}
	assert_int_equal(w->budget.granted_bytes, 0);
}

static void a_promise_is_kept_when_memory_gets_short(void **state)
{
	struct world *w = *state;
	struct user *u = accept_session(w, 1);
	uint64_t credit = FIRST_CREDIT_BYTES;

	while (credit - u->got_bytes < 256 * KIB)
		credit = fill_window(w, u, credit);
	w->budget.granted_bytes_max = w->budget.granted_bytes;
	assert_int_equal(receive_data(w, 0, 1, credit - 100, 100, 0), 0);
	assert_int_equal(receive_data(w, 0, 1, credit - 100, 100, 0), 0);
	assert_int_equal(expect_ack(w, 1, u->got_bytes)->credit, credit);
	assert_false(u->is_ended);
}

/* ---- memory ---- */

static void a_full_pool_stops_reading_clients(void **state)
{
	struct world *w = *state;
	struct user *u = begin_session(w);

	w->budget.chunks.limit_bytes = w->budget.chunks.used_bytes;
	user_sends(w, u, 100);
	expect_nothing(w);
	w->budget.chunks.limit_bytes = WORLD_LIMIT_BYTES;
	run(w);
	expect_data(w, 1, 0, 100, 0);
}

/* Promised bytes are taken even then, but not without end. */
static void far_beyond_the_limit_sessions_are_reset(void **state)
{
	struct world *w = *state;
	struct user *u = accept_session(w, 1);

	w->budget.chunks.limit_bytes = 0;
	assert_int_equal(receive_data(w, 0, 1, 0, 100, 0), 0);
	assert_false(u->is_ended);
	w->budget.chunks.used_bytes += MEMORY_HARD_SLACK_BYTES;
	assert_int_equal(receive_data(w, 0, 1, 100, 100, 0), 0);
	w->budget.chunks.used_bytes -= MEMORY_HARD_SLACK_BYTES;
	assert_ended(u, RESET_LIMIT);
}

/* One-byte pieces with gaps between them cost a hundred times what they hold: whoever sends those
 * is reset when memory is full, and nobody else. */
static void small_pieces_count_by_what_they_cost(void **state)
{
	struct world *w = *state;
	struct user *greedy = accept_session(w, 1), *modest = accept_session(w, 2);
	uint64_t at = 1;

	w->budget.chunks.limit_bytes = 512 * KIB;
	for (; at < FIRST_CREDIT_BYTES && !greedy->is_ended; at += 2)
		assert_int_equal(receive_data(w, 0, 1, at, 1, 0), 0);
	assert_ended(greedy, RESET_LIMIT);
	w->budget.chunks.limit_bytes = 0;
	assert_int_equal(receive_data(w, 0, 2, 0, 100, 0), 0);
	assert_false(modest->is_ended);
}

/* A peer that could tell how the runs beyond gaps are ordered would make a list of their tree. */
static void the_tunnels_seed_is_in_each_session(void **state)
{
	struct world *w = *state, *other;
	void *made;

	world_set_up_acceptor(&made);
	other = made;
	other->t->config.seed = w->t->config.seed + 0x100000000;
	assert_int_not_equal(accept_session(w, 1)->session->in.seed,
			     accept_session(other, 1)->session->in.seed);
	world_tear_down(&made);
}

/* ---- both ends in order ---- */

static void a_session_ends_when_both_streams_have(void **state)
{
	struct world *w = *state;
	struct user *u = accept_session(w, 1);

	assert_int_equal(receive_data(w, 0, 1, 0, 10, FRAME_FLAG_FIN), 0);
	expect_ack(w, 1, 11);
	user_takes(w, u, 10);
	user_gets_end(w, u);
	assert_string_equal(session_state_name(u->session), "half-closed");
	wait_ms(w, 10000);
	user_sends(w, u, 20);
	expect_data(w, 1, 0, 20, 0);
	user_ends(w, u);
	expect_data(w, 1, 20, 0, FRAME_FLAG_FIN);
	assert_false(u->is_ended);
	assert_int_equal(receive_ack(w, 0, 1, 21, PLENTY), 0);
	assert_ended(u, RESET_FINISHED);
	assert_int_equal(tunnel_session_count(w->t), 0);
	assert_int_equal(w->t->counters.finished, 1);
	expect_nothing(w);
}

/* The last ACK tells the other end that it may forget the session: it must not be forgotten. */
static void a_finished_session_waits_for_its_last_ack_to_go_out(void **state)
{
	struct world *w = *state;
	struct user *u = begin_session(w);

	user_ends(w, u);
	expect_data(w, 1, 0, 0, FRAME_FLAG_FIN);
	assert_int_equal(receive_ack(w, 0, 1, 1, PLENTY), 0);
	w->paths[0]->is_blocked = w->paths[1]->is_blocked = true;
	assert_int_equal(receive_data(w, 0, 1, 0, 0, FRAME_FLAG_FIN), 0);
	user_gets_end(w, u);
	assert_false(u->is_ended);
	w->paths[1]->is_blocked = false;
	run(w);
	expect_ack(w, 1, 1);
	assert_ended(u, RESET_FINISHED);
}

/* The ACK of the last byte is lost, and its sender has forgotten the session. */
static void an_end_without_an_answer_is_asked_for(void **state)
{
	struct world *w = *state;
	struct user *u = begin_session(w);

	assert_int_equal(receive_data(w, 0, 1, 0, 0, FRAME_FLAG_FIN), 0);
	expect_ack(w, 1, 1);
	user_gets_end(w, u);
	path_lost(w, 1); /* so that it is not sent again there */
	skip_sent(w);
	user_ends(w, u);
	expect_data(w, 1, 0, 0, FRAME_FLAG_FIN);
	wait_ms(w, ASK_MIN_MS + 2 * TIMED_TICK_MS);
	expect_data(w, 1, 0, 0, 0);
	assert_int_equal(receive_reset(w, 0, 1, RESET_FINISHED, 0, FRAME_FLAG_ANSWER), 0);
	assert_ended(u, RESET_FINISHED);
	expect_nothing(w);
}

/* ---- against the rules ---- */

static void assert_protocol_reset(struct world *w, struct user *u)
{
	skip_sent(w);
	w->seen--;
	expect_reset(w, 1, RESET_PROTOCOL, 0);
	assert_ended(u, RESET_PROTOCOL);
}

static void bytes_beyond_the_credit(void **state)
{
	struct world *w = *state;
	struct user *u = accept_session(w, 1);

	assert_int_equal(receive_data(w, 0, 1, FIRST_CREDIT_BYTES - 10, 10, 0), 0);
	assert_int_equal(receive_data(w, 0, 1, FIRST_CREDIT_BYTES - 10, 11, 0), 0);
	assert_protocol_reset(w, u);
}

static void bytes_past_the_end(void **state)
{
	struct world *w = *state;
	struct user *u = accept_session(w, 1);

	assert_int_equal(receive_data(w, 0, 1, 0, 10, FRAME_FLAG_FIN), 0);
	assert_int_equal(receive_data(w, 0, 1, 5, 6, 0), 0);
	assert_protocol_reset(w, u);
}

static void two_ends(void **state)
{
	struct world *w = *state;
	struct user *u = accept_session(w, 1);

	assert_int_equal(receive_data(w, 0, 1, 0, 10, FRAME_FLAG_FIN), 0);
	assert_int_equal(receive_data(w, 0, 1, 0, 9, FRAME_FLAG_FIN), 0);
	assert_protocol_reset(w, u);
}

static void an_end_before_what_is_there(void **state)
{
	struct world *w = *state;
	struct user *u = accept_session(w, 1);

	assert_int_equal(receive_data(w, 0, 1, 50, 10, 0), 0);
	assert_int_equal(receive_data(w, 0, 1, 0, 10, FRAME_FLAG_FIN), 0);
	assert_protocol_reset(w, u);
}

static void an_ack_of_what_was_not_sent(void **state)
{
	struct world *w = *state;
	struct user *u = accept_session(w, 1);

	user_sends(w, u, 100);
	assert_int_equal(receive_ack(w, 0, 1, 101, PLENTY), 0);
	assert_protocol_reset(w, u);
}

/* ---- many sessions ---- */

static void sessions_take_turns(void **state)
{
	struct world *w = *state;
	struct user *users[4];

	for (int i = 0; i < 4; i++) {
		users[i] = begin_session(w);
		assert_int_equal(receive_ack(w, 0, users[i]->id, 0, PLENTY), 0);
	}
	w->paths[0]->cap_bytes = w->paths[1]->cap_bytes = 0;
	for (int i = 0; i < 4; i++)
		user_sends(w, users[i], 10 * MIB);
	w->paths[0]->cap_bytes = w->paths[1]->cap_bytes = 2 * MIB;
	run(w);
	for (int i = 0; i < 4; i++)
		assert_in_range(users[i]->read_bytes, MIB - SESSION_QUANTUM_BYTES,
				MIB + SESSION_QUANTUM_BYTES);
}

static void a_short_message_does_not_wait_behind_bulk(void **state)
{
	struct world *w = *state;
	struct user *bulk = begin_session(w), *interactive = begin_session(w);

	assert_int_equal(receive_ack(w, 0, bulk->id, 0, PLENTY), 0);
	user_sends(w, bulk, 10 * MIB);
	w->paths[0]->cap_bytes = w->paths[1]->cap_bytes = 0;
	user_sends(w, interactive, 64);
	skip_sent(w);
	w->paths[0]->cap_bytes = PATH_CAP_FIRST_BYTES + 32 * KIB;
	w->paths[1]->cap_bytes = PATH_CAP_FIRST_BYTES + 32 * KIB;
	run(w);
	expect_data(w, interactive->id, 0, 64, 0);
}

/* With room for one frame all is acknowledged each time before the next goes out; a burst ends only
 * when there is no more. */
static void a_burst_is_what_came_since_there_was_nothing(void **state)
{
	struct world *w = *state;
	struct user *u = begin_known(w);
	uint64_t size = w->paths[1]->frame_bytes, end = u->session->out.next;

	w->paths[0]->is_blocked = true;
	w->paths[1]->cap_bytes = size;
	user_sends(w, u, 3 * size);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(u->session->burst_at, 0);
		assert_ptr_equal(expect_frame(w, FRAME_DATA, u->id)->path, w->paths[1]);
		end += size;
		w->paths[1]->rate_Bps = 0; /* keeps its cap */
		assert_int_equal(receive_ack(w, 1, u->id, end, end + WORLD_CREDIT), 0);
	}
	user_sends(w, u, 10);
	assert_int_equal(u->session->burst_at, end);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		acceptor_test(new_bytes_wait_for_company),
		acceptor_test(an_ack_rides_along_with_bytes),
		acceptor_test(duplicates_are_acknowledged_at_once),
		acceptor_test(the_end_is_acknowledged_at_once),
		acceptor_test(many_bytes_are_acknowledged_at_once),
		acceptor_test(an_ack_tells_what_lies_beyond_gaps),
		initiator_test(without_credit_nothing_is_sent),
		initiator_test(a_sender_without_credit_probes),
		acceptor_test(a_fast_reader_gets_a_larger_window),
		acceptor_test(a_slow_reader_keeps_its_window),
		acceptor_test(who_takes_nothing_gets_no_credit),
		acceptor_test(an_ack_of_many_bytes_goes_out_on_two_paths),
		acceptor_test(grants_are_small_when_memory_is_short),
		acceptor_test(the_first_credit_is_always_granted),
		acceptor_test(a_promise_is_kept_when_memory_gets_short),
		initiator_test(a_full_pool_stops_reading_clients),
		acceptor_test(far_beyond_the_limit_sessions_are_reset),
		acceptor_test(small_pieces_count_by_what_they_cost),
		acceptor_test(the_tunnels_seed_is_in_each_session),
		acceptor_test(a_session_ends_when_both_streams_have),
		initiator_test(a_finished_session_waits_for_its_last_ack_to_go_out),
		initiator_test(an_end_without_an_answer_is_asked_for),
		acceptor_test(bytes_beyond_the_credit),
		acceptor_test(bytes_past_the_end),
		acceptor_test(two_ends),
		acceptor_test(an_end_before_what_is_there),
		acceptor_test(an_ack_of_what_was_not_sent),
		initiator_test(sessions_take_turns),
		initiator_test(a_short_message_does_not_wait_behind_bulk),
		initiator_test(a_burst_is_what_came_since_there_was_nothing),
	};

	return cmocka_run_group_tests_name("tunnel_data", tests, NULL, NULL);
}
