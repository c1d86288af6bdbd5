/* The subflows of a proxy come up, carry frames, stall, leave in order or die. */
#include "vhop.h"

#include "faults.h"
#include "vproxy.h"
#include "vrelay.h"

#include "common/base/limits.h"

#include <stdlib.h>

struct vside *vhop_side(const struct vhop *h)
{
	return h->to == HOP_UP ? h->side : h->dial.side;
}

/* ---- going ---- */

static void take_out(struct vhop *h)
{
	list_remove(&h->node);
	if (h->to == HOP_DOWN)
		h->relay->down_count--;
	free(h);
}

void vhop_free(struct vhop *h)
{
	if (h->to == HOP_UP)
		vlink_close(h->side);
	else
		vdial_stop(&h->dial);
	take_out(h);
}

static void drop(struct vhop *h, bool has_ended)
{
	struct hop *hop = h->hop;

	h->hop = NULL;
	if (!hop)
		return;
	if (has_ended && hop->in_done && hop->out_done)
		relay_retire_hop(h->relay->relay, hop);
	else
		relay_remove_hop(h->relay->relay, hop);
}

void vhop_lose(struct vhop *h, bool has_ended)
{
	drop(h, has_ended);
	if (h->to == HOP_UP || h->is_leaving)
		vhop_free(h);
	else
		vdial_again(&h->dial);
}

void vhop_finish(struct vhop *h)
{
	h->is_drained = false;
	drop(h, true);
	if (h->to == HOP_UP) {
		vlink_finish(h->side);
		take_out(h);
		return;
	}
	vdial_rest(&h->dial);
	if (h->is_leaving)
		take_out(h);
	else if (vrelay_is_needed(h->relay))
		vdial_wake(&h->dial);
}

/* ---- what an operator does ---- */

void vhop_leave(struct vhop *h)
{
	struct vrelay *r = h->relay;
	uint64_t wait_us = h->hop ? TOPO_WAIT_MS * US_PER_MS : 0;

	h->is_leaving = true;
	h->leave_until_us = h->proxy->node.world->now_us + wait_us;
	if (h->hop)
		relay_drain_hop(r->relay, h->hop);
	vrelay_start_tick(r);
	vrelay_run(r);
}

void vhop_set_weight(struct vhop *h, uint32_t weight)
{
	if (h->to == HOP_DOWN)
		h->dial.way.weight = weight;
	if (h->hop)
		h->hop->weight = weight;
}

/* ---- coming ---- */

void vhop_join(struct vhop *h, uint32_t weight)
{
	struct vside *s = vhop_side(h);

	h->hop = relay_add_hop(h->relay->relay, h->to, weight, h);
	h->is_drained = false;
	h->hop->is_blocked = s->is_blocked;
	if (s->is_stalled)
		relay_set_stalled(h->relay->relay, h->hop, true);
	vlink_pause(s, h->hop->is_paused);
}

static void on_hello(struct vhop *h, const struct deframed *f)
{
	struct hello hello = vdial_hello(f);

	h->relay = vrelay_find(h->proxy, &hello);
	list_remove(&h->node);
	list_push_back(&h->relay->ups, &h->node);
	vrelay_answer_ups(h->relay);
	/* They may rest, because the tunnel was about to end. */
	list_for_each(node, &h->relay->downs)
		vdial_wake(&container_of(node, struct vhop, node)->dial);
}

/* Nobody may speak to it while the tunnel ends. */
static bool is_too_late(const struct relay *r)
{
	return r->hop_count[HOP_UP] > 0 && !relay_has_way(r, HOP_UP);
}

static void on_hello_ack(struct vhop *h, const struct vside *s)
{
	struct vrelay *r = h->relay;

	if (s == h->dial.fresh) {
		drop(h, false);
		vdial_take_fresh(&h->dial);
	}
	if (h->is_leaving || is_too_late(r->relay)) {
		vhop_lose(h, false);
		vrelay_run(r);
		return;
	}
	vdial_up(&h->dial);
	vhop_join(h, h->dial.way.weight);
	vrelay_answer_ups(r);
}

/* ---- what links say ---- */

static void on_frame(struct vside *s, const struct deframed *f)
{
	struct vhop *h = s->user;
	struct vproxy *p = h->proxy;
	enum hop_side towards = h->to == HOP_UP ? HOP_DOWN : HOP_UP;

	if (p->is_doomed)
		return;
	if (f->head.type == FRAME_HELLO) {
		on_hello(h, f);
	} else if (f->head.type == FRAME_HELLO_ACK) {
		on_hello_ack(h, s);
	} else if (faults_on_frame(p->faults, p, towards, FAULT_BEFORE, &f->head)) {
		p->is_doomed = true;
	} else {
		if (h->hop->in_done)
			world_fail(p->node.world, "%s gets %s behind DRAIN", p->node.name,
				   frame_type_name(f->head.type));
		relay_receive(h->relay->relay, h->hop, &f->head, f->control, &f->data);
		vrelay_note_queues(h->relay);
	}
}

static void on_batch(struct vside *s)
{
	struct vhop *h = s->user;

	if (h->relay && !h->proxy->is_doomed)
		vrelay_run(h->relay);
}

static void on_room(struct vside *s)
{
	struct vhop *h = s->user;

	if (!h->hop || h->proxy->is_doomed)
		return;
	h->hop->is_blocked = false;
	vrelay_run(h->relay);
}

static void on_stalled(struct vside *s, bool is_stalled)
{
	struct vhop *h = s->user;

	if (s == h->dial.fresh || h->proxy->is_doomed)
		return;
	if (h->to == HOP_DOWN)
		vdial_set_stalled(&h->dial, is_stalled);
	if (!h->hop)
		return;
	relay_set_stalled(h->relay->relay, h->hop, is_stalled);
	vrelay_run(h->relay);
}

static void on_dead(struct vside *s)
{
	struct vhop *h = s->user;
	struct vrelay *r = h->relay;

	if (s == h->dial.fresh) {
		vdial_drop_fresh(&h->dial);
		return;
	}
	vhop_lose(h, s->has_ended);
	if (r)
		vrelay_run(r);
}

static const struct vside_ops hop_ops = {
	.frame = on_frame,
	.batch = on_batch,
	.room = on_room,
	.stalled = on_stalled,
	.dead = on_dead,
};

/* ---- beginning ---- */

static struct vhop *hop_new(struct vproxy *p, enum hop_side to)
{
	struct vhop *h = calloc(1, sizeof(*h));

	if (!h)
		abort();
	h->proxy = p;
	h->to = to;
	return h;
}

void vhop_accept(struct vproxy *p, struct vside *s)
{
	struct vhop *h = hop_new(p, HOP_UP);

	h->side = s;
	list_push_back(&p->strangers, &h->node);
	vlink_attach(s, &hop_ops, h, p->node.name, &p->chunks);
}

void vhop_dial(struct vrelay *r, const struct vway *way)
{
	struct vproxy *p = r->proxy;
	struct vhop *h = hop_new(p, HOP_DOWN);

	h->relay = r;
	list_push_back(&r->downs, &h->node);
	r->down_count++;
	vdial_start(&h->dial, &p->node, way, r->tunnel, &p->chunks, &hop_ops, h);
	h->dial.generation = r->generation;
}
