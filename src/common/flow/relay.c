/* The forwarding of one tunnel at one proxy: straight through while a hop has room, over two
 * short queues for each direction while none has, with news of dead hops for the ends. */
#include "common/flow/relay.h"

#include <stdlib.h>
#include <string.h>

/* Small payloads that wait share chunks of this size. */
#define KEEP_BYTES (8 * COPYBREAK_BYTES)

static enum hop_side other_side(enum hop_side side)
{
	return side == HOP_UP ? HOP_DOWN : HOP_UP;
}

/* ---- hops ---- */

/* Start-time fair queueing (Goyal, Vin and Cheng 1996) over the hops that have room: the hop that
 * has sent least for its weight. NULL when none has room. */
static struct hop *pick_hop(struct relay *r, enum hop_side side)
{
	struct relay_queue *q = &r->queue[side];
	struct hop *best = NULL;

	if (q->current && !q->current->is_blocked && q->burst_bytes < RELAY_BURST_BYTES)
		return q->current;
	q->burst_bytes = 0;
	list_for_each(node, &r->hops[side]) {
		struct hop *h = container_of(node, struct hop, node);

		if (!h->is_blocked && (!best || h->pass < best->pass))
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

static void send_on(struct relay *r, struct hop *h, const struct frame *head,
		    const uint8_t *control, const struct slice *data)
{
	account_sent(r, h, head);
	r->ops->send(h, head, control, data);
}

/* Tells those who feed `side` when its queue has become full, or free again. */
static void update_pause(struct relay *r, enum hop_side side)
{
	struct relay_queue *q = &r->queue[side];
	size_t mark = q->is_full ? RELAY_QUEUE_BYTES / 2 : RELAY_QUEUE_BYTES;
	bool is_full = q->bytes > mark;

	if (is_full == q->is_full)
		return;
	q->is_full = is_full;
	list_for_each(node, &r->hops[other_side(side)]) {
		struct hop *h = container_of(node, struct hop, node);

		h->is_paused = is_full;
		r->ops->pause(h, is_full);
	}
}

/* ---- queues ---- */

/* A reference to what will be sent later. A small payload does not hold the chunk it came in. */
static struct slice keep(struct relay *r, const uint8_t *bytes, uint32_t len, struct chunk *from)
{
	struct slice kept = {.at = (uint8_t *)bytes, .len = len};
	struct chunk *c = r->keep;

	if (len == 0)
		return (struct slice){0};
	if (from && len > COPYBREAK_BYTES) {
		kept.chunk = chunk_ref(from);
		return kept;
	}
	if (!c || c->size - c->fill < len) {
		chunk_unref(c);
		c = r->keep = chunk_new(r->chunks, KEEP_BYTES);
	}
	kept.chunk = chunk_ref(c);
	kept.at = memcpy(c->bytes + c->fill, bytes, len);
	c->fill += len;
	return kept;
}

static void enqueue(struct relay *r, enum hop_side side, const struct frame *head,
		    const uint8_t *control, const struct slice *data)
{
	struct relay_queue *q = &r->queue[side];
	struct relay_item *item = slab_alloc(r->items);
	bool is_data = head->type == FRAME_DATA;

	item->head = *head;
	item->data = keep(r, is_data && head->len ? data->at : control, head->len,
			  is_data ? data->chunk : NULL);
	list_push_back(is_data ? &q->data : &q->control, &item->node);
	q->bytes += sizeof(*item) + head->len;
	update_pause(r, side);
}

static struct relay_item *dequeue(struct relay_queue *q)
{
	struct list *node = list_pop_front(list_is_empty(&q->control) ? &q->data : &q->control);
	struct relay_item *item;

	if (!node)
		return NULL;
	item = container_of(node, struct relay_item, node);
	q->bytes -= sizeof(*item) + item->head.len;
	return item;
}

static void free_item(struct relay *r, struct relay_item *item)
{
	chunk_unref(item->data.chunk);
	slab_free(r->items, item);
}

static void clear_queue(struct relay *r, enum hop_side side)
{
	struct relay_item *item;

	while ((item = dequeue(&r->queue[side])))
		free_item(r, item);
	update_pause(r, side);
}

static void send_item(struct relay *r, struct hop *h, const struct relay_item *item)
{
	if (item->head.type == FRAME_DATA)
		send_on(r, h, &item->head, NULL, &item->data);
	else
		send_on(r, h, &item->head, item->data.at, NULL);
}

/* ---- events ---- */

static void send_events(struct relay *r, struct hop *h)
{
	for (uint8_t kind = 0; kind < RELAY_EVENT_KINDS && !h->is_blocked; kind++) {
		uint8_t payload[sizeof(uint64_t)];
		struct frame head = {.type = (uint8_t)(FRAME_PATH_LOST + kind)};

		if (!h->pending_events[kind])
			continue;
		head.len = (uint32_t)u64_encode(h->pending_events[kind], payload, sizeof(payload));
		h->pending_events[kind] = 0;
		send_on(r, h, &head, payload, NULL);
	}
}

static void announce(struct relay *r, enum hop_side side, uint8_t type, uint64_t id)
{
	list_for_each(node, &r->hops[side]) {
		struct hop *h = container_of(node, struct hop, node);

		h->pending_events[type - FRAME_PATH_LOST] = id;
		send_events(r, h);
	}
}

/* True the first time. 0 is never an id. */
static bool is_new_event(struct relay *r, uint64_t id)
{
	for (size_t i = 0; i < RELAY_EVENTS; i++)
		if (r->events[i] == id)
			return false;
	r->events[r->event_next] = id;
	r->event_next = (r->event_next + 1) % RELAY_EVENTS;
	return true;
}

static void on_event(struct relay *r, enum hop_side side, const struct frame *head,
		     const uint8_t *control)
{
	uint64_t id;

	if (u64_decode(control, head->len, &id) < 0 || id == 0)
		return;
	/* Two proxies may have several subflows between them, and each tells it. */
	if (is_new_event(r, id))
		announce(r, side, head->type, id);
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
}

void relay_free(struct relay *r)
{
	if (!r)
		return;
	close_hops(r, HOP_UP, "the tunnel ends here");
	close_hops(r, HOP_DOWN, "the tunnel ends here");
	clear_queue(r, HOP_UP);
	clear_queue(r, HOP_DOWN);
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
	return h;
}

void relay_remove_hop(struct relay *r, struct hop *h)
{
	enum hop_side side = h->side;

	take_out(r, h);
	free(h);
	if (r->hop_count[side] > 0) {
		if (++r->event_id == 0)
			r->event_id++;
		announce(r, other_side(side), FRAME_PATH_LOST, r->event_id);
		return;
	}
	close_hops(r, other_side(side),
		   side == HOP_DOWN ? "no next hop is left" : "no previous hop is left");
	clear_queue(r, HOP_UP);
	clear_queue(r, HOP_DOWN);
}

static void forward(struct relay *r, enum hop_side side, const struct frame *head,
		    const uint8_t *control, const struct slice *data)
{
	struct relay_queue *q = &r->queue[side];
	struct hop *h = NULL;

	/* What waits must not be overtaken for ever by what comes. */
	if (list_is_empty(&q->control) && list_is_empty(&q->data))
		h = pick_hop(r, side);
	if (h)
		send_on(r, h, head, control, data);
	else
		enqueue(r, side, head, control, data);
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
		on_event(r, side, head, control);
		return;
	case FRAME_DRAIN:
	case FRAME_DRAINED:
	case FRAME_HELLO:
	case FRAME_HELLO_ACK:
	case FRAME_AUTH:
	case FRAME_PING:
	case FRAME_PONG:
		return;
	}
}

static void run_side(struct relay *r, enum hop_side side)
{
	struct relay_item *item;
	struct hop *h;

	list_for_each(node, &r->hops[side])
		send_events(r, container_of(node, struct hop, node));
	while ((h = pick_hop(r, side)) && (item = dequeue(&r->queue[side]))) {
		send_item(r, h, item);
		free_item(r, item);
	}
	update_pause(r, side);
	r->queue[side].current = NULL;
}

void relay_run(struct relay *r)
{
	run_side(r, HOP_UP);
	run_side(r, HOP_DOWN);
	/* A tunnel that is idle holds no memory. */
	if (r->keep && r->queue[HOP_UP].bytes == 0 && r->queue[HOP_DOWN].bytes == 0) {
		chunk_unref(r->keep);
		r->keep = NULL;
	}
}
