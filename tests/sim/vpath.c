/* What ingress and egress do with the subflows of their tunnel. */
#include "vpath.h"

#include "vend.h"

#include "common/base/limits.h"

#include <stdlib.h>

static uint64_t now(const struct vpath *s)
{
	return s->end->node.world->now_us;
}

static struct vside *side_of(const struct vpath *s)
{
	return s->is_dialled ? s->dial.side : s->side;
}

static bool is_fresh(const struct vpath *s, const struct vside *side)
{
	return s->is_dialled && side == s->dial.fresh;
}

bool vpath_send(struct path *p, const struct frame *head, const uint8_t *control,
		const struct slice *data)
{
	const struct vpath *s = p->user;

	if ((p->has_sent_drain && head->type != FRAME_DRAIN) || p->state == PATH_PREPARED)
		world_fail(s->end->node.world, "%s sends %s on a path that is %s",
			   s->end->node.name, frame_type_name(head->type),
			   path_state_name(p->state));
	return vlink_send(side_of(s), head, control, data);
}

/* ---- up and down ---- */

/* Of a topology that is only prepared: the ingress uses it first. */
static bool is_ahead(const struct vpath *s)
{
	const struct vend *e = s->end;

	return s->is_dialled ? s->is_prepared : s->generation > e->generation && e->had_path;
}

static void path_up(struct vpath *s, uint32_t weight)
{
	struct vend *e = s->end;

	s->path = tunnel_add_path(e->tunnel, weight, FRAME_PAYLOAD_DEFAULT, s);
	if (!s->path) {
		world_fail(e->node.world, "%s has too many paths", e->node.name);
		return;
	}
	s->is_drained = false;
	s->path->is_blocked = side_of(s)->is_blocked;
	s->path->rank = s->rank;
	s->path->hop_base_rtt_us = 2 * side_of(s)->link->config.delay_us;
	if (is_ahead(s))
		tunnel_hold_path(s->path);
	e->had_path = true;
	vend_on_paths(e);
}

static void drop_path(struct vpath *s)
{
	if (s->path)
		tunnel_remove_path(s->end->tunnel, s->path, now(s));
	s->path = NULL;
	vend_on_paths(s->end);
}

static void free_path(struct vpath *s)
{
	list_remove(&s->node);
	free(s);
}

/* ---- frames ---- */

static void on_hello(struct vpath *s, const struct deframed *f)
{
	struct hello hello = vdial_hello(f);

	s->generation = hello.generation;
	vdial_answer(s->side);
	path_up(s, 1);
}

static void on_hello_ack(struct vpath *s, const struct vside *side)
{
	if (is_fresh(s, side)) {
		drop_path(s);
		vdial_take_fresh(&s->dial);
	}
	if (s->is_leaving) {
		vpath_close(s);
		return;
	}
	vdial_up(&s->dial);
	path_up(s, s->dial.way.weight);
}

static void take_frame(struct vpath *s, const struct deframed *f)
{
	struct vend *e = s->end;

	if (s->path->has_got_drain)
		world_fail(e->node.world, "%s gets %s behind DRAIN", e->node.name,
			   frame_type_name(f->head.type));
	/* The ingress has carried out its part of the change. */
	if (!s->is_dialled && s->generation > e->generation && f->head.type != FRAME_DRAIN &&
	    !frame_is_path_event(f->head.type))
		e->generation = s->generation;
	if (tunnel_receive(e->tunnel, s->path, &f->head, f->control, &f->data, now(s)) < 0)
		world_fail(e->node.world, "%s does not understand %s for session %llu",
			   e->node.name, frame_type_name(f->head.type),
			   (unsigned long long)f->head.session);
}

static void on_frame(struct vside *side, const struct deframed *f)
{
	struct vpath *s = side->user;

	if (s->end->is_closed)
		return;
	if (f->head.type == FRAME_HELLO)
		on_hello(s, f);
	else if (f->head.type == FRAME_HELLO_ACK)
		on_hello_ack(s, side);
	else
		take_frame(s, f);
}

static void on_batch(struct vside *side)
{
	vend_wake(((struct vpath *)side->user)->end);
}

static void on_room(struct vside *side)
{
	struct vpath *s = side->user;

	if (s->path)
		s->path->is_blocked = false;
	vend_wake(s->end);
}

static void on_stalled(struct vside *side, bool is_stalled)
{
	struct vpath *s = side->user;

	if (is_fresh(s, side))
		return;
	if (s->is_dialled)
		vdial_set_stalled(&s->dial, is_stalled);
	if (s->path)
		tunnel_path_stalled(s->end->tunnel, s->path, is_stalled, now(s));
	vend_wake(s->end);
}

static void on_dead(struct vside *side)
{
	struct vpath *s = side->user;

	if (is_fresh(s, side)) {
		vdial_drop_fresh(&s->dial);
		return;
	}
	if (s->path)
		tunnel_path_undelivered(s->path, side->undelivered_bytes);
	if (!s->is_dialled || s->is_leaving) {
		vpath_close(s);
		return;
	}
	drop_path(s);
	vdial_again(&s->dial);
}

static const struct vside_ops side_ops = {
	.frame = on_frame,
	.batch = on_batch,
	.room = on_room,
	.stalled = on_stalled,
	.dead = on_dead,
};

/* ---- beginning and end ---- */

static struct vpath *path_new(struct vend *e)
{
	struct vpath *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	s->end = e;
	list_push_back(&e->paths, &s->node);
	return s;
}

void vpath_dial(struct vend *e, const struct vway *way, bool is_prepared)
{
	struct vpath *s = path_new(e);

	s->is_dialled = true;
	s->is_prepared = is_prepared;
	s->rank = e->dials_seen++;
	vdial_start(&s->dial, &e->node, way, e->tunnel_index, &e->budget.chunks, &side_ops, s);
	vpath_set_generations(e);
}

void vpath_accept(struct vend *e, struct vside *side)
{
	struct vpath *s = path_new(e);

	s->side = side;
	vlink_attach(side, &side_ops, s, e->node.name, &e->budget.chunks);
}

void vpath_use(struct vpath *s)
{
	s->is_prepared = false;
	if (s->path)
		tunnel_use_path(s->end->tunnel, s->path);
	vend_wake(s->end);
}

void vpath_leave(struct vpath *s)
{
	s->is_leaving = true;
	s->leave_until_us = now(s) + TOPO_WAIT_MS * US_PER_MS;
	if (s->path)
		tunnel_drain_path(s->end->tunnel, s->path);
	vend_wake(s->end);
}

void vpath_set_generations(struct vend *e)
{
	list_for_each(node, &e->paths) {
		struct vpath *s = container_of(node, struct vpath, node);

		s->dial.generation = e->generation + s->is_prepared;
	}
}

void vpath_stop_dialling(struct vend *e)
{
	list_for_each(node, &e->paths) {
		struct vpath *s = container_of(node, struct vpath, node);

		if (s->is_dialled)
			vdial_stop(&s->dial);
	}
}

static void close_side(struct vpath *s)
{
	if (!s->is_drained)
		vlink_close(s->side);
	else
		vlink_finish(s->side);
}

void vpath_close(struct vpath *s)
{
	drop_path(s);
	if (!s->is_dialled) {
		close_side(s);
	} else {
		if (s->is_drained)
			vdial_rest(&s->dial);
		vdial_stop(&s->dial);
	}
	free_path(s);
}

void vpath_set_weight(struct vpath *s, uint32_t weight)
{
	if (s->is_dialled)
		s->dial.way.weight = weight;
	if (s->path)
		tunnel_set_weight(s->end->tunnel, s->path, weight);
}

size_t vpath_look_at_leaving(struct vend *e)
{
	size_t left = 0;

	list_for_each_safe(node, &e->paths) {
		struct vpath *s = container_of(node, struct vpath, node);

		if (!s->is_leaving)
			continue;
		if (s->is_drained || !s->path || now(s) >= s->leave_until_us)
			vpath_close(s);
		else
			left++;
	}
	return left;
}
