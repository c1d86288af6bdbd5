/* The segments of one direction of a session that are sent and not acknowledged. */
#include "common/flow/sendq.h"

#include "common/flow/budget.h"

#include <assert.h>
#include <errno.h>

void sendq_init(struct sendq *q, uint64_t credit)
{
	*q = (struct sendq){.credit = credit};
	list_init(&q->segments);
	list_init(&q->lost);
}

static struct segment *segment_of(struct list *node)
{
	return container_of(node, struct segment, node);
}

static uint64_t segment_end(const struct segment *s)
{
	return s->offset + s->data.len + s->is_fin;
}

static void segment_free(struct segment *s, struct budget *b)
{
	list_remove(&s->node);
	list_remove(&s->lost_node);
	chunk_unref(s->data.chunk);
	slab_free(&b->segments, s);
}

void sendq_clear(struct sendq *q, struct budget *b)
{
	list_for_each_safe(node, &q->segments) {
		struct segment *s = segment_of(node);

		if (s->path)
			s->path->inflight_bytes -= s->data.len;
		segment_free(s, b);
	}
}

static void segment_on_sent(struct segment *s, struct path *p, uint64_t now_us)
{
	s->path = p;
	s->sent_us = now_us;
	path_on_sent(p, s->data.len, now_us, &s->mark);
}

struct segment *sendq_push_take(struct sendq *q, struct budget *b, struct path *p,
				struct slice data, bool is_fin, uint64_t now_us)
{
	struct segment *s = slab_alloc(&b->segments);

	assert(!q->has_fin);
	*s = (struct segment){.offset = q->next, .data = data, .is_fin = is_fin};
	list_init(&s->lost_node);
	list_push_back(&q->segments, &s->node);
	q->next = segment_end(s);
	q->has_fin = is_fin;
	segment_on_sent(s, p, now_us);
	return s;
}

struct segment *sendq_resend(struct sendq *q, struct path *p, uint64_t now_us)
{
	struct segment *s = list_first(&q->lost, struct segment, lost_node);

	assert(!list_is_empty(&q->lost));
	list_remove(&s->lost_node);
	s->was_resent = true;
	segment_on_sent(s, p, now_us);
	return s;
}

static void segment_acked(struct segment *s, struct budget *b, uint32_t delay_us, uint64_t now_us)
{
	if (s->path)
		path_on_acked(s->path, s->data.len, &s->mark, s->sent_us, delay_us, !s->was_resent,
			      now_us);
	segment_free(s, b);
}

/* The first `len` bytes of it are acknowledged, not all. */
static void segment_trim(struct segment *s, uint32_t len)
{
	if (s->path) {
		s->path->inflight_bytes -= len;
		s->path->delivered_bytes += len;
	}
	s->offset += len;
	s->data.at += len;
	s->data.len -= len;
}

static void ack_below(struct sendq *q, struct budget *b, uint64_t offset, uint32_t delay_us,
		      uint64_t now_us)
{
	while (!list_is_empty(&q->segments)) {
		struct segment *s = segment_of(q->segments.next);

		if (segment_end(s) <= offset) {
			segment_acked(s, b, delay_us, now_us);
			continue;
		}
		if (s->offset < offset)
			segment_trim(s, (uint32_t)(offset - s->offset));
		return;
	}
}

/* Received ranges are never taken back, so a segment inside one is done with. */
static void ack_ranges(struct sendq *q, struct budget *b, const struct ack_info *ack,
		       uint64_t now_us)
{
	uint32_t i = 0;

	list_for_each_safe(node, &q->segments) {
		struct segment *s = segment_of(node);

		while (i < ack->range_count && ack->ranges[i].end < segment_end(s))
			i++;
		if (i == ack->range_count)
			return;
		if (ack->ranges[i].start <= s->offset)
			segment_acked(s, b, ack->delay_us, now_us);
	}
}

int sendq_on_ack(struct sendq *q, struct budget *b, uint64_t offset, const struct ack_info *ack,
		 uint64_t now_us)
{
	if (offset > q->next ||
	    (ack->range_count > 0 && ack->ranges[ack->range_count - 1].end > q->next))
		return -EPROTO;
	if (ack->credit > q->credit)
		q->credit = ack->credit;
	if (offset > q->acked) {
		q->acked = offset;
		ack_below(q, b, offset, ack->delay_us, now_us);
	}
	if (ack->range_count > 0)
		ack_ranges(q, b, ack, now_us);
	return 0;
}

/* Rebuilds the lost list, so that it stays in stream order. */
size_t sendq_path_lost(struct sendq *q, const struct path *p)
{
	size_t count = 0;

	list_for_each(node, &q->segments) {
		struct segment *s = segment_of(node);

		if (s->path == p) {
			s->path->inflight_bytes -= s->data.len;
			s->path = NULL;
			count++;
		}
		if (!s->path) {
			list_remove(&s->lost_node);
			list_push_back(&q->lost, &s->lost_node);
		}
	}
	return count;
}
