/* Runs of received bytes: the one that can be delivered, and a treap of those beyond gaps. */
#include "common/flow/reorder.h"

#include "common/base/limits.h"
#include "common/base/minmax.h"
#include "common/flow/budget.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

void reorder_init(struct reorder *r, uint64_t seed)
{
	*r = (struct reorder){.fin_offset = UINT64_MAX, .seed = seed | 1};
}

/* ---- pieces ---- */

static void pieces_free(struct piece *p, struct budget *b)
{
	while (p) {
		struct piece *next = p->next;

		chunk_unref(p->data.chunk);
		slab_free(&b->pieces, p);
		p = next;
	}
}

/* Small payloads, and half-empty chunks when memory is short, are copied together. */
static bool is_copied(const struct budget *b, const struct slice *data)
{
	if (data->len <= COPYBREAK_BYTES)
		return true;
	return chunk_pool_is_short(&b->chunks) && data->len < data->chunk->size / 2;
}

/* The session's own chunk, with room for some of `len` bytes. A session that keeps little costs
 * little: a new chunk is at most as large as what is held already. */
static struct chunk *keep_room(struct reorder *r, struct budget *b, uint32_t len)
{
	struct chunk *c = r->keep;
	uint64_t size = max_u64(r->held_bytes, len);

	if (c && c->refs == 1)
		c->fill = 0;
	if (c && c->fill < c->size)
		return c;
	chunk_unref(c);
	r->keep = chunk_new(&b->chunks, min_u64(size, KEEP_CHUNK_BYTES));
	return r->keep;
}

/* A slice of its own over the same bytes, or, when they are copied, over as many of the first as
 * the chunk has room for. */
static struct slice slice_keep(struct reorder *r, struct budget *b, const struct slice *data)
{
	struct slice kept = *data;
	struct chunk *c;

	if (!is_copied(b, data)) {
		chunk_ref(kept.chunk);
		return kept;
	}
	c = keep_room(r, b, data->len);
	kept.chunk = chunk_ref(c);
	kept.at = c->bytes + c->fill;
	kept.len = min_u32(data->len, c->size - c->fill);
	memcpy(kept.at, data->at, kept.len);
	c->fill += kept.len;
	return kept;
}

/* Appends behind `*last`; bytes that are neighbours in memory become one piece. */
static void piece_append(struct reorder *r, struct piece **first, struct piece **last,
			 struct budget *b, struct slice kept)
{
	struct piece *p = *last, *added;

	r->held_bytes += kept.len;
	if (p && p->data.chunk == kept.chunk && p->data.at + p->data.len == kept.at) {
		p->data.len += kept.len;
		chunk_unref(kept.chunk);
		return;
	}
	added = slab_alloc(&b->pieces);
	r->piece_count++;
	*added = (struct piece){.data = kept};
	if (p)
		p->next = added;
	else
		*first = added;
	*last = added;
}

static void pieces_append(struct reorder *r, struct piece **first, struct piece **last,
			  struct budget *b, struct slice part)
{
	while (part.len > 0) {
		struct slice kept = slice_keep(r, b, &part);

		piece_append(r, first, last, b, kept);
		part.at += kept.len;
		part.len -= kept.len;
	}
}

/* ---- the treap of runs ---- */

/* xorshift64 (Marsaglia 2003): priorities need no more. */
static uint64_t next_priority(struct reorder *r)
{
	r->seed ^= r->seed << 13;
	r->seed ^= r->seed >> 7;
	r->seed ^= r->seed << 17;
	return r->seed;
}

/* Runs that start below `offset` to the left, the others to the right. */
static void treap_split(struct run *t, uint64_t offset, struct run **left, struct run **right)
{
	if (!t) {
		*left = *right = NULL;
	} else if (t->start < offset) {
		treap_split(t->right, offset, &t->right, right);
		*left = t;
	} else {
		treap_split(t->left, offset, left, &t->left);
		*right = t;
	}
}

static struct run *treap_merge(struct run *left, struct run *right)
{
	if (!left || !right)
		return left ? left : right;
	if (left->priority > right->priority) {
		left->right = treap_merge(left->right, right);
		return left;
	}
	right->left = treap_merge(left, right->left);
	return right;
}

static void treap_insert(struct run **root, struct run *run)
{
	struct run *left, *right;

	treap_split(*root, run->start, &left, &right);
	*root = treap_merge(treap_merge(left, run), right);
}

static void treap_remove(struct run **root, const struct run *run)
{
	while (*root != run) {
		assert(*root);
		root = run->start < (*root)->start ? &(*root)->left : &(*root)->right;
	}
	*root = treap_merge(run->left, run->right);
}

/* The last run that starts at or below `offset`, or NULL. */
static struct run *treap_floor(struct run *t, uint64_t offset)
{
	struct run *best = NULL;

	while (t) {
		if (t->start <= offset) {
			best = t;
			t = t->right;
		} else {
			t = t->left;
		}
	}
	return best;
}

/* The first run that starts above `offset`, or NULL. */
static struct run *treap_above(struct run *t, uint64_t offset)
{
	struct run *best = NULL;

	while (t) {
		if (t->start > offset) {
			best = t;
			t = t->left;
		} else {
			t = t->right;
		}
	}
	return best;
}

static void runs_free(struct run *t, struct budget *b)
{
	if (!t)
		return;
	runs_free(t->left, b);
	runs_free(t->right, b);
	pieces_free(t->first, b);
	slab_free(&b->runs, t);
}

/* ---- inserting ---- */

/* The first run beyond the gap joins what can be delivered, once the gap is closed. */
static void take_over_runs(struct reorder *r, struct budget *b)
{
	struct run *run = treap_above(r->gaps, 0);

	while (run && run->start == r->next) {
		treap_remove(&r->gaps, run);
		if (r->last)
			r->last->next = run->first;
		else
			r->first = run->first;
		r->last = run->last;
		r->next = run->end;
		slab_free(&b->runs, run);
		run = treap_above(r->gaps, 0);
	}
}

static void insert_beyond_gap(struct reorder *r, struct budget *b, struct run *floor,
			      uint64_t offset, const struct slice *part)
{
	struct run *run = floor && floor->end == offset ? floor : NULL;
	struct run *above = treap_above(r->gaps, offset);

	if (!run) {
		run = slab_alloc(&b->runs);
		*run = (struct run){.start = offset, .end = offset, .priority = next_priority(r)};
		treap_insert(&r->gaps, run);
	}
	pieces_append(r, &run->first, &run->last, b, *part);
	run->end += part->len;
	if (above && above->start == run->end) {
		treap_remove(&r->gaps, above);
		run->last->next = above->first;
		run->last = above->last;
		run->end = above->end;
		slab_free(&b->runs, above);
	}
}

/* A part that nothing covers. */
static void insert_part(struct reorder *r, struct budget *b, struct run *floor, uint64_t offset,
			const struct slice *part)
{
	if (offset != r->next) {
		insert_beyond_gap(r, b, floor, offset, part);
		return;
	}
	pieces_append(r, &r->first, &r->last, b, *part);
	r->next += part->len;
	if (r->gaps)
		take_over_runs(r, b);
}

uint32_t reorder_insert(struct reorder *r, struct budget *b, uint64_t offset,
			const struct slice *data)
{
	uint64_t end = offset + data->len, at = offset;
	uint32_t added = 0;

	if (end > r->highest)
		r->highest = end;
	while (at < end) {
		struct run *floor = r->gaps ? treap_floor(r->gaps, at) : NULL;
		struct run *above = r->gaps ? treap_above(r->gaps, at) : NULL;
		uint64_t stop = above && above->start < end ? above->start : end;
		struct slice part = {.chunk = data->chunk};

		if (floor && floor->end > at) {
			at = floor->end;
			continue;
		}
		/* The part before may have closed the gap to a run, and all of that is here. */
		if (at < r->next) {
			at = r->next;
			continue;
		}
		part.at = data->at + (at - offset);
		part.len = (uint32_t)(stop - at);
		insert_part(r, b, floor, at, &part);
		added += part.len;
		at = stop;
	}
	return added;
}

int reorder_set_fin(struct reorder *r, uint64_t offset)
{
	if (r->fin_offset != UINT64_MAX)
		return r->fin_offset == offset ? 0 : -EPROTO;
	if (offset < r->highest)
		return -EPROTO;
	r->fin_offset = offset;
	return 0;
}

/* ---- delivering ---- */

int reorder_peek(const struct reorder *r, struct iovec *ret_iov, int count)
{
	int n = 0;

	for (const struct piece *p = r->first; p && n < count; p = p->next, n++)
		ret_iov[n] = (struct iovec){.iov_base = p->data.at, .iov_len = p->data.len};
	return n;
}

void reorder_consume(struct reorder *r, struct budget *b, uint64_t len)
{
	assert(len <= r->next - r->consumed);
	r->consumed += len;
	r->held_bytes -= len;
	while (len > 0) {
		struct piece *p = r->first;

		assert(p); /* [consumed, next) has no hole */
		if (len < p->data.len) {
			p->data.at += len;
			p->data.len -= (uint32_t)len;
			return;
		}
		len -= p->data.len;
		r->first = p->next;
		if (!r->first)
			r->last = NULL;
		p->next = NULL;
		pieces_free(p, b);
		r->piece_count--;
	}
	/* Nothing is kept: an idle session costs no buffer. */
	if (!r->first && !r->gaps) {
		chunk_unref(r->keep);
		r->keep = NULL;
	}
}

uint32_t reorder_ranges(struct reorder *r, struct range *ret_ranges, uint32_t max)
{
	uint64_t at = r->told > r->next ? r->told : r->next;
	uint32_t n = 0;

	for (; r->gaps && n < max; n++) {
		const struct run *run = treap_above(r->gaps, at);

		if (!run)
			break;
		ret_ranges[n] = (struct range){run->start, run->end};
		at = run->start;
	}
	/* The end is reached: the next ones are the first again. */
	r->told = n == max ? at : 0;
	return n;
}

void reorder_clear(struct reorder *r, struct budget *b)
{
	pieces_free(r->first, b);
	runs_free(r->gaps, b);
	chunk_unref(r->keep);
	r->first = r->last = NULL;
	r->gaps = NULL;
	r->piece_count = 0;
	r->held_bytes = 0;
	r->keep = NULL;
}
