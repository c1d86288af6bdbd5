/* Bytes in flight: a list of segments per direction, each with the time at which it arrives. */
#include "vlink.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* How long it takes until a side sees that its connection is dead. */
#define DEATH_SEEN_US_MAX (100 * US_PER_MS)
#define READ_CHUNK_MIN 1024

static void arrive(void *arg);
static void go_on(void *arg);
static void see_stall(void *arg);
static void die(void *arg);

static struct vside *peer_of(struct vside *s)
{
	return &s->link->side[s == &s->link->side[0]];
}

static struct vpipe *pipe_from(struct vside *s)
{
	return &s->link->pipe[s == &s->link->side[1]];
}

struct vlink *vlink_new(struct world *w, struct vlinks *all, const struct vlink_config *config)
{
	struct vlink *l = calloc(1, sizeof(*l));

	if (!l)
		abort();
	l->world = w;
	l->config = *config;
	l->go_on_timer = (struct world_timer){.fire = go_on, .arg = l};
	for (int i = 0; i < 2; i++) {
		l->side[i].link = l;
		l->side[i].dead_timer = (struct world_timer){.fire = die, .arg = &l->side[i]};
		l->side[i].stall_timer =
			(struct world_timer){.fire = see_stall, .arg = &l->side[i]};
		l->pipe[i].arrival = (struct world_timer){.fire = arrive, .arg = &l->side[!i]};
		deframer_init(&l->side[i].deframer, FRAME_PAYLOAD_DEFAULT);
	}
	l->next = all->first;
	if (l->next)
		l->next->prev = l;
	all->first = l;
	all->count++;
	l->head = &all->first;
	l->count = &all->count;
	return l;
}

void vlink_attach(struct vside *s, const struct vside_ops *ops, void *user, const char *name,
		  struct chunk_pool *pool)
{
	s->ops = ops;
	s->user = user;
	s->name = name;
	s->pool = pool;
}

static uint64_t arrival_us(const struct vpipe *p, const struct vseg *seg)
{
	return seg->arrives_us > p->hold_us ? seg->arrives_us : p->hold_us;
}

static void await_arrival(struct world *w, struct vpipe *p)
{
	world_timer_set(w, &p->arrival, arrival_us(p, p->first));
}

/* ---- the end ---- */

static void pipe_clear(struct world *w, struct vpipe *p)
{
	while (p->first) {
		struct vseg *seg = p->first;

		p->first = seg->next;
		free(seg);
	}
	p->last = NULL;
	p->bytes = 0;
	world_timer_stop(w, &p->arrival);
}

static void take_out(struct vlink *l)
{
	if (!l->head)
		return;
	if (l->prev)
		l->prev->next = l->next;
	else
		*l->head = l->next;
	if (l->next)
		l->next->prev = l->prev;
	(*l->count)--;
	l->head = NULL;
}

static void free_if_unused(struct vlink *l)
{
	if (l->busy || !l->side[0].is_closed || !l->side[1].is_closed)
		return;
	take_out(l);
	world_timer_stop(l->world, &l->go_on_timer);
	for (int i = 0; i < 2; i++)
		pipe_clear(l->world, &l->pipe[i]);
	free(l);
}

static void die(void *arg)
{
	struct vside *s = arg;
	struct vlink *l = s->link;

	world_trace(l->world, "%s sees %s-%s dead", s->name, l->side[0].name, l->side[1].name);
	l->busy++;
	s->ops->dead(s);
	assert(s->is_closed);
	l->busy--;
	free_if_unused(l);
}

static void see_death(struct vside *s, uint64_t at_us)
{
	if (!s->is_closed && !s->dead_timer.place)
		world_timer_set(s->link->world, &s->dead_timer, at_us);
}

void vlink_kill(struct vlink *l)
{
	struct world *w = l->world;

	if (!l->is_dead)
		world_trace(w, "%s-%s breaks", l->side[0].name, l->side[1].name);
	l->is_dead = true;
	take_out(l);
	world_timer_stop(w, &l->go_on_timer);
	for (int i = 0; i < 2; i++) {
		world_timer_stop(w, &l->side[i].stall_timer);
		pipe_clear(w, &l->pipe[i]);
		see_death(&l->side[i], w->now_us + world_scale(w, 0, DEATH_SEEN_US_MAX));
	}
}

void vlink_close(struct vside *s)
{
	struct vlink *l = s->link;
	struct vpipe *out = pipe_from(s);

	if (s->is_closed)
		return;
	s->is_closed = true;
	chunk_unref(s->read);
	s->read = NULL;
	world_timer_stop(l->world, &s->dead_timer);
	world_timer_stop(l->world, &s->stall_timer);
	if (!l->is_dead && world_chance(l->world, 50)) {
		uint64_t last_us = out->last ? arrival_us(out, out->last) : l->world->now_us;

		l->is_dead = true;
		take_out(l);
		see_death(peer_of(s), last_us + l->config.delay_us);
	} else if (!l->is_dead) {
		vlink_kill(l);
	}
	free_if_unused(l);
}

/* ---- stalls ---- */

static void set_stalled(struct vside *s, bool is_stalled)
{
	struct vlink *l = s->link;

	if (s->is_stalled == is_stalled || s->is_closed)
		return;
	world_trace(l->world, "%s sees %s-%s %s", s->name, l->side[0].name, l->side[1].name,
		    is_stalled ? "stalled" : "go on");
	s->is_stalled = is_stalled;
	if (s->ops->stalled)
		s->ops->stalled(s, is_stalled);
}

static void see_stall(void *arg)
{
	struct vside *s = arg;
	struct vlink *l = s->link;

	l->busy++;
	set_stalled(s, true);
	l->busy--;
	free_if_unused(l);
}

/* The side has something outstanding: it will see a stall that lasts. */
static void watch(struct vside *s)
{
	struct world *w = s->link->world;

	if (s->link->is_stalled && !s->is_stalled && !s->stall_timer.place)
		world_timer_set(w, &s->stall_timer, w->now_us + VLINK_STALL_SEEN_US);
}

static void go_on(void *arg)
{
	struct vlink *l = arg;

	l->is_stalled = false;
	if (l->is_fatal) {
		vlink_kill(l);
		return;
	}
	l->busy++;
	for (int i = 0; i < 2; i++) {
		world_timer_stop(l->world, &l->side[i].stall_timer);
		set_stalled(&l->side[i], false);
	}
	l->busy--;
	free_if_unused(l);
}

void vlink_stall(struct vlink *l, unsigned directions, uint64_t until_us, bool is_fatal)
{
	struct world *w = l->world;

	if (l->is_dead)
		return;
	world_trace(w, "%s-%s stalls until %.6f s%s", l->side[0].name, l->side[1].name,
		    (double)until_us / US_PER_S, directions == 3 ? "" : ", one way");
	l->is_stalled = true;
	l->is_fatal |= is_fatal;
	world_timer_set(w, &l->go_on_timer, until_us);
	for (int i = 0; i < 2; i++) {
		struct vpipe *p = &l->pipe[i];

		if (directions & 1u << i)
			p->hold_us = until_us;
		if (p->arrival.place)
			await_arrival(w, p);
		if (p->first && !l->side[i].is_closed)
			watch(&l->side[i]);
	}
}

/* ---- sending ---- */

static void trace_frame(struct vside *s, const struct frame *f)
{
	world_trace(s->link->world, "%s > %s %s%s session %llu offset %llu len %u", s->name,
		    peer_of(s)->name, frame_type_name(f->type),
		    !f->flags		    ? ""
		    : f->type == FRAME_DATA ? " FIN"
					    : " ANSWER",
		    (unsigned long long)f->session, (unsigned long long)f->offset, f->len);
}

static struct vseg *encode(const struct frame *head, const uint8_t *payload)
{
	struct vseg *seg = malloc(sizeof(*seg) + FRAME_HEADER_BYTES + head->len);

	if (!seg)
		abort();
	*seg = (struct vseg){.len = FRAME_HEADER_BYTES + head->len};
	frame_encode(head, seg->bytes);
	if (head->len)
		memcpy(seg->bytes + FRAME_HEADER_BYTES, payload, head->len);
	return seg;
}

bool vlink_send(struct vside *s, const struct frame *head, const uint8_t *control,
		const struct slice *data)
{
	struct vlink *l = s->link;
	struct world *w = l->world;
	struct vpipe *p = pipe_from(s);
	struct vseg *seg;

	assert(!s->is_closed);
	if (s->is_blocked)
		world_fail(w, "%s sends on a link that is full", s->name);
	trace_frame(s, head);
	if (l->is_dead)
		return true; /* as a kernel that does not know it yet */
	seg = encode(head, head->type == FRAME_DATA && data ? data->at : control);
	p->busy_us = (p->busy_us > w->now_us ? p->busy_us : w->now_us) +
		     seg->len * US_PER_S / l->config.rate_Bps;
	seg->arrives_us = p->busy_us + l->config.delay_us + 1;
	if (p->last)
		p->last->next = seg;
	else
		p->first = seg;
	p->last = seg;
	p->bytes += seg->len;
	if (!p->arrival.place && !peer_of(s)->is_paused)
		await_arrival(w, p);
	watch(s);
	s->is_blocked = p->bytes >= l->config.buffer_bytes;
	return !s->is_blocked;
}

/* ---- arriving ---- */

static struct slice read_room(struct vside *s)
{
	struct chunk *c = s->read;

	if (c && c->refs == 1)
		c->fill = 0;
	if (!c || c->size - c->fill < READ_CHUNK_MIN) {
		chunk_unref(c);
		c = s->read = chunk_new(s->pool, CHUNK_LARGE);
	}
	return (struct slice){.chunk = c, .at = c->bytes + c->fill, .len = c->size - c->fill};
}

/* As read(2): up to `room` bytes of what has arrived. */
static struct slice read_some(struct vside *s, struct vpipe *p)
{
	uint64_t now_us = s->link->world->now_us;
	struct slice in = read_room(s);
	size_t want = world_scale(s->link->world, 1, in.len - 1), len = 0;

	while (len < want && p->first && arrival_us(p, p->first) <= now_us) {
		struct vseg *seg = p->first;
		size_t part = seg->len - seg->used < want - len ? seg->len - seg->used : want - len;

		memcpy(in.at + len, seg->bytes + seg->used, part);
		seg->used += part;
		len += part;
		if (seg->used < seg->len)
			continue;
		p->first = seg->next;
		if (!p->first)
			p->last = NULL;
		free(seg);
	}
	p->bytes -= len;
	in.chunk->fill += (uint32_t)len;
	in.len = (uint32_t)len;
	return in;
}

static void deliver(struct vside *s, struct slice in)
{
	/* The chunk may lose its other references while frames are handed out. */
	struct chunk *hold = chunk_ref(in.chunk);
	struct deframed f;
	int r = 0;

	while (!s->is_closed && (r = deframer_next(&s->deframer, &in, &f)) > 0)
		s->ops->frame(s, &f);
	if (r < 0)
		world_fail(s->link->world, "%s cannot cut its input into frames", s->name);
	chunk_unref(hold);
}

static void make_room(struct vside *sender, struct vpipe *p)
{
	if (sender->is_closed || !sender->is_blocked ||
	    p->bytes > sender->link->config.buffer_bytes / 2)
		return;
	sender->is_blocked = false;
	sender->ops->room(sender);
}

static void arrive(void *arg)
{
	struct vside *s = arg;
	struct vlink *l = s->link;
	struct vpipe *p = pipe_from(peer_of(s));

	l->busy++;
	while (!s->is_closed && !s->is_paused && p->first &&
	       arrival_us(p, p->first) <= l->world->now_us)
		deliver(s, read_some(s, p));
	if (!s->is_closed)
		s->ops->batch(s);
	if (!s->is_closed && !s->is_paused && p->first)
		await_arrival(l->world, p);
	make_room(peer_of(s), p);
	l->busy--;
	free_if_unused(l);
}

void vlink_pause(struct vside *s, bool is_paused)
{
	struct vpipe *p = pipe_from(peer_of(s));

	s->is_paused = is_paused;
	if (is_paused)
		world_timer_stop(s->link->world, &p->arrival);
	else if (p->first)
		await_arrival(s->link->world, p);
}
