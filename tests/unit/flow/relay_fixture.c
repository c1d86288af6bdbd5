/* Four hops around a relay: see relay_fixture.h. */
#include "relay_fixture.h"

#include <stdlib.h>
#include <string.h>

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

void add(struct fixture *f, int which, uint32_t weight, size_t room)
{
	struct end *e = &f->ends[which];

	*e = (struct end){.room = room};
	e->hop = relay_add_hop(f->relay, which <= UP1 ? HOP_UP : HOP_DOWN, weight, e);
	e->hop->is_blocked = room == 0;
	e->is_paused = e->hop->is_paused;
}

void give_room(struct fixture *f, int which, size_t room)
{
	f->ends[which].room = room;
	f->ends[which].hop->is_blocked = false;
	relay_run(f->relay);
}

void lose(struct fixture *f, int which)
{
	struct hop *h = f->ends[which].hop;

	f->ends[which].hop = NULL;
	relay_remove_hop(f->relay, h);
	relay_run(f->relay);
}

void retire(struct fixture *f, int which)
{
	struct hop *h = f->ends[which].hop;

	f->ends[which].hop = NULL;
	relay_retire_hop(f->relay, h);
	relay_run(f->relay);
}

void stall(struct fixture *f, int which, bool is_stalled)
{
	relay_set_stalled(f->relay, f->ends[which].hop, is_stalled);
	relay_run(f->relay);
}

void drain(struct fixture *f, int which)
{
	static const struct frame head = {.type = FRAME_DRAIN};

	relay_receive(f->relay, f->ends[which].hop, &head, NULL, NULL);
	relay_run(f->relay);
}

void data(struct fixture *f, int from, uint64_t offset, uint32_t len, uint8_t fill)
{
	struct chunk *c = chunk_new(&f->chunks, len ? len : 1);
	struct slice s = {.chunk = c, .at = c->bytes, .len = len};
	struct frame head = {.type = FRAME_DATA, .session = 1, .offset = offset, .len = len};

	memset(c->bytes, fill, len);
	relay_receive(f->relay, f->ends[from].hop, &head, NULL, &s);
	chunk_unref(c);
}

void control(struct fixture *f, int from, uint8_t type, uint32_t len, uint8_t fill)
{
	uint8_t payload[FRAME_CONTROL_MAX];
	struct frame head = {.type = type, .session = 1, .len = len};

	memset(payload, fill, sizeof(payload));
	relay_receive(f->relay, f->ends[from].hop, &head, payload, NULL);
}

void event(struct fixture *f, int from, uint64_t id)
{
	event_of(f, from, FRAME_PATH_LOST, id);
}

void event_of(struct fixture *f, int from, enum frame_type type, uint64_t id)
{
	uint8_t payload[8];
	struct frame head = {.type = (uint8_t)type};

	head.len = (uint32_t)u64_encode(id, payload, sizeof(payload));
	relay_receive(f->relay, f->ends[from].hop, &head, payload, NULL);
}

int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	chunk_pool_init(&f->chunks, 64 * MIB);
	slab_init(&f->items, sizeof(struct relay_item));
	f->relay = relay_new(&ops, &f->chunks, &f->items, 1000, NULL);
	*state = f;
	return 0;
}

int tear_down(void **state)
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

void expect_event(const struct end *e, size_t index, uint8_t type)
{
	assert_true(index < e->count);
	assert_int_equal(e->sent[index].head.type, type);
}

void add_all(struct fixture *f, size_t room)
{
	for (int which = UP0; which <= DOWN1; which++)
		add(f, which, 1, room);
}
