/* Bytes in flight: a list of segments per direction, each with the time at which it arrives. */
#include "vlink_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define READ_CHUNK_MIN 1024

static void arrive(void *arg);

struct vlink *vlink_new(struct world *w, struct vlinks *all, const struct vlink_config *config)
{
	struct vlink *l = calloc(1, sizeof(*l));

	if (!l)
		abort();
	l->world = w;
	l->config = *config;
	l->go_on_timer = (struct world_timer){.fire = vlink_go_on, .arg = l};
	for (int i = 0; i < 2; i++) {
		l->side[i].link = l;
		l->side[i].dead_timer = (struct world_timer){.fire = vlink_die, .arg = &l->side[i]};
		l->side[i].stall_timer =
			(struct world_timer){.fire = vlink_see_stall, .arg = &l->side[i]};
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

void vlink_await_arrival(struct world *w, struct vpipe *p)
{
	world_timer_set(w, &p->arrival, vlink_arrival_us(p, p->first));
}

/* ---- sending ---- */

static void trace_frame(struct vside *s, const struct frame *f)
{
	world_trace(s->link->world, "%s > %s %s%s session %llu offset %llu len %u", s->name,
		    vlink_peer(s)->name, frame_type_name(f->type),
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
	struct vpipe *p = vlink_pipe(s);
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
	if (!p->arrival.place && !vlink_peer(s)->is_paused)
		vlink_await_arrival(w, p);
	vlink_watch(s);
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

	while (len < want && p->first && vlink_arrival_us(p, p->first) <= now_us) {
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
	struct vpipe *p = vlink_pipe(vlink_peer(s));

	l->busy++;
	while (!s->is_closed && !s->is_paused && p->first &&
	       vlink_arrival_us(p, p->first) <= l->world->now_us)
		deliver(s, read_some(s, p));
	if (!s->is_closed)
		s->ops->batch(s);
	if (!s->is_closed && !s->is_paused && p->first)
		vlink_await_arrival(l->world, p);
	if (l->is_finished && !p->first)
		vlink_see_death(s, l->world->now_us + 1);
	make_room(vlink_peer(s), p);
	l->busy--;
	vlink_free_if_unused(l);
}

void vlink_pause(struct vside *s, bool is_paused)
{
	struct vpipe *p = vlink_pipe(vlink_peer(s));

	s->is_paused = is_paused;
	if (is_paused)
		world_timer_stop(s->link->world, &p->arrival);
	else if (p->first)
		vlink_await_arrival(s->link->world, p);
}
