/* A relay between hops that only count and keep what they are given: what goes straight through,
 * what waits and in which order, who is paused, who hears of a dead hop, and that nothing is
 * left behind. */
#include "common/flow/relay.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SENT_MAX 4096

struct sent {
	struct frame head;
	uint64_t event;
	uint8_t first; /* byte of the payload */
};

/* What the environment knows of a hop. */
struct end {
	struct sent sent[SENT_MAX];
	size_t count;
	size_t room; /* frames until it is blocked */
	bool is_paused, is_closed;
	bool has_drain;	  /* DRAIN was sent on it */
	bool is_answered; /* ops->drained */
	struct hop *hop;
};

struct fixture {
	struct chunk_pool chunks;
	struct slab items;
	struct relay *relay;
	struct end ends[4]; /* two up, two down */
};

static void on_send(struct hop *h, const struct frame *head, const uint8_t *control,
		    const struct slice *data)
{
	struct end *e = h->user;
	struct sent *s = &e->sent[e->count++];

	assert_false(h->is_blocked);
	assert_false(e->has_drain); /* it is the last frame */
	e->has_drain = head->type == FRAME_DRAIN;
	assert_true(e->count < SENT_MAX);
	*s = (struct sent){.head = *head};
	if (head->len)
		s->first = head->type == FRAME_DATA ? data->at[0] : control[0];
	if (head->type >= FRAME_PATH_LOST && head->type <= FRAME_PATH_BACK)
		assert_int_equal(u64_decode(control, head->len, &s->event), 0);
	if (--e->room == 0)
		h->is_blocked = true;
}

static void on_pause(struct hop *h, bool is_paused)
{
	struct end *e = h->user;

	assert_int_not_equal(e->is_paused, is_paused);
	assert_int_equal(h->is_paused, is_paused);
	e->is_paused = is_paused;
}

static void on_close(struct hop *h, const char *why)
{
	struct end *e = h->user;

	assert_non_null(why);
	e->is_closed = true;
	e->hop = NULL;
}

static void on_drained(struct hop *h)
{
	struct end *e = h->user;

	assert_false(e->is_answered);
	e->is_answered = true;
}

static const struct relay_ops ops = {
	.send = on_send,
	.pause = on_pause,
	.close = on_close,
	.drained = on_drained,
};

enum { UP0, UP1, DOWN0, DOWN1 };

static void add(struct fixture *f, int which, uint32_t weight, size_t room)
{
	struct end *e = &f->ends[which];

	*e = (struct end){.room = room};
	e->hop = relay_add_hop(f->relay, which <= UP1 ? HOP_UP : HOP_DOWN, weight, e);
	e->hop->is_blocked = room == 0;
	e->is_paused = e->hop->is_paused;
}

static void give_room(struct fixture *f, int which, size_t room)
{
	f->ends[which].room = room;
	f->ends[which].hop->is_blocked = false;
	relay_run(f->relay);
}

static void lose(struct fixture *f, int which)
{
	struct hop *h = f->ends[which].hop;

	f->ends[which].hop = NULL;
	relay_remove_hop(f->relay, h);
	relay_run(f->relay);
}

static void retire(struct fixture *f, int which)
{
	struct hop *h = f->ends[which].hop;

	f->ends[which].hop = NULL;
	relay_retire_hop(f->relay, h);
	relay_run(f->relay);
}

static void stall(struct fixture *f, int which, bool is_stalled)
{
	relay_set_stalled(f->relay, f->ends[which].hop, is_stalled);
	relay_run(f->relay);
}

static void drain(struct fixture *f, int which)
{
	static const struct frame head = {.type = FRAME_DRAIN};

	relay_receive(f->relay, f->ends[which].hop, &head, NULL, NULL);
	relay_run(f->relay);
}

/* `len` bytes of DATA arrive, all of them `fill`. */
static void data(struct fixture *f, int from, uint64_t offset, uint32_t len, uint8_t fill)
{
	struct chunk *c = chunk_new(&f->chunks, len ? len : 1);
	struct slice s = {.chunk = c, .at = c->bytes, .len = len};
	struct frame head = {.type = FRAME_DATA, .session = 1, .offset = offset, .len = len};

	memset(c->bytes, fill, len);
	relay_receive(f->relay, f->ends[from].hop, &head, NULL, &s);
	chunk_unref(c);
}

static void control(struct fixture *f, int from, uint8_t type, uint32_t len, uint8_t fill)
{
	uint8_t payload[FRAME_CONTROL_MAX];
	struct frame head = {.type = type, .session = 1, .len = len};

	memset(payload, fill, sizeof(payload));
	relay_receive(f->relay, f->ends[from].hop, &head, payload, NULL);
}

static void event(struct fixture *f, int from, uint64_t id)
{
	uint8_t payload[8];
	struct frame head = {.type = FRAME_PATH_LOST};

	head.len = (uint32_t)u64_encode(id, payload, sizeof(payload));
	relay_receive(f->relay, f->ends[from].hop, &head, payload, NULL);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	chunk_pool_init(&f->chunks, 64 * MIB);
	slab_init(&f->items, sizeof(struct relay_item));
	f->relay = relay_new(&ops, &f->chunks, &f->items, 1000, NULL);
	*state = f;
	return 0;
}

/* Whatever a test left queued must be given back. */
static int tear_down(void **state)
{
	struct fixture *f = *state;

	relay_free(f->relay);
	assert_int_equal(f->items.used, 0);
	assert_int_equal(f->chunks.used_bytes, 0);
	slab_done(&f->items);
	chunk_pool_done(&f->chunks);
	free(f);
	return 0;
}

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

/* ---- stalls ---- */

static void expect_event(const struct end *e, size_t index, uint8_t type)
{
	assert_true(index < e->count);
	assert_int_equal(e->sent[index].head.type, type);
}

static void a_stalled_hop_is_passed_over_and_told_of(void **state)
{
	struct fixture *f = *state;

	for (int which = UP0; which <= DOWN1; which++)
		add(f, which, 1, 100);
	stall(f, DOWN0, true);
	for (int which = UP0; which <= UP1; which++)
		expect_event(&f->ends[which], 0, FRAME_PATH_STALLED);
	assert_int_equal(f->ends[UP0].sent[0].event, f->ends[UP1].sent[0].event);
	for (int i = 0; i < 10; i++)
		data(f, UP0, 0, 5000, 1);
	assert_int_equal(f->ends[DOWN0].count, 0);
	assert_int_equal(f->ends[DOWN1].count, 10);
	stall(f, DOWN0, false);
	for (int which = UP0; which <= UP1; which++)
		expect_event(&f->ends[which], 1, FRAME_PATH_BACK);
	for (int i = 0; i < 10; i++)
		data(f, UP0, 0, 5000, 1);
	assert_true(f->ends[DOWN0].count > 0);
	assert_int_equal(f->ends[UP0].count, 2);
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
	assert_int_equal(f->ends[UP0].count, 1); /* nobody could make up for the second one */
	assert_int_equal(f->ends[DOWN0].count, 0);
	assert_int_equal(f->ends[DOWN1].count, 1);

	/* Now there is somebody who can. */
	stall(f, DOWN0, false);
	assert_int_equal(f->ends[DOWN0].count, 1);
	assert_int_equal(f->ends[DOWN0].sent[0].first, 2);
	assert_int_equal(f->ends[UP0].count, 3);
	expect_event(&f->ends[UP0], 1, FRAME_PATH_BACK);
	expect_event(&f->ends[UP0], 2, FRAME_PATH_STALLED);
	assert_int_not_equal(f->ends[UP0].sent[0].event, f->ends[UP0].sent[2].event);
}

static void a_hop_that_joins_makes_up_for_stalled_ones(void **state)
{
	struct fixture *f = *state;

	add(f, UP0, 1, 100);
	add(f, DOWN0, 1, 100);
	stall(f, DOWN0, true);
	data(f, UP0, 0, 10, 1);
	assert_int_equal(f->ends[UP0].count, 0);
	add(f, DOWN1, 1, 100);
	relay_run(f->relay);
	expect_event(&f->ends[UP0], 0, FRAME_PATH_STALLED);
	assert_int_equal(f->ends[DOWN1].count, 1);
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
	assert_int_equal(f->ends[UP0].count, 1);
	expect_event(&f->ends[UP0], 0, FRAME_PATH_LOST);
	assert_int_equal(f->ends[DOWN0].count, 1);
}

/* ---- draining ---- */

static void add_all(struct fixture *f, size_t room)
{
	for (int which = UP0; which <= DOWN1; which++)
		add(f, which, 1, room);
}

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
		test(a_stalled_hop_is_passed_over_and_told_of),
		test(a_stall_ends_the_burst),
		test(when_all_stall_frames_wait_for_the_first_that_goes_on),
		test(a_hop_that_joins_makes_up_for_stalled_ones),
		test(a_replacement_within_the_turn_is_a_loss_and_no_end),
		test(one_of_several_is_drained_at_once),
		test(a_blocked_hop_gets_its_drain_later),
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
