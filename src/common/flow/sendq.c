/* The segments of one direction of a session that are sent and not acknowledged. */
#include "common/flow/sendq.h"

#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/minmax.h"
#include "common/flow/budget.h"

#include <assert.h>
#include <errno.h>

void sendq_init(struct sendq *q, uint64_t credit, struct path *const *slots)
{
	*q = (struct sendq){.credit = credit, .slots = slots};
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

static uint64_t bit_of(const struct path *p)
{
	return 1ull << p->index;
}

static bool is_carried_by(const struct segment *s, const struct path *p)
{
	return s->carriers & bit_of(p);
}

/* ---- what paths have in flight ---- */

static struct path *lowest_path(const struct sendq *q, uint64_t carriers)
{
	return q->slots[__builtin_ctzll(carriers)];
}

/* Its first `len` bytes are not in flight any more, wherever they were. */
static void shrink(const struct sendq *q, const struct segment *s, uint32_t len)
{
	for (uint64_t left = s->carriers; left; left &= left - 1)
		lowest_path(q, left)->inflight_bytes -= len;
}

static void leave_paths(const struct sendq *q, const struct segment *s)
{
	shrink(q, s, s->data.len);
	for (uint64_t left = s->carriers; left; left &= left - 1)
		lowest_path(q, left)->segments--;
}

static void enter_path(struct segment *s, struct path *p, uint64_t now_us)
{
	s->path = p;
	s->sent_us = now_us;
	s->due_us = now_us + path_return_us(p, s->data.len);
	list_remove(&s->path_node);
	list_push_back(&p->carried, &s->path_node);
	if (is_carried_by(s, p))
		return;
	s->carriers |= bit_of(p);
	path_on_sent(p, s->data.len, now_us, &s->mark);
	p->segments++;
}

/* Of a lost one, for which nobody waits as long as for one that may be late: its acknowledgement
 * may still come, as those of others did, or as it would behind a queue of the usual length. A
 * path that has just started may have filled a longer one. */
static void expect_soon(struct segment *s)
{
	uint64_t rtt_us =
		min_u64(s->path->rtt_us, path_base_us(s->path) + PATH_QUEUE_MS * US_PER_MS);

	s->due_us = min_u64(s->due_us, s->sent_us + rtt_us);
}

/* The oldest comes first, since the watch looks at that one only. */
static void insert_by_age(struct list *carried, struct segment *s)
{
	struct list *at = carried->prev;

	while (at != carried && container_of(at, struct segment, path_node)->sent_us > s->sent_us)
		at = at->prev;
	list_insert_after(at, &s->path_node);
}

/* Of those that carry it one has to look after it. */
static void leave_path(const struct sendq *q, struct segment *s, struct path *p)
{
	s->carriers &= ~bit_of(p);
	p->inflight_bytes -= s->data.len;
	p->segments--;
	s->was_resent = true;
	if (s->path != p)
		return;
	expect_soon(s);
	list_remove(&s->path_node);
	s->path = s->carriers ? lowest_path(q, s->carriers) : NULL;
	if (!s->path)
		return;
	s->due_us = s->sent_us + path_return_us(s->path, s->data.len);
	insert_by_age(&s->path->carried, s);
}

static void segment_free(struct segment *s, struct budget *b)
{
	list_remove(&s->node);
	list_remove(&s->path_node);
	list_remove(&s->lost_node);
	chunk_unref(s->data.chunk);
	slab_free(&b->segments, s);
}

void sendq_clear(struct sendq *q, struct budget *b)
{
	list_for_each_safe(node, &q->segments) {
		struct segment *s = segment_of(node);

		leave_paths(q, s);
		segment_free(s, b);
	}
}

/* ---- sending ---- */

struct segment *sendq_push_take(struct sendq *q, struct budget *b, struct path *p,
				struct slice data, bool is_fin, uint64_t now_us)
{
	struct segment *s = slab_alloc(&b->segments);

	assert(!q->has_fin);
	*s = (struct segment){.offset = q->next, .data = data, .is_fin = is_fin};
	list_init(&s->path_node);
	list_init(&s->lost_node);
	list_push_back(&q->segments, &s->node);
	q->next = segment_end(s);
	q->has_fin = is_fin;
	enter_path(s, p, now_us);
	return s;
}

struct segment *sendq_resend(struct sendq *q, struct path *p, uint64_t now_us)
{
	struct segment *s = sendq_lost_head(q);

	assert(s);
	list_remove(&s->lost_node);
	s->was_resent = true;
	enter_path(s, p, now_us);
	return s;
}

void segment_copy(struct segment *s, struct path *p, uint64_t now_us)
{
	s->was_resent = true;
	enter_path(s, p, now_us);
}

/* ---- acknowledgements ---- */

/* A lone message that was lost and that TCP sent again: nothing else was under way to show it. */
static void doubt_slow_answer(const struct segment *s, uint64_t now_us)
{
	if (s->mark.is_app_limited && s->path->segments == 0 && s->due_us > 0 &&
	    now_us > s->due_us + path_slack_us(s->path))
		path_doubt(s->path, now_us - s->due_us, now_us);
}

static void segment_acked(struct sendq *q, struct segment *s, struct budget *b, uint64_t now_us)
{
	q->touched |= s->carriers;
	if (s->was_resent) {
		leave_paths(q, s);
		for (uint64_t left = s->carriers; left; left &= left - 1)
			if (lowest_path(q, left) != s->path)
				path_on_overtaken(lowest_path(q, left), s->data.len);
		if (s->path)
			path_on_acked_again(s->path, now_us);
	} else {
		s->path->segments--;
		doubt_slow_answer(s, now_us);
		path_on_acked(s->path, s->data.len, &s->mark, s->sent_us, now_us);
	}
	segment_free(s, b);
}

/* The first `len` bytes of it are acknowledged, not all. */
static void segment_trim(struct sendq *q, struct segment *s, uint32_t len)
{
	shrink(q, s, len);
	if (s->path && !s->was_resent)
		s->path->delivered_bytes += len;
	s->offset += len;
	s->data.at += len;
	s->data.len -= len;
}

static int ack_below(struct sendq *q, struct budget *b, uint64_t offset, uint64_t now_us)
{
	int count = 0;

	while (!list_is_empty(&q->segments)) {
		struct segment *s = segment_of(q->segments.next);

		if (segment_end(s) > offset) {
			if (s->offset < offset)
				segment_trim(q, s, (uint32_t)(offset - s->offset));
			break;
		}
		segment_acked(q, s, b, now_us);
		count++;
	}
	return count;
}

/* Received ranges are never taken back, so a segment inside one is done with. */
static int ack_ranges(struct sendq *q, struct budget *b, const struct ack_info *ack,
		      uint64_t now_us)
{
	uint32_t i = 0;
	int count = 0;

	list_for_each_safe(node, &q->segments) {
		struct segment *s = segment_of(node);

		while (i < ack->range_count && ack->ranges[i].end < segment_end(s))
			i++;
		if (i == ack->range_count)
			break;
		if (ack->ranges[i].start <= s->offset) {
			segment_acked(q, s, b, now_us);
			count++;
		}
	}
	return count;
}

int sendq_on_ack(struct sendq *q, struct budget *b, uint64_t offset, const struct ack_info *ack,
		 uint64_t back_us, uint64_t now_us)
{
	int count = 0;

	if (offset > q->next ||
	    (ack->range_count > 0 && ack->ranges[ack->range_count - 1].end > q->next))
		return -EPROTO;
	if (ack->credit > q->credit)
		q->credit = ack->credit;
	if (offset > q->acked) {
		q->acked = offset;
		count += ack_below(q, b, offset, now_us);
	}
	if (ack->range_count > 0)
		count += ack_ranges(q, b, ack, now_us);
	for (; q->touched; q->touched &= q->touched - 1)
		path_end_ack(lowest_path(q, q->touched), ack->delay_us, back_us, now_us);
	return count;
}

/* ---- losses ---- */

/* Goes through the segments that nothing alive carries. */
static size_t collect(struct sendq *q, uint64_t alive, bool is_certain)
{
	size_t count = 0;

	list_for_each(node, &q->segments) {
		struct segment *s = segment_of(node);

		if (s->carriers & alive || (s->due_us == 0) != is_certain)
			continue;
		count += !list_is_linked(&s->lost_node);
		if (s->path)
			s->due_us = 0; /* it is stalled: that was waited for */
		list_remove(&s->lost_node);
		list_push_back(&q->lost, &s->lost_node);
	}
	return count;
}

/* Builds the lost list anew, so that it stays in order. */
size_t sendq_collect_lost(struct sendq *q, uint64_t alive)
{
	size_t count = collect(q, alive, true);

	return count + collect(q, alive, false);
}

void sendq_not_arrived(struct path *p, uint64_t bytes)
{
	struct list *node = p->carried.prev;

	for (; bytes > 0 && node != &p->carried; node = node->prev) {
		struct segment *s = container_of(node, struct segment, path_node);

		s->due_us = 0;
		bytes -= min_u64(bytes, s->data.len);
	}
}

size_t sendq_path_lost(struct sendq *q, struct path *p, uint64_t alive)
{
	list_for_each(node, &q->segments) {
		struct segment *s = segment_of(node);

		if (is_carried_by(s, p))
			leave_path(q, s, p);
	}
	return sendq_collect_lost(q, alive);
}

void sendq_path_back(struct sendq *q, const struct path *p)
{
	list_for_each_safe(node, &q->lost) {
		struct segment *s = container_of(node, struct segment, lost_node);

		if (is_carried_by(s, p))
			list_remove(&s->lost_node);
	}
}
