/* The forwarding of one tunnel at one proxy: straight through while a hop has room, over two
 * short queues for each direction while none has. Its hops come, stall, drain and die. */
#include "common/flow/relay_internal.h"

#include <stdlib.h>

/* ---- hops ---- */

/* What a neighbour said of its way on has no say when no hop goes on: see relay.h. */
static bool can_take(const struct relay *r, const struct hop *h)
{
	return hop_is_way(h) && !h->is_blocked && !h->is_stalled &&
	       (!h->is_stalled_behind || r->is_stuck[h->side]);
}

/* Start-time fair queueing (Goyal, Vin and Cheng 1996) over the hops that have room: the hop that
 * has sent least for its weight. NULL when none has room. */
static struct hop *pick_hop(struct relay *r, enum hop_side side)
{
	struct relay_queue *q = &r->queue[side];
	struct hop *best = NULL;

	if (q->current && can_take(r, q->current) && q->burst_bytes < RELAY_BURST_BYTES)
		return q->current;
	q->burst_bytes = 0;
	list_for_each(node, &r->hops[side]) {
		struct hop *h = container_of(node, struct hop, node);

		if (can_take(r, h) && (!best || h->pass < best->pass))
			best = h;
	}
	q->current = best;
	return best;
}

static void account_sent(struct relay *r, struct hop *h, const struct frame *head)
{
	struct relay_queue *q = &r->queue[h->side];
	double floor = q->pass - (double)RELAY_LAG_BYTES / h->weight;

	if (h->pass < floor)
		h->pass = floor;
	if (h->pass > q->pass)
		q->pass = h->pass;
	h->pass += (double)(FRAME_HEADER_BYTES + head->len) / h->weight;
	q->burst_bytes += FRAME_HEADER_BYTES + head->len;
	if (head->type == FRAME_DATA)
		h->sent_bytes += head->len;
}

void relay_send_on(struct relay *r, struct hop *h, const struct frame *head, const uint8_t *control,
		   const struct slice *data)
{
	account_sent(r, h, head);
	r->ops->send(h, head, control, data);
}

/* Frames may come on it. One that stalls while nothing more is to go there is not waited for: who
 * has sent what it still has finds out by itself, as of any path that is gone. */
static bool is_talking(const struct hop *h)
{
	bool is_wanted = !h->relay->is_over[other_side(h->side)];

	return !h->in_done && (is_wanted || !hop_is_stalled(h));
}

void relay_recount(struct relay *r, enum hop_side side)
{
	bool was_over = r->is_over[side];
	size_t stay = 0, talking = 0;

	list_for_each(node, &r->hops[side]) {
		const struct hop *h = container_of(node, struct hop, node);

		stay += hop_stays(h);
		talking += is_talking(h);
	}
	r->stay_count[side] = stay;
	/* Hops that were retired one after another leave a side that is over. */
	if (r->hop_count[side] > 0)
		r->is_over[side] = talking == 0;
	relay_tell_stalls(r, side);
	/* Now those that stall on the other side need not be waited for. */
	if (r->is_over[side] && !was_over)
		relay_recount(r, other_side(side));
}

bool relay_has_way(const struct relay *r, enum hop_side side)
{
	list_for_each(node, &r->hops[side])
		if (!container_of(node, struct hop, node)->out_done)
			return true;
	return false;
}

/* ---- for the environment ---- */

struct relay *relay_new(const struct relay_ops *ops, struct chunk_pool *chunks, struct slab *items,
			uint64_t event_seed, void *user)
{
	struct relay *r = calloc(1, sizeof(*r));

	if (!r)
		abort();
	r->ops = ops;
	r->user = user;
	r->chunks = chunks;
	r->items = items;
	r->event_id = event_seed;
	for (int side = HOP_UP; side <= HOP_DOWN; side++) {
		list_init(&r->hops[side]);
		list_init(&r->queue[side].control);
		list_init(&r->queue[side].data);
	}
	return r;
}

/* relay_recount follows. */
static void take_out(struct relay *r, struct hop *h)
{
	list_remove(&h->node);
	r->hop_count[h->side]--;
	if (r->queue[h->side].current == h)
		r->queue[h->side].current = NULL;
}

static void close_hops(struct relay *r, enum hop_side side, const char *why)
{
	while (!list_is_empty(&r->hops[side])) {
		struct hop *h = list_first(&r->hops[side], struct hop, node);

		take_out(r, h);
		r->ops->close(h, why);
		free(h);
	}
	relay_recount(r, side);
}

void relay_free(struct relay *r)
{
	if (!r)
		return;
	close_hops(r, HOP_UP, "the tunnel ends here");
	close_hops(r, HOP_DOWN, "the tunnel ends here");
	relay_clear_queue(r, HOP_UP);
	relay_clear_queue(r, HOP_DOWN);
	chunk_unref(r->keep);
	free(r);
}

struct hop *relay_add_hop(struct relay *r, enum hop_side side, uint32_t weight, void *user)
{
	struct hop *h = calloc(1, sizeof(*h));

	if (!h)
		abort();
	h->relay = r;
	h->user = user;
	h->side = side;
	h->weight = weight;
	h->pass = r->queue[side].pass;
	h->is_paused = r->queue[other_side(side)].is_full;
	list_push_back(&r->hops[side], &h->node);
	r->hop_count[side]++;
	relay_recount(r, side);
	/* What has ended on the other side was before its time. */
	if (r->hop_count[other_side(side)] == 0)
		r->is_over[other_side(side)] = false;
	if (r->is_stuck[other_side(side)])
		relay_tell_stuck_to(h);
	return h;
}

void relay_remove_hop(struct relay *r, struct hop *h)
{
	enum hop_side side = h->side;

	take_out(r, h);
	free(h);
	relay_recount(r, side);
	if (r->hop_count[side] == 0)
		r->is_over[side] = false;
	r->has_lost[side] = true;
	relay_announce_loss(r, side);
}

void relay_retire_hop(struct relay *r, struct hop *h)
{
	enum hop_side side = h->side;

	take_out(r, h);
	free(h);
	relay_recount(r, side);
}

static void forward(struct relay *r, enum hop_side side, const struct frame *head,
		    const uint8_t *control, const struct slice *data)
{
	struct relay_queue *q = &r->queue[side];
	struct hop *h = NULL;

	/* What waits must not be overtaken for ever by what comes. */
	if (relay_queue_is_empty(q))
		h = pick_hop(r, side);
	if (h)
		relay_send_on(r, h, head, control, data);
	else
		relay_enqueue(r, side, head, control, data);
}

void relay_receive(struct relay *r, struct hop *h, const struct frame *head, const uint8_t *control,
		   const struct slice *data)
{
	enum hop_side side = other_side(h->side);

	switch ((enum frame_type)head->type) {
	case FRAME_DATA:
		h->received_bytes += head->len;
		forward(r, side, head, NULL, data);
		return;
	case FRAME_OPEN:
	case FRAME_ACK:
	case FRAME_RESET:
	case FRAME_TUNNEL_CLOSE:
	case FRAME_DATAGRAM:
	case FRAME_PROBE:
	case FRAME_PROBED:
		forward(r, side, head, control, NULL);
		return;
	case FRAME_PATH_LOST:
	case FRAME_PATH_STALLED:
	case FRAME_PATH_BACK:
		relay_on_event(r, h, head, control);
		return;
	case FRAME_DRAIN:
		relay_on_drain(r, h);
		return;
	case FRAME_DRAINED:
	case FRAME_HELLO:
	case FRAME_HELLO_ACK:
	case FRAME_AUTH:
	case FRAME_PING:
	case FRAME_PONG:
		return;
	}
}

static void send_item(struct relay *r, struct hop *h, const struct relay_item *item)
{
	if (item->head.type == FRAME_DATA)
		relay_send_on(r, h, &item->head, NULL, &item->data);
	else
		relay_send_on(r, h, &item->head, item->data.at, NULL);
}

static void run_side(struct relay *r, enum hop_side side)
{
	struct relay_item *item;
	struct hop *h;

	list_for_each(node, &r->hops[side])
		relay_send_events(r, container_of(node, struct hop, node));
	while ((h = pick_hop(r, side)) && (item = relay_dequeue(&r->queue[side]))) {
		send_item(r, h, item);
		relay_free_item(r, item);
	}
	relay_update_pause(r, side);
	r->queue[side].current = NULL;
}

static void hang_up(struct relay *r, const char *why)
{
	close_hops(r, HOP_UP, why);
	close_hops(r, HOP_DOWN, why);
	r->is_over[HOP_UP] = r->is_over[HOP_DOWN] = false;
	r->is_stuck[HOP_UP] = r->is_stuck[HOP_DOWN] = false;
	relay_clear_queue(r, HOP_UP);
	relay_clear_queue(r, HOP_DOWN);
}

/* It has lost what was to be its way. Hops that are drained because nothing more will come for them
 * need none. */
static bool is_cut_off(const struct relay *r, enum hop_side side)
{
	bool needs_none = r->hop_count[side] > 0 && r->is_over[other_side(side)] &&
			  relay_queue_is_empty(&r->queue[side]);

	return r->has_lost[side] && !relay_has_way(r, side) && !needs_none;
}

/* Not at once: what was lost may have come back within the turn. */
static void hang_up_if_due(struct relay *r)
{
	if (is_cut_off(r, HOP_DOWN))
		hang_up(r, "no next hop is left");
	else if (is_cut_off(r, HOP_UP))
		hang_up(r, "no previous hop is left");
	else if (r->must_hang_up)
		hang_up(r, "what was lost cannot be told");
	r->must_hang_up = r->has_lost[HOP_UP] = r->has_lost[HOP_DOWN] = false;
}

void relay_run(struct relay *r)
{
	hang_up_if_due(r);
	run_side(r, HOP_UP);
	run_side(r, HOP_DOWN);
	relay_send_drains(r, HOP_UP);
	relay_send_drains(r, HOP_DOWN);
	/* A tunnel that is idle holds no memory. */
	if (r->keep && r->queue[HOP_UP].bytes == 0 && r->queue[HOP_DOWN].bytes == 0) {
		chunk_unref(r->keep);
		r->keep = NULL;
	}
}
