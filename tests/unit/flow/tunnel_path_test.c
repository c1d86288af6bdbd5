/* with: tests/unit/flow/world.c */
/* Paths that come, go and doubt: what they carried goes another way, in stream order, and what
 * the other end may have missed is said again. */
#include "world.h"

#include <errno.h>

/* `count` frames of 100 bytes from a session with credit, by turns on both paths. */
static struct user *send_frames(struct world *w, unsigned int count)
{
	struct user *u = begin_session(w);

	for (unsigned int i = 0; i < count; i++)
		user_sends(w, u, 100);
	return u;
}

static void lost_bytes_go_the_other_way_lowest_offset_first(void **state)
{
	struct world *w = *state;
	uint64_t lost[6];
	size_t count = 0;

	send_frames(w, 6);
	for (uint64_t i = 0; i < 6; i++) {
		const struct sent *s = expect_frame(w, FRAME_DATA, 1);

		assert_int_equal(s->head.offset, 100 * i);
		if (s->path == w->paths[0])
			lost[count++] = s->head.offset;
	}
	assert_int_equal(count, 3); /* the ratio is 1:1 */
	path_lost(w, 0);
	for (size_t i = 0; i < count; i++)
		expect_data(w, 1, lost[i], 100, 0);
	expect_nothing(w);
	assert_int_equal(w->paths[1]->inflight_bytes, 600);
	assert_int_equal(w->paths[1]->resent_bytes, 300);
}

static void lost_bytes_go_before_new_ones(void **state)
{
	struct world *w = *state;
	struct user *u = send_frames(w, 1);
	int on = expect_frame(w, FRAME_DATA, 1)->path == w->paths[1];

	u->has_bytes = 50;
	session_source_ready(u->session);
	path_lost(w, on);
	expect_data(w, 1, 0, 100, 0);
	expect_data(w, 1, 100, 50, 0);
}

static void what_is_acknowledged_is_not_sent_again(void **state)
{
	struct world *w = *state;

	send_frames(w, 4);
	assert_int_equal(receive_ack(w, 0, 1, 400, FIRST_CREDIT_BYTES), 0);
	skip_sent(w);
	path_lost(w, 0);
	path_lost(w, 1);
	path_up(w, 0);
	expect_nothing(w);
}

static void lost_bytes_wait_for_room(void **state)
{
	struct world *w = *state;

	send_frames(w, 4);
	skip_sent(w);
	w->paths[1]->is_blocked = true;
	path_lost(w, 0);
	expect_nothing(w);
	w->paths[1]->is_blocked = false;
	run(w);
	expect_frame(w, FRAME_DATA, 1);
	expect_frame(w, FRAME_DATA, 1);
	expect_nothing(w);
}

static void an_ack_for_lost_bytes_stops_their_way(void **state)
{
	struct world *w = *state;

	send_frames(w, 4);
	skip_sent(w);
	w->paths[1]->is_blocked = true;
	path_lost(w, 0);
	w->paths[1]->is_blocked = false;
	assert_int_equal(receive_ack(w, 1, 1, 400, FIRST_CREDIT_BYTES), 0);
	expect_nothing(w);
}

/* The ACK may have died with the path: the current one is sent again, once. */
static void acks_are_sent_again(void **state)
{
	struct world *w = *state;
	int on;

	assert_int_equal(receive_open(w, 0, 1), 0);
	on = expect_frame(w, FRAME_ACK, 1)->path == w->paths[1];
	path_lost(w, !on);
	expect_nothing(w); /* it went the other way */
	path_up(w, !on);
	assert_int_equal(receive_data(w, on, 1, 0, 100, 0), 0);
	path_lost(w, on);
	expect_ack(w, 1, 100);
	path_up(w, on);
	expect_nothing(w);
}

/* A new path has the number of the old one, and carried no ACK yet. */
static void a_new_path_has_carried_nothing(void **state)
{
	struct world *w = *state;

	assert_int_equal(receive_open(w, 0, 1), 0);
	w->paths[1]->is_blocked = true;
	path_lost(w, 0);
	w->paths[1]->is_blocked = false;
	run(w);
	skip_sent(w);
	path_up(w, 0);
	path_lost(w, 0);
	expect_nothing(w);
}

static void resets_are_sent_again(void **state)
{
	struct world *w = *state;

	user_resets(w, begin_session(w), RESET_BY_PEER);
	expect_reset(w, 1, RESET_BY_PEER, 0);
	path_lost(w, 0);
	expect_reset(w, 1, RESET_BY_PEER, 0);
}

/* ---- events ---- */

static int receive_event(struct world *w, int path, uint64_t id)
{
	struct frame head = {.type = FRAME_PATH_LOST};
	uint8_t payload[8];

	head.len = (uint32_t)u64_encode(id, payload, sizeof(payload));
	return receive(w, path, &head, payload, NULL);
}

/* A proxy behind a path has lost a hop: all that went on it may be lost, the path is not. */
static void an_event_sends_again_what_its_path_carried(void **state)
{
	struct world *w = *state;
	unsigned int count = 0;

	send_frames(w, 6);
	skip_sent(w);
	assert_int_equal(receive_event(w, 0, 77), 0);
	for (; w->seen < w->sent_count; count++)
		expect_frame(w, FRAME_DATA, 1);
	assert_int_equal(count, 3);
	assert_int_equal(w->t->path_count, 2);
	assert_int_equal(receive_event(w, 0, 77), 0);
	expect_nothing(w); /* the same, by another way */
}

static void an_event_on_the_only_path(void **state)
{
	struct world *w = *state;

	path_lost(w, 1);
	send_frames(w, 2);
	skip_sent(w);
	assert_int_equal(receive_event(w, 0, 77), 0);
	expect_data(w, 1, 0, 100, 0);
	expect_data(w, 1, 100, 100, 0);
	assert_int_equal(w->paths[0]->inflight_bytes, 200);
	assert_int_equal(receive_event(w, 0, 78), 0);
	expect_data(w, 1, 0, 100, 0);
	expect_data(w, 1, 100, 100, 0);
}

static void an_event_without_its_number(void **state)
{
	struct frame head = {.type = FRAME_PATH_LOST, .len = 3};
	const uint8_t payload[3] = {0};

	assert_int_equal(receive(*state, 0, &head, payload, NULL), -EPROTO);
}

/* ---- room ---- */

static void nothing_is_sent_while_all_paths_are_blocked(void **state)
{
	struct world *w = *state;
	struct user *u = accept_session(w, 1);

	w->paths[0]->is_blocked = w->paths[1]->is_blocked = true;
	user_sends(w, u, 100);
	assert_int_equal(receive_data(w, 0, 1, 0, 100, 0), 0);
	wait_ms(w, 100);
	expect_nothing(w);
	assert_true(tunnel_next_run_at(w->t, w->now_us) == NEVER_US); /* no busy loop meanwhile */
	w->paths[1]->is_blocked = false;
	run(w);
	expect_ack(w, 1, 100);
	expect_data(w, 1, 0, 100, 0);
}

/* Bytes beyond the cap stay with the client; control frames know no cap. */
static void a_full_path_takes_control_only(void **state)
{
	struct world *w = *state;
	struct user *u = accept_session(w, 1);

	w->paths[0]->cap_bytes = w->paths[1]->cap_bytes = 0;
	user_sends(w, u, 100);
	assert_int_equal(receive_data(w, 0, 1, 0, 100, 0), 0);
	wait_ms(w, 2);
	expect_ack(w, 1, 100);
	expect_nothing(w);
	assert_int_equal(u->has_bytes, 100);
}

static void there_are_so_many_paths(void **state)
{
	struct world *w = *state;
	struct path *paths[PATHS_MAX];

	for (size_t i = 2; i < PATHS_MAX; i++) {
		paths[i] = tunnel_add_path(w->t, 1, FRAME_PAYLOAD_DEFAULT, NULL);
		assert_int_equal(paths[i]->index, i);
	}
	assert_null(tunnel_add_path(w->t, 1, FRAME_PAYLOAD_DEFAULT, NULL));
	tunnel_remove_path(w->t, paths[40], w->now_us);
	assert_int_equal(tunnel_add_path(w->t, 1, FRAME_PAYLOAD_DEFAULT, NULL)->index, 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		initiator_test(lost_bytes_go_the_other_way_lowest_offset_first),
		initiator_test(lost_bytes_go_before_new_ones),
		initiator_test(what_is_acknowledged_is_not_sent_again),
		initiator_test(lost_bytes_wait_for_room),
		initiator_test(an_ack_for_lost_bytes_stops_their_way),
		acceptor_test(acks_are_sent_again),
		acceptor_test(a_new_path_has_carried_nothing),
		initiator_test(resets_are_sent_again),
		initiator_test(an_event_sends_again_what_its_path_carried),
		initiator_test(an_event_on_the_only_path),
		initiator_test(an_event_without_its_number),
		acceptor_test(nothing_is_sent_while_all_paths_are_blocked),
		acceptor_test(a_full_path_takes_control_only),
		initiator_test(there_are_so_many_paths),
	};

	return cmocka_run_group_tests_name("tunnel_path", tests, NULL, NULL);
}
