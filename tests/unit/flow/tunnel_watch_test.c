/* with: tests/unit/flow/world.c */
/* What does not arrive: late heads, tails, paths that stall and come back, and paths that are
 * drained. */
#include "common/flow/tunnel_internal.h"
#include "world.h"

#define FRAME PATH_FRAME_FIRST_BYTES

/* Sends one frame on each path; returns which path has the first. */
static int send_two(struct world *w, struct user *u)
{
	int first;

	user_sends(w, u, 2 * FRAME);
	first = expect_frame(w, FRAME_DATA, u->id)->path == w->paths[1];
	expect_frame(w, FRAME_DATA, u->id);
	assert_int_equal(w->paths[0]->inflight_bytes, FRAME);
	assert_int_equal(w->paths[1]->inflight_bytes, FRAME);
	return first;
}

/* All but the first frame has been received. */
static void receive_gap(struct world *w, int path, uint64_t id, uint64_t start, uint64_t end)
{
	struct ack_info ack = {
		.credit = WORLD_CREDIT,
		.clock_us = (uint32_t)w->now_us,
		.range_count = 1,
		.ranges = {{start, end}},
	};
	uint8_t payload[ACK_PAYLOAD_MAX];
	struct frame head = {.type = FRAME_ACK, .session = id};

	head.len = (uint32_t)ack_encode(&ack, payload, sizeof(payload));
	assert_int_equal(receive(w, path, &head, payload, NULL), 0);
}

static void a_late_head_goes_another_way(void **state)
{
	struct world *w = *state;
	struct user *u = begin_known(w);
	int first = send_two(w, u);

	w->now_us += 10 * US_PER_MS;
	receive_gap(w, 1 - first, u->id, FRAME, 2 * FRAME);
	expect_nothing(w); /* not late yet: the other was just as fast */
	w->paths[first]->is_blocked = true;
	user_sends(w, u, FRAME);
	w->paths[first]->is_blocked = false;
	expect_data(w, u->id, 2 * FRAME, FRAME, 0);
	wait_ms(w, 10);
	receive_gap(w, 1 - first, u->id, FRAME, 3 * FRAME);
	wait_ms(w, LATE_SLACK_MS + 2 * WATCH_TICK_MS);
	assert_ptr_equal(expect_frame(w, FRAME_DATA, u->id)->path, w->paths[1 - first]);
	assert_true(w->paths[first]->doubt_us > 0);
	assert_int_equal(w->paths[1 - first]->resent_bytes, FRAME);
	assert_int_equal(receive_ack(w, 1 - first, u->id, 3 * FRAME, WORLD_CREDIT), 0);
	assert_int_equal(w->paths[0]->inflight_bytes + w->paths[1]->inflight_bytes, 0);
	/* TCP still has it on the first path. */
	assert_int_equal(path_load_bytes(w->paths[first]), FRAME);
	assert_int_equal(path_load_bytes(w->paths[1 - first]), 0);
	/* Once there is no room, one asks whether it has come. */
	w->paths[first]->cap_bytes = FRAME;
	wait_ms(w, 1);
	probe_back(w, first);
	assert_int_equal(path_load_bytes(w->paths[first]), 0);
}

/* The probe, or what answers it, may be lost as well. */
static void lateness_is_forgotten_without_proof(void **state)
{
	struct world *w = *state;
	struct path *p;

	begin_known(w);
	p = w->paths[0];
	p->late_us = w->now_us;
	path_on_overtaken(p, PATH_CAP_FIRST_BYTES);
	watch_soon(w->t, WATCH_TICK_MS, w->now_us);
	wait_ms(w, WORLD_RTT_MS + PATH_STALL_SLACK_MS - 1);
	assert_false(path_has_room(p));
	wait_ms(w, 1 + WATCH_TICK_MS);
	assert_true(path_has_room(p));
}

/* Frames 1 and 3, and all from 4 on, have been received: the other path's. */
static void receive_odd(struct world *w, int path, uint64_t id, uint64_t end)
{
	struct ack_info ack = {
		.credit = WORLD_CREDIT,
		.clock_us = (uint32_t)w->now_us,
		.range_count = 2,
		.ranges = {{FRAME, 2 * FRAME}, {3 * FRAME, end}},
	};
	uint8_t payload[ACK_PAYLOAD_MAX];
	struct frame head = {.type = FRAME_ACK, .session = id};

	head.len = (uint32_t)ack_encode(&ack, payload, sizeof(payload));
	assert_int_equal(receive(w, path, &head, payload, NULL), 0);
}

/* One path goes on while nothing comes of the other. */
static void other_path_goes_on(struct world *w, struct user *u, int dead, int times)
{
	uint64_t end = 4 * FRAME;

	for (int i = 0; i < times; i++) {
		wait_ms(w, 5);
		w->paths[dead]->is_blocked = true;
		user_sends(w, u, 1000);
		w->paths[dead]->is_blocked = false;
		wait_ms(w, 10);
		receive_odd(w, 1 - dead, u->id, end += 1000);
	}
}

static void a_path_that_stalls_is_left_and_comes_back(void **state)
{
	struct world *w = *state;
	struct user *u = begin_known(w);
	int dead;

	user_sends(w, u, 4 * FRAME);
	dead = expect_frame(w, FRAME_DATA, u->id)->path == w->paths[1];
	assert_int_equal(w->paths[dead]->inflight_bytes, 2 * FRAME);
	other_path_goes_on(w, u, dead, 30);
	assert_int_equal(w->paths[dead]->state, PATH_STALLED);
	assert_int_equal(w->paths[dead]->stalls, 1);
	assert_int_equal(w->paths[dead]->inflight_bytes, 2 * FRAME); /* it may still arrive */
	skip_sent(w);
	user_sends(w, u, 10 * FRAME);
	assert_ptr_equal(expect_frame(w, FRAME_DATA, u->id)->path, w->paths[1 - dead]);
	wait_ms(w, PROBE_LOST_MS + PROBE_URGENT_MS);
	probe_back(w, dead);
	assert_int_equal(w->paths[dead]->state, PATH_ACTIVE);
}

/* We are held up between the reads of two subflows: that one brought what shows progress says
 * nothing of the other, whose bytes may wait in its socket. */
static void a_pause_between_two_reads_is_no_stall(void **state)
{
	struct world *w = *state;
	struct user *u = begin_known(w);
	int first = send_two(w, u);
	struct frame back = {.type = FRAME_PATH_BACK, .len = sizeof(uint64_t)};
	const uint8_t event[sizeof(uint64_t)] = {1};
	struct ack_info ack = {.credit = WORLD_CREDIT,
			       .range_count = 1,
			       .ranges = {{FRAME, 2 * FRAME}}};
	uint8_t payload[ACK_PAYLOAD_MAX];
	struct frame head = {.type = FRAME_ACK, .session = u->id};

	w->now_us += 10 * US_PER_MS;
	assert_int_equal(tunnel_receive(w->t, w->paths[first], &back, event, NULL, w->now_us), 0);
	w->now_us += 1000 * US_PER_MS;
	ack.clock_us = (uint32_t)w->now_us;
	head.len = (uint32_t)ack_encode(&ack, payload, sizeof(payload));
	assert_int_equal(tunnel_receive(w->t, w->paths[1 - first], &head, payload, NULL, w->now_us),
			 0);
	run(w);
	assert_int_equal(w->paths[first]->state, PATH_ACTIVE);
	assert_int_equal(w->paths[first]->doubt_us, 0);
	/* By the next turn it has been read. */
	wait_ms(w, 2 * WATCH_TICK_MS);
	assert_int_equal(w->paths[first]->state, PATH_STALLED);
}

/* Nothing at all is acknowledged: that may be the other end, and no path is left for it. */
static void silence_of_all_is_no_stall(void **state)
{
	struct world *w = *state;
	struct user *u = begin_known(w);

	send_two(w, u);
	wait_ms(w, 2000);
	assert_int_equal(w->paths[0]->state, PATH_ACTIVE);
	assert_int_equal(w->paths[1]->state, PATH_ACTIVE);
}

/* The last bytes of a stream: nothing behind them could show that they are missing. */
static void a_tail_is_sent_again(void **state)
{
	struct world *w = *state;
	struct user *u = begin_known(w);
	int other;

	user_sends(w, u, 100);
	other = expect_frame(w, FRAME_DATA, u->id)->path == w->paths[0];
	wait_ms(w, 10 + 2 * PATH_STALL_SLACK_MS);
	assert_ptr_equal(expect_frame(w, FRAME_DATA, u->id)->path, w->paths[other]);
	expect_nothing(w);
	/* That it was acknowledged shows nothing: either may have brought it. */
	assert_int_equal(receive_ack(w, other, u->id, 100, WORLD_CREDIT), 0);
	assert_int_equal(w->paths[1 - other]->state, PATH_ACTIVE);
}

static void a_hop_that_hears_nothing_stalls_its_path(void **state)
{
	struct world *w = *state;
	struct user *u = begin_known(w);

	tunnel_path_stalled(w->t, w->paths[0], true, w->now_us);
	user_sends(w, u, 4 * FRAME);
	for (int i = 0; i < 4; i++)
		assert_ptr_equal(expect_frame(w, FRAME_DATA, u->id)->path, w->paths[1]);
	w->probes[0] = 0;
	tunnel_path_stalled(w->t, w->paths[0], false, w->now_us);
	run(w);
	probe_back(w, 0);
	assert_int_equal(w->paths[0]->state, PATH_ACTIVE);
}

/* ---- draining ---- */

static int receive_drain(struct world *w, int path)
{
	return receive(w, path, &(struct frame){.type = FRAME_DRAIN}, NULL, NULL);
}

static void a_drained_path_goes_without_a_loss(void **state)
{
	struct world *w = *state;
	struct user *u = begin_known(w);
	int leaves = send_two(w, u);

	tunnel_drain_path(w->t, w->paths[leaves]);
	run(w);
	assert_ptr_equal(expect_frame(w, FRAME_DRAIN, 0)->path, w->paths[leaves]);
	user_sends(w, u, 2 * FRAME); /* nothing more on it */
	assert_ptr_equal(expect_frame(w, FRAME_DATA, u->id)->path, w->paths[1 - leaves]);
	assert_ptr_equal(expect_frame(w, FRAME_DATA, u->id)->path, w->paths[1 - leaves]);
	assert_null(w->drained);
	assert_int_equal(receive_drain(w, leaves), 0);
	assert_ptr_equal(w->drained, w->paths[leaves]);
	path_lost(w, leaves); /* closed, in order: what it carried is still under way behind it */
	expect_nothing(w);
	assert_int_equal(receive_ack(w, 1 - leaves, u->id, 4 * FRAME, WORLD_CREDIT), 0);
	assert_int_equal(w->paths[1 - leaves]->inflight_bytes, 0);
	expect_nothing(w);
}

static void one_that_does_not_get_on_is_not_waited_for(void **state)
{
	struct world *w = *state;

	begin_known(w);
	/* It stalls while it is drained, or has before. */
	tunnel_drain_path(w->t, w->paths[0]);
	assert_false(w->paths[0]->is_given_up);
	tunnel_path_stalled(w->t, w->paths[0], true, w->now_us);
	assert_true(w->paths[0]->is_given_up);
	tunnel_path_stalled(w->t, w->paths[1], true, w->now_us);
	assert_false(w->paths[1]->is_given_up);
	tunnel_drain_path(w->t, w->paths[1]);
	assert_true(w->paths[1]->is_given_up);
}

static void a_drain_from_the_other_end_is_answered(void **state)
{
	struct world *w = *state;

	begin_known(w);
	assert_int_equal(receive_drain(w, 0), 0);
	assert_ptr_equal(expect_frame(w, FRAME_DRAIN, 0)->path, w->paths[0]);
	assert_ptr_equal(w->drained, w->paths[0]);
}

/* ---- redundant ---- */

static void redundant_sends_on_every_path(void **state)
{
	struct world *w = *state;
	struct user *u = begin_known(w);

	tunnel_set_scheduler(w->t, scheduler_find("redundant"));
	user_sends(w, u, 100);
	assert_ptr_not_equal(expect_frame(w, FRAME_DATA, u->id)->path,
			     expect_frame(w, FRAME_DATA, u->id)->path);
	expect_nothing(w);
	path_lost(w, 0); /* the other copy is still under way */
	expect_nothing(w);
	assert_int_equal(w->paths[1]->inflight_bytes, 100);
	assert_int_equal(receive_ack(w, 1, u->id, 100, WORLD_CREDIT), 0);
	assert_int_equal(w->paths[1]->inflight_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		initiator_test(a_late_head_goes_another_way),
		initiator_test(lateness_is_forgotten_without_proof),
		initiator_test(a_path_that_stalls_is_left_and_comes_back),
		initiator_test(a_pause_between_two_reads_is_no_stall),
		initiator_test(silence_of_all_is_no_stall),
		initiator_test(a_tail_is_sent_again),
		initiator_test(a_hop_that_hears_nothing_stalls_its_path),
		initiator_test(a_drained_path_goes_without_a_loss),
		initiator_test(one_that_does_not_get_on_is_not_waited_for),
		initiator_test(a_drain_from_the_other_end_is_answered),
		initiator_test(redundant_sends_on_every_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
