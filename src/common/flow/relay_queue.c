/* What waits at a relay for room: control and DATA, with references to what is large and copies of
 * what is small, and the pause of those who feed a full queue. */
#include "common/flow/relay_internal.h"

#include <string.h>

/* Small payloads that wait share chunks of this size. */
#define KEEP_BYTES (8 * COPYBREAK_BYTES)

void relay_update_pause(struct relay *r, enum hop_side side)
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

void relay_enqueue(struct relay *r, enum hop_side side, const struct frame *head,
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
	relay_update_pause(r, side);
}

struct relay_item *relay_dequeue(struct relay_queue *q)
{
	struct list *node = list_pop_front(list_is_empty(&q->control) ? &q->data : &q->control);
	struct relay_item *item;

	if (!node)
		return NULL;
	item = container_of(node, struct relay_item, node);
	q->bytes -= sizeof(*item) + item->head.len;
	return item;
}

void relay_free_item(struct relay *r, struct relay_item *item)
{
	chunk_unref(item->data.chunk);
	slab_free(r->items, item);
}

void relay_clear_queue(struct relay *r, enum hop_side side)
{
	struct relay_item *item;

	while ((item = relay_dequeue(&r->queue[side])))
		relay_free_item(r, item);
	relay_update_pause(r, side);
}
