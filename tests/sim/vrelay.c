/* A tunnel at a proxy runs as long as somebody is there to be served. */
#include "vrelay.h"

#include "faults.h"
#include "vhop.h"
#include "vproxy.h"

#include "common/base/limits.h"

#include <stdlib.h>

static struct vhop *hop_of(struct list *node)
{
	return container_of(node, struct vhop, node);
}

/* ---- the relay's ops ---- */

static void on_send(struct hop *hop, const struct frame *head, const uint8_t *control,
		    const struct slice *data)
{
	struct vhop *h = hop->user;

	if (hop->out_done)
		world_fail(h->proxy->node.world, "%s sends %s behind DRAIN", h->proxy->node.name,
			   frame_type_name(head->type));
	hop->is_blocked = !vlink_send(vhop_side(h), head, control, data);
	if (faults_on_frame(h->proxy->faults, h->proxy, hop->side, FAULT_AFTER, head))
		h->proxy->is_doomed = true;
}

static void on_pause(struct hop *hop, bool is_paused)
{
	vlink_pause(vhop_side(hop->user), is_paused);
}

static void on_close(struct hop *hop, const char *why)
{
	struct vhop *h = hop->user;

	(void)why;
	h->hop = NULL;
	if (!h->relay->is_ending)
		vhop_lose(h, false);
}

/* Noted only: the relay is at work. */
static void on_drained(struct hop *hop)
{
	((struct vhop *)hop->user)->is_drained = true;
}

static const struct relay_ops relay_ops = {
	.send = on_send,
	.pause = on_pause,
	.close = on_close,
	.drained = on_drained,
};

/* ---- running ---- */

/* A hop that has no room still has something to write. */
static bool finish_drained(struct list *hops)
{
	bool did = false;

	list_for_each_safe(node, hops) {
		struct vhop *h = hop_of(node);

		if (!h->is_drained || !h->hop || h->hop->is_blocked)
			continue;
		vhop_finish(h);
		did = true;
	}
	return did;
}

bool vrelay_is_needed(const struct vrelay *r)
{
	list_for_each(node, &r->ups)
		if (!hop_of(node)->hop || !hop_of(node)->hop->in_done)
			return true;
	return false;
}

/* Its upstreams are gone in order, and a downstream is still to be told that nothing follows. */
static bool has_to_finish(const struct vrelay *r)
{
	list_for_each(node, &r->downs) {
		const struct hop *hop = hop_of(node)->hop;

		if (r->relay->is_over[HOP_UP] && hop && (!hop->out_done || hop->is_blocked))
			return true;
	}
	return false;
}

static void reap(struct vrelay *r)
{
	list_for_each_safe(node, &r->downs) {
		const struct hop *hop = hop_of(node)->hop;

		if (hop && hop->in_done && hop->out_done)
			vhop_finish(hop_of(node));
	}
	vrelay_end(r);
}

void vrelay_run(struct vrelay *r)
{
	bool did;

	do {
		relay_run(r->relay);
		did = finish_drained(&r->ups);
		did |= finish_drained(&r->downs);
	} while (did);
	if (list_is_empty(&r->ups) && !has_to_finish(r))
		reap(r);
}

void vrelay_answer_ups(struct vrelay *r)
{
	if (!relay_has_way(r->relay, HOP_DOWN))
		return;
	list_for_each(node, &r->ups) {
		struct vhop *h = hop_of(node);

		if (h->hop)
			continue;
		vdial_answer(h->side);
		vhop_join(h, 1);
	}
}

void vrelay_note_queues(const struct vrelay *r)
{
	struct vproxy *p = r->proxy;

	for (int side = HOP_UP; side <= HOP_DOWN; side++)
		if (r->relay->queue[side].bytes > p->queue_bytes_max)
			p->queue_bytes_max = r->relay->queue[side].bytes;
}

/* ---- hops that leave ---- */

/* True when some still do, and may. */
static bool cut_late(struct list *hops, uint64_t now_us)
{
	bool is_left = false;

	list_for_each_safe(node, hops) {
		struct vhop *h = hop_of(node);

		if (h->is_leaving && now_us >= h->leave_until_us)
			vhop_lose(h, false);
		else
			is_left |= h->is_leaving;
	}
	return is_left;
}

static void tick(void *arg)
{
	struct vrelay *r = arg;
	uint64_t now_us = r->proxy->node.world->now_us;
	bool is_left = cut_late(&r->ups, now_us);

	is_left |= cut_late(&r->downs, now_us);
	if (is_left)
		vrelay_start_tick(r);
	vrelay_run(r);
}

void vrelay_start_tick(struct vrelay *r)
{
	struct world *w = r->proxy->node.world;

	world_timer_set(w, &r->leave_timer, w->now_us + TICK_MS * US_PER_MS);
}

/* ---- life ---- */

static struct vrelay *start(struct vproxy *p, const struct hello *hello)
{
	struct vrelay *r = calloc(1, sizeof(*r));
	struct vway ways[WAYS_MAX];
	unsigned count;

	if (!r)
		abort();
	r->proxy = p;
	r->tunnel = vdial_hello_tunnel(hello);
	r->generation = hello->generation;
	r->relay = relay_new(&relay_ops, &p->chunks, &p->items, rng_u64(&p->node.world->rng), r);
	r->leave_timer = (struct world_timer){.fire = tick, .arg = r};
	list_init(&r->ups);
	list_init(&r->downs);
	list_push_back(&p->relays, &r->node);
	count = p->ways(p, r->tunnel, ways);
	for (unsigned i = 0; i < count; i++)
		vhop_dial(r, &ways[i]);
	return r;
}

struct vrelay *vrelay_find(struct vproxy *p, const struct hello *hello)
{
	list_for_each(node, &p->relays) {
		struct vrelay *r = container_of(node, struct vrelay, node);

		if (r->tunnel == vdial_hello_tunnel(hello))
			return r;
	}
	return start(p, hello);
}

void vrelay_end(struct vrelay *r)
{
	r->is_ending = true;
	relay_free(r->relay);
	while (!list_is_empty(&r->ups))
		vhop_free(hop_of(r->ups.next));
	while (!list_is_empty(&r->downs))
		vhop_free(hop_of(r->downs.next));
	world_timer_stop(r->proxy->node.world, &r->leave_timer);
	list_remove(&r->node);
	free(r);
}

void vrelay_break_links(struct vrelay *r)
{
	list_for_each(node, &r->ups)
		vlink_kill(hop_of(node)->side->link);
	list_for_each(node, &r->downs)
		if (hop_of(node)->dial.side)
			vlink_kill(hop_of(node)->dial.side->link);
}
