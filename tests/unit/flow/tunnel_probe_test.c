/* with: tests/unit/flow/world.c */
/* Probes, and what they decide: paths whose queue others have filled are parked and taken back.
 * And paths that are prepared for a topology change. Both paths are 10 ms away, so that a probe is
 * swollen above 3 * 10 + 20 = 50 ms, and no longer at 2.5 * 10 + 20 = 45 ms. */
#include "world.h"

#define BASE_US (WORLD_RTT_MS * US_PER_MS)
#define SWOLLEN_US (50 * US_PER_MS + 1)
#define SHRUNK_US (45 * US_PER_MS)

/* Bytes of `u` go out and are acknowledged: the tunnel is in use, and nothing under way. */
static void use(struct world *w, struct user *u)
{
	user_sends(w, u, 100);
	w->now_us += BASE_US;
	assert_int_equal(receive_ack(w, 0, u->id, u->read_bytes, WORLD_CREDIT), 0);
	assert_int_equal(w->paths[0]->segments + w->paths[1]->segments, 0);
	skip_sent(w);
}

/* The same in use. */
static struct user *begin_in_use(struct world *w)
{
	struct user *u = begin_known(w);

	use(w, u);
	assert_int_equal(w->paths[0]->base_rtt_us, BASE_US);
	assert_int_equal(w->paths[1]->base_rtt_us, BASE_US);
	return u;
}

/* Waits for the next probe on `path`. */
static void await_probe(struct world *w, int path)
{
	for (unsigned int i = 0; i <= PROBE_IDLE_MS && w->probes[path] == 0; i++)
		wait_ms(w, 1);
	assert_true(w->probes[path] != 0);
}

/* The next probe on `path` comes back after `rtt_us`. */
static void probe_takes(struct world *w, int path, uint64_t rtt_us)
{
	await_probe(w, path);
	w->now_us = w->paths[path]->probe_sent_us + rtt_us;
	probe_back(w, path);
}

static void park(struct world *w, int path)
{
	probe_takes(w, path, SWOLLEN_US);
	probe_takes(w, path, SWOLLEN_US);
	assert_int_equal(w->paths[path]->state, PATH_PARKED);
}

/* ---- parking ---- */

static void a_path_is_parked_when_its_queue_has_grown(void **state)
{
	struct world *w = *state;
	struct user *u = begin_in_use(w);
	const struct path *p = w->paths[0];

	probe_takes(w, 0, SWOLLEN_US - 1);
	use(w, u);
	probe_takes(w, 0, SWOLLEN_US - 1);
	assert_int_equal(p->state, PATH_ACTIVE);
	use(w, u);
	probe_takes(w, 0, SWOLLEN_US);
	assert_int_equal(p->state, PATH_ACTIVE); /* once may be anybody's */
	probe_takes(w, 0, SWOLLEN_US);
	assert_int_equal(p->state, PATH_PARKED);
	assert_int_equal(p->parks, 1);
	assert_string_not_equal(p->why, "");
}

static void one_short_probe_between_is_enough(void **state)
{
	struct world *w = *state;
	struct user *u = begin_in_use(w);

	for (int i = 0; i < 3; i++) {
		probe_takes(w, 0, SWOLLEN_US);
		probe_takes(w, 0, BASE_US);
		use(w, u);
	}
	assert_int_equal(w->paths[0]->state, PATH_ACTIVE);
	assert_int_equal(w->paths[0]->parks, 0);
}

/* A queue of our own says nothing about others. */
static void a_path_that_carries_something_is_not_parked(void **state)
{
	struct world *w = *state;
	struct user *u = begin_in_use(w);

	probe_takes(w, 0, SWOLLEN_US);
	await_probe(w, 0);
	w->paths[1]->is_blocked = true;
	user_sends(w, u, 100);
	w->paths[1]->is_blocked = false;
	assert_int_equal(w->paths[0]->segments, 1);
	probe_takes(w, 0, SWOLLEN_US);
	assert_int_equal(w->paths[0]->state, PATH_ACTIVE);
}

static void the_last_path_is_never_parked(void **state)
{
	struct world *w = *state;

	begin_in_use(w);
	park(w, 0);
	probe_takes(w, 1, SWOLLEN_US);
	probe_takes(w, 1, SWOLLEN_US);
	probe_takes(w, 1, SWOLLEN_US);
	assert_int_equal(w->paths[1]->state, PATH_ACTIVE);
}

static void a_parked_path_gets_nothing_new(void **state)
{
	struct world *w = *state;
	struct user *u = begin_in_use(w);

	park(w, 0);
	skip_sent(w);
	for (int i = 0; i < 4; i++) {
		user_sends(w, u, 100);
		assert_ptr_equal(expect_frame(w, FRAME_DATA, u->id)->path, w->paths[1]);
	}
	expect_nothing(w);
}

/* It is asked every 100 ms, idle or not, and carries again once its queue has shrunk. */
static void a_parked_path_is_taken_back(void **state)
{
	struct world *w = *state;
	struct user *u = begin_in_use(w);
	struct path *p = w->paths[0];
	uint64_t asked_us;

	park(w, 0);
	wait_ms(w, 2 * PROBE_USE_MS);
	asked_us = p->probe_sent_us;
	probe_takes(w, 0, SHRUNK_US + 1);
	assert_int_equal(p->state, PATH_PARKED);
	await_probe(w, 0);
	assert_int_equal(p->probe_sent_us - asked_us, PROBE_URGENT_MS * US_PER_MS);
	probe_takes(w, 0, SHRUNK_US);
	assert_int_equal(p->state, PATH_ACTIVE);
	assert_string_equal(p->why, "");
	skip_sent(w);
	user_sends(w, u, 100);
	user_sends(w, u, 100);
	assert_ptr_not_equal(expect_frame(w, FRAME_DATA, u->id)->path,
			     expect_frame(w, FRAME_DATA, u->id)->path);
}

/* One that is slow is better than none. */
static void a_parked_path_is_taken_back_when_the_others_stall(void **state)
{
	struct world *w = *state;
	struct user *u = begin_in_use(w);

	park(w, 0);
	tunnel_path_stalled(w->t, w->paths[1], true, w->now_us);
	assert_int_equal(w->paths[0]->state, PATH_ACTIVE);
	skip_sent(w);
	user_sends(w, u, 100);
	assert_ptr_equal(expect_frame(w, FRAME_DATA, u->id)->path, w->paths[0]);
}

static void a_parked_path_is_taken_back_when_the_others_are_lost(void **state)
{
	struct world *w = *state;
	struct user *u = begin_in_use(w);

	park(w, 0);
	skip_sent(w);
	path_lost(w, 1);
	assert_int_equal(w->paths[0]->state, PATH_ACTIVE);
	user_sends(w, u, 100);
	assert_ptr_equal(expect_frame(w, FRAME_DATA, u->id)->path, w->paths[0]);
}

static void a_parked_path_is_taken_back_when_the_others_are_drained(void **state)
{
	struct world *w = *state;
	struct user *u = begin_in_use(w);

	park(w, 0);
	skip_sent(w);
	tunnel_drain_path(w->t, w->paths[1]);
	run(w);
	assert_ptr_equal(expect_frame(w, FRAME_DRAIN, 0)->path, w->paths[1]);
	assert_int_equal(w->paths[0]->state, PATH_ACTIVE);
	user_sends(w, u, 100);
	assert_ptr_equal(expect_frame(w, FRAME_DATA, u->id)->path, w->paths[0]);
}

/* ---- when probes go out ---- */

/* Once a second while it is idle beside others that are used: that is two times here. */
static void an_idle_path_is_probed_while_the_tunnel_is_used(void **state)
{
	struct world *w = *state;

	begin_in_use(w);
	for (int i = 0; i < 2; i++) {
		uint64_t asked_us = w->paths[0]->probe_sent_us;

		await_probe(w, 0);
		assert_int_equal(w->paths[0]->probe_sent_us - asked_us, PROBE_IDLE_MS * US_PER_MS);
		probe_takes(w, 0, BASE_US);
		probe_takes(w, 1, BASE_US);
	}
	wait_ms(w, 2 * PROBE_USE_MS);
	assert_int_equal(w->probes[0], 0);
	assert_int_equal(w->probes[1], 0);
}

static void a_probe_that_is_lost_is_sent_again(void **state)
{
	struct world *w = *state;
	uint64_t lost;

	begin_in_use(w);
	await_probe(w, 0);
	lost = w->probes[0];
	wait_ms(w, PROBE_LOST_MS - 1);
	assert_int_equal(w->probes[0], lost);
	wait_ms(w, 1);
	assert_int_not_equal(w->probes[0], lost);
	lost = w->probes[0];
	wait_ms(w, 2 * PROBE_LOST_MS - 1); /* twice as long: it may be a long way */
	assert_int_equal(w->probes[0], lost);
	wait_ms(w, 1);
	assert_int_not_equal(w->probes[0], lost);
	w->probes[0] = lost; /* the late one says nothing any more */
	w->now_us += SWOLLEN_US;
	probe_back(w, 0);
	assert_true(w->paths[0]->probe_token != 0);
	assert_int_equal(w->paths[0]->probe_rtt_us, BASE_US);
}

/* What answers takes the fastest path, which may be dead without anybody knowing: so the one that
 * the probe came by as well. */
static void an_answer_comes_back_the_same_way_too(void **state)
{
	struct world *w = *state;
	struct frame probe = {.type = FRAME_PROBE, .len = sizeof(uint64_t)};
	const uint8_t token[sizeof(uint64_t)] = {1};

	begin_in_use(w);
	tunnel_path_stalled(w->t, w->paths[1], true, w->now_us);
	skip_sent(w);
	assert_int_equal(receive(w, 1, &probe, token, NULL), 0);
	assert_ptr_equal(expect_frame(w, FRAME_PROBED, 0)->path, w->paths[0]);
	assert_ptr_equal(expect_frame(w, FRAME_PROBED, 0)->path, w->paths[1]);
	expect_nothing(w);
	assert_int_equal(receive(w, 0, &probe, token, NULL), 0);
	assert_ptr_equal(expect_frame(w, FRAME_PROBED, 0)->path, w->paths[0]);
	expect_nothing(w);
}

/* ---- prepared paths ---- */

/* Path 1 is up for a topology that is not in force yet. */
static void prepare(struct world *w)
{
	path_lost(w, 1);
	w->probes[1] = 0;
	w->paths[1] = tunnel_add_path(w->t, 1, FRAME_PAYLOAD_DEFAULT, NULL);
	tunnel_hold_path(w->paths[1]);
	run(w);
	skip_sent(w);
}

/* Neither bytes nor ACKs, RESETs or probes: what follows goes on path 0. */
static void nothing_is_sent_on_a_prepared_path(void **state)
{
	struct world *w = *state;
	struct user *u = begin_in_use(w);

	prepare(w);
	assert_string_not_equal(w->paths[1]->why, "");
	user_sends(w, u, 10 * PATH_FRAME_FIRST_BYTES);
	assert_int_equal(receive_data(w, 0, u->id, 0, 100, 0), 0);
	user_resets(w, u, RESET_BY_PEER);
	wait_ms(w, 2 * PROBE_IDLE_MS);
	assert_true(w->sent_count > w->seen);
	for (; w->seen < w->sent_count; w->seen++)
		assert_ptr_equal(w->sent[w->seen].path, w->paths[0]);
	assert_int_equal(w->probes[1], 0);
	assert_int_equal(w->paths[1]->state, PATH_PREPARED);
}

/* The other end may have gone over already: what it sends there is taken, and answered elsewhere.
 */
static void what_comes_on_a_prepared_path_is_taken(void **state)
{
	struct world *w = *state;
	struct user *u = begin_in_use(w);

	prepare(w);
	assert_int_equal(receive_data(w, 1, u->id, 0, 100, FRAME_FLAG_FIN), 0);
	expect_ack(w, u->id, 101);
	assert_ptr_equal(w->sent[w->seen - 1].path, w->paths[0]);
	user_takes(w, u, 100);
	assert_int_equal(w->paths[1]->state, PATH_PREPARED);
}

/* Nor when there is no other: what is prepared is not in force. */
static void a_prepared_path_is_no_way_out(void **state)
{
	struct world *w = *state;
	struct frame probe = {.type = FRAME_PROBE, .len = sizeof(uint64_t)};
	const uint8_t token[sizeof(uint64_t)] = {1};
	struct user *u = begin_in_use(w);

	prepare(w);
	tunnel_path_stalled(w->t, w->paths[0], true, w->now_us);
	user_sends(w, u, 100);
	assert_int_equal(receive(w, 1, &probe, token, NULL), 0);
	w->paths[0]->is_blocked = true;
	wait_ms(w, 1000);
	expect_nothing(w);
}

static void a_prepared_path_that_is_lost_costs_nothing(void **state)
{
	struct world *w = *state;
	struct user *u = begin_in_use(w);

	prepare(w);
	user_sends(w, u, 100);
	skip_sent(w);
	tunnel_path_stalled(w->t, w->paths[1], true, w->now_us);
	assert_int_equal(w->paths[1]->state, PATH_PREPARED);
	assert_int_equal(w->paths[1]->stalls, 0);
	path_lost(w, 1);
	expect_nothing(w);
}

/* From then on it starts level with the others, and finds out how far it is. */
static void a_prepared_path_that_is_used_carries_its_share(void **state)
{
	struct world *w = *state;
	struct user *u = begin_in_use(w);
	unsigned int on_it = 0;

	prepare(w);
	user_sends(w, u, 10000); /* the other is ahead, and not to be made up for */
	assert_int_equal(receive_ack(w, 0, u->id, u->read_bytes, WORLD_CREDIT), 0);
	tunnel_use_path(w->t, w->paths[1]);
	run(w);
	assert_int_equal(w->paths[1]->state, PATH_ACTIVE);
	assert_string_equal(w->paths[1]->why, "");
	probe_takes(w, 1, BASE_US);
	skip_sent(w);
	for (int i = 0; i < 10; i++) {
		user_sends(w, u, 100);
		on_it += expect_frame(w, FRAME_DATA, u->id)->path == w->paths[1];
	}
	assert_int_equal(on_it, 5);
}

/* An acceptor goes over when the initiator does: with the first frame that comes on it. */
static void the_acceptor_uses_it_when_something_comes(void **state)
{
	struct world *w = *state;
	struct user *u = accept_session(w, 1);

	prepare(w);
	assert_int_equal(receive_data(w, 1, 1, 0, 100, 0), 0);
	assert_int_equal(w->paths[1]->state, PATH_ACTIVE);
	skip_sent(w);
	w->paths[0]->is_blocked = true;
	user_sends(w, u, 100);
	assert_ptr_equal(expect_frame(w, FRAME_DATA, 1)->path, w->paths[1]);
}

/* What a proxy on the way says is no word of the initiator's. */
static void an_event_does_not_put_it_in_force(void **state)
{
	static const enum frame_type types[] = {FRAME_PATH_LOST, FRAME_PATH_STALLED,
						FRAME_PATH_BACK};
	struct world *w = *state;

	prepare(w);
	for (uint8_t i = 0; i < 3; i++) {
		struct frame head = {.type = (uint8_t)types[i], .len = sizeof(uint64_t)};
		const uint8_t id[sizeof(uint64_t)] = {[7] = 1 + i};

		assert_int_equal(receive(w, 1, &head, id, NULL), 0);
		assert_int_equal(w->paths[1]->state, PATH_PREPARED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		initiator_test(a_path_is_parked_when_its_queue_has_grown),
		initiator_test(one_short_probe_between_is_enough),
		initiator_test(a_path_that_carries_something_is_not_parked),
		initiator_test(the_last_path_is_never_parked),
		initiator_test(a_parked_path_gets_nothing_new),
		initiator_test(a_parked_path_is_taken_back),
		initiator_test(a_parked_path_is_taken_back_when_the_others_stall),
		initiator_test(a_parked_path_is_taken_back_when_the_others_are_lost),
		initiator_test(a_parked_path_is_taken_back_when_the_others_are_drained),
		initiator_test(an_idle_path_is_probed_while_the_tunnel_is_used),
		initiator_test(a_probe_that_is_lost_is_sent_again),
		initiator_test(an_answer_comes_back_the_same_way_too),
		initiator_test(nothing_is_sent_on_a_prepared_path),
		initiator_test(what_comes_on_a_prepared_path_is_taken),
		initiator_test(a_prepared_path_is_no_way_out),
		initiator_test(a_prepared_path_that_is_lost_costs_nothing),
		initiator_test(a_prepared_path_that_is_used_carries_its_share),
		acceptor_test(the_acceptor_uses_it_when_something_comes),
		acceptor_test(an_event_does_not_put_it_in_force),
	};

	return cmocka_run_group_tests_name("tunnel_probe", tests, NULL, NULL);
}
