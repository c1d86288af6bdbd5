/* What the proxy program does around struct relay: accept, dial while somebody is there to be
 * served, answer HELLO when a next hop has answered. */
#include "vproxy.h"

#include "faults.h"

#include <stdlib.h>

struct vrelay {
	struct list node;
	struct vproxy *proxy;
	unsigned tunnel;
	struct relay *relay;
	struct list ups; /* struct vhop, answered or waiting for it */
	struct vhop *downs[WAYS_MAX];
	unsigned down_count;
	bool is_ending;
};

struct vhop {
	struct list node; /* vrelay.ups or vproxy.strangers */
	struct vproxy *proxy;
	struct vrelay *relay; /* NULL: a stranger */
	struct vside *side;   /* up; a down has dial.side */
	struct hop *hop;      /* NULL: not up */
	enum hop_side to;
	struct vdial dial; /* down */
};

static struct vside *side_of(struct vhop *h)
{
	return h->to == HOP_UP ? h->side : h->dial.side;
}

/* ---- the relay's ops ---- */

static void on_send(struct hop *hop, const struct frame *head, const uint8_t *control,
		    const struct slice *data)
{
	struct vhop *h = hop->user;

	hop->is_blocked = !vlink_send(side_of(h), head, control, data);
	if (faults_on_frame(h->proxy->faults, h->proxy, hop->side, FAULT_AFTER, head))
		h->proxy->is_doomed = true;
}

static void on_pause(struct hop *hop, bool is_paused)
{
	struct vhop *h = hop->user;

	vlink_pause(side_of(h), is_paused);
}

static void free_up(struct vhop *h)
{
	list_remove(&h->node);
	vlink_close(h->side);
	free(h);
}

static void on_close(struct hop *hop, const char *why)
{
	struct vhop *h = hop->user;

	(void)why;
	h->hop = NULL;
	if (h->to == HOP_UP)
		free_up(h);
	else if (h->relay->is_ending)
		vdial_stop(&h->dial);
	else
		vdial_again(&h->dial);
}

static const struct relay_ops relay_ops = {
	.send = on_send,
	.pause = on_pause,
	.close = on_close,
};

/* ---- the life of a relay ---- */

static void end_relay(struct vrelay *r)
{
	r->is_ending = true;
	relay_free(r->relay);
	while (!list_is_empty(&r->ups))
		free_up(list_first(&r->ups, struct vhop, node));
	for (unsigned i = 0; i < r->down_count; i++) {
		vdial_stop(&r->downs[i]->dial);
		free(r->downs[i]);
	}
	list_remove(&r->node);
	free(r);
}

static void note_queues(struct vproxy *p, const struct relay *r)
{
	for (int side = HOP_UP; side <= HOP_DOWN; side++)
		if (r->queue[side].bytes > p->queue_bytes_max)
			p->queue_bytes_max = r->queue[side].bytes;
}

static void lose_hop(struct vhop *h)
{
	struct hop *hop = h->hop;

	h->hop = NULL;
	if (hop)
		relay_remove_hop(h->relay->relay, hop);
}

static void on_dead(struct vside *s)
{
	struct vhop *h = s->user;
	struct vrelay *r = h->relay;

	if (s == h->dial.fresh) {
		vdial_drop_fresh(&h->dial);
		return;
	}
	lose_hop(h);
	if (h->to == HOP_UP)
		free_up(h);
	else
		vdial_again(&h->dial);
	if (r)
		relay_run(r->relay);
	if (r && list_is_empty(&r->ups))
		end_relay(r);
}

/* ---- frames ---- */

static void add_hop(struct vhop *h, uint32_t weight)
{
	h->hop = relay_add_hop(h->relay->relay, h->to, weight, h);
	h->hop->is_blocked = side_of(h)->is_blocked;
	if (side_of(h)->is_stalled)
		relay_set_stalled(h->relay->relay, h->hop, true);
	vlink_pause(side_of(h), h->hop->is_paused);
}

static void answer_ups(struct vrelay *r)
{
	if (r->relay->hop_count[HOP_DOWN] == 0)
		return;
	list_for_each(node, &r->ups) {
		struct vhop *h = container_of(node, struct vhop, node);

		if (h->hop)
			continue;
		vdial_answer(h->side);
		add_hop(h, 1);
	}
}

static const struct vside_ops hop_ops;

static struct vrelay *start_relay(struct vproxy *p, unsigned tunnel)
{
	struct vrelay *r = calloc(1, sizeof(*r));
	struct vway ways[WAYS_MAX];

	if (!r)
		abort();
	r->proxy = p;
	r->tunnel = tunnel;
	r->relay = relay_new(&relay_ops, &p->chunks, &p->items, rng_u64(&p->node.world->rng), r);
	list_init(&r->ups);
	list_push_back(&p->relays, &r->node);
	r->down_count = p->ways(p, tunnel, ways);
	for (unsigned i = 0; i < r->down_count; i++) {
		struct vhop *h = r->downs[i] = calloc(1, sizeof(*h));

		if (!h)
			abort();
		h->proxy = p;
		h->relay = r;
		h->to = HOP_DOWN;
		vdial_start(&h->dial, &p->node, &ways[i], tunnel, &p->chunks, &hop_ops, h);
	}
	return r;
}

static void on_hello(struct vhop *h, unsigned tunnel)
{
	struct vproxy *p = h->proxy;

	list_for_each(node, &p->relays) {
		struct vrelay *r = container_of(node, struct vrelay, node);

		if (r->tunnel == tunnel)
			h->relay = r;
	}
	if (!h->relay)
		h->relay = start_relay(p, tunnel);
	list_remove(&h->node);
	list_push_back(&h->relay->ups, &h->node);
	answer_ups(h->relay);
}

static void on_frame(struct vside *s, const struct deframed *f)
{
	struct vhop *h = s->user;
	struct vproxy *p = h->proxy;

	if (p->is_doomed)
		return;
	if (f->head.type == FRAME_HELLO) {
		on_hello(h, vdial_hello_tunnel(f));
	} else if (f->head.type == FRAME_HELLO_ACK) {
		if (s == h->dial.fresh) {
			lose_hop(h);
			vdial_take_fresh(&h->dial);
		}
		vdial_up(&h->dial);
		add_hop(h, h->dial.way.weight);
		answer_ups(h->relay);
	} else if (faults_on_frame(p->faults, p, h->to == HOP_UP ? HOP_DOWN : HOP_UP, FAULT_BEFORE,
				   &f->head)) {
		p->is_doomed = true;
	} else {
		relay_receive(h->relay->relay, h->hop, &f->head, f->control, &f->data);
		note_queues(p, h->relay->relay);
	}
}

static void on_batch(struct vside *s)
{
	struct vhop *h = s->user;

	if (h->relay && !h->proxy->is_doomed)
		relay_run(h->relay->relay);
}

static void on_room(struct vside *s)
{
	struct vhop *h = s->user;

	if (!h->hop || h->proxy->is_doomed)
		return;
	h->hop->is_blocked = false;
	relay_run(h->relay->relay);
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
	relay_run(h->relay->relay);
}

static const struct vside_ops hop_ops = {
	.frame = on_frame,
	.batch = on_batch,
	.room = on_room,
	.stalled = on_stalled,
	.dead = on_dead,
};

static void on_accept(struct vnode *n, struct vside *s)
{
	struct vproxy *p = container_of(n, struct vproxy, node);
	struct vhop *h = calloc(1, sizeof(*h));

	if (!h)
		abort();
	h->proxy = p;
	h->side = s;
	h->to = HOP_UP;
	list_push_back(&p->strangers, &h->node);
	vlink_attach(s, &hop_ops, h, n->name, &p->chunks);
}

/* ---- life and death ---- */

static void end_all(struct vproxy *p)
{
	while (!list_is_empty(&p->relays))
		end_relay(list_first(&p->relays, struct vrelay, node));
	while (!list_is_empty(&p->strangers))
		free_up(list_first(&p->strangers, struct vhop, node));
}

/* What it had sent and was still on its way dies with it. */
static void break_links(struct vproxy *p)
{
	list_for_each(node, &p->strangers)
		vlink_kill(container_of(node, struct vhop, node)->side->link);
	list_for_each(node, &p->relays) {
		struct vrelay *r = container_of(node, struct vrelay, node);

		list_for_each(up, &r->ups)
			vlink_kill(container_of(up, struct vhop, node)->side->link);
		for (unsigned i = 0; i < r->down_count; i++)
			if (r->downs[i]->dial.side)
				vlink_kill(r->downs[i]->dial.side->link);
	}
}

void vproxy_kill(struct vproxy *p, uint64_t down_us)
{
	struct world *w = p->node.world;

	world_trace(w, "%s dies for %.3f s", p->node.name, (double)down_us / US_PER_S);
	p->node.is_down = true;
	p->is_doomed = false;
	break_links(p);
	end_all(p);
	world_timer_set(w, &p->return_timer, w->now_us + down_us);
}

static void kill_now(void *arg)
{
	struct vproxy *p = arg;

	vproxy_kill(p, p->down_us);
}

static void come_back(void *arg)
{
	struct vproxy *p = arg;

	world_trace(p->node.world, "%s is back", p->node.name);
	p->node.is_down = false;
}

void vproxy_kill_at(struct vproxy *p, uint64_t at_us, uint64_t down_us)
{
	p->down_us = down_us;
	world_timer_set(p->node.world, &p->kill_timer, at_us);
}

void vproxy_init(struct vproxy *p, struct world *w, struct vlinks *links, struct faults *faults)
{
	*p = (struct vproxy){.node = {.world = w, .links = links, .accept = on_accept},
			     .faults = faults,
			     .kill_timer = {.fire = kill_now, .arg = p},
			     .return_timer = {.fire = come_back, .arg = p}};
	list_init(&p->relays);
	list_init(&p->strangers);
	chunk_pool_init(&p->chunks, MEMORY_LIMIT_MIN);
	slab_init(&p->items, sizeof(struct relay_item));
}

void vproxy_done(struct vproxy *p)
{
	struct world *w = p->node.world;

	end_all(p);
	world_timer_stop(w, &p->kill_timer);
	world_timer_stop(w, &p->return_timer);
	if (p->items.used || p->chunks.used_bytes) {
		world_fail(w, "%s leaves %zu items and %zu bytes behind", p->node.name,
			   p->items.used, p->chunks.used_bytes);
		return;
	}
	slab_done(&p->items);
	chunk_pool_done(&p->chunks);
}
