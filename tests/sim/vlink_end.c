/* How a virtual link stalls, breaks and ends, and when its sides see it. */
#include "vlink_internal.h"

#include <assert.h>
#include <stdlib.h>

/* How long it takes until a side sees that its connection is dead. */
#define DEATH_SEEN_US_MAX (100 * US_PER_MS)

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

void vlink_free_if_unused(struct vlink *l)
{
	if (l->busy || !l->side[0].is_closed || !l->side[1].is_closed)
		return;
	take_out(l);
	world_timer_stop(l->world, &l->go_on_timer);
	for (int i = 0; i < 2; i++)
		pipe_clear(l->world, &l->pipe[i]);
	free(l);
}

void vlink_die(void *arg)
{
	struct vside *s = arg;
	struct vlink *l = s->link;

	world_trace(l->world, "%s sees %s-%s dead", s->name, l->side[0].name, l->side[1].name);
	l->busy++;
	s->has_ended = l->is_finished;
	s->ops->dead(s);
	assert(s->is_closed);
	l->busy--;
	vlink_free_if_unused(l);
}

void vlink_see_death(struct vside *s, uint64_t at_us)
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
	l->is_finished = false;
	take_out(l);
	world_timer_stop(w, &l->go_on_timer);
	for (int i = 0; i < 2; i++) {
		world_timer_stop(w, &l->side[i].stall_timer);
		l->side[i].undelivered_bytes += l->pipe[i].bytes;
		pipe_clear(w, &l->pipe[i]);
		vlink_see_death(&l->side[i], w->now_us + world_scale(w, 0, DEATH_SEEN_US_MAX));
	}
}

static void let_go(struct vside *s)
{
	struct world *w = s->link->world;

	s->is_closed = true;
	chunk_unref(s->read);
	s->read = NULL;
	world_timer_stop(w, &s->dead_timer);
	world_timer_stop(w, &s->stall_timer);
}

void vlink_close(struct vside *s)
{
	struct vlink *l = s->link;
	struct vpipe *out = vlink_pipe(s);

	if (s->is_closed)
		return;
	let_go(s);
	if (!l->is_dead && world_chance(l->world, 50)) {
		uint64_t last_us = out->last ? vlink_arrival_us(out, out->last) : l->world->now_us;

		l->is_dead = true;
		take_out(l);
		vlink_see_death(vlink_peer(s), last_us + l->config.delay_us);
	} else if (!l->is_dead) {
		vlink_kill(l);
	}
	vlink_free_if_unused(l);
}

/* The end comes behind all that was sent; while that is not read, it is not seen either. */
void vlink_finish(struct vside *s)
{
	struct vlink *l = s->link;
	struct vpipe *out = vlink_pipe(s);
	uint64_t at_us = l->world->now_us + l->config.delay_us;

	if (s->is_closed)
		return;
	let_go(s);
	if (!l->is_dead) {
		world_trace(l->world, "%s finishes %s-%s", s->name, l->side[0].name,
			    l->side[1].name);
		l->is_dead = l->is_finished = true;
		take_out(l);
		if (!out->first)
			vlink_see_death(vlink_peer(s), at_us > out->hold_us ? at_us : out->hold_us);
	}
	vlink_free_if_unused(l);
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

void vlink_see_stall(void *arg)
{
	struct vside *s = arg;
	struct vlink *l = s->link;

	l->busy++;
	set_stalled(s, true);
	l->busy--;
	vlink_free_if_unused(l);
}

void vlink_watch(struct vside *s)
{
	struct world *w = s->link->world;

	if (s->link->is_stalled && !s->is_stalled && !s->stall_timer.place)
		world_timer_set(w, &s->stall_timer, w->now_us + VLINK_STALL_SEEN_US);
}

void vlink_go_on(void *arg)
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
	vlink_free_if_unused(l);
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
			vlink_await_arrival(w, p);
		if (p->first && !l->side[i].is_closed)
			vlink_watch(&l->side[i]);
	}
}
