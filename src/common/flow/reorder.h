/* Puts one session's received bytes into order. Bytes stay in the chunk they came in, or are
 * copied beside their neighbours when they are small (see COPYBREAK_BYTES).
 *
 * Bytes are kept as runs: a run is a stretch without a gap, made of pieces. The first run, when
 * it starts at `consumed`, is what can be delivered; the others stand in a treap by offset
 * (Seidel and Aragon 1996), so that thousands of gaps cost no more than a few. */
#ifndef FLOW_REORDER_H
#define FLOW_REORDER_H

#include "common/base/chunk.h"
#include "common/base/rangeset.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct budget;

struct piece {
	struct piece *next;
	struct slice data; /* holds a reference */
};

struct run {
	uint64_t start, end;
	struct piece *first, *last;
	struct run *left, *right; /* treap by start */
	uint64_t priority;
};

struct reorder {
	uint64_t consumed;	    /* delivered below */
	uint64_t next;		    /* held in order or delivered below */
	uint64_t highest;	    /* end of the farthest byte seen */
	uint64_t fin_offset;	    /* UINT64_MAX while unknown */
	struct piece *first, *last; /* [consumed, next) */
	struct run *gaps;	    /* what lies beyond a gap */
	uint64_t held_bytes;	    /* in all runs */
	struct chunk *keep;	    /* small pieces are copied into it */
	uint32_t piece_count;	    /* in all runs */
	uint64_t told;		    /* reorder_ranges goes on above it */
	uint64_t seed;
};

/* The peer must not know `seed`: who can tell the treap's priorities chooses offsets that make it a
 * list, as deep as there are runs, and the stack with it. */
void reorder_init(struct reorder *r, uint64_t seed);
void reorder_clear(struct reorder *r, struct budget *b);

/* Takes bytes at `offset` (borrowed). Returns how many were new. The caller has checked credit. */
uint32_t reorder_insert(struct reorder *r, struct budget *b, uint64_t offset,
			const struct slice *data);

/* The stream ends at `offset`. -EPROTO: it ended elsewhere before, or bytes beyond it are here. */
int reorder_set_fin(struct reorder *r, uint64_t offset);

/* All bytes before FIN were delivered. */
static inline bool reorder_is_at_fin(const struct reorder *r)
{
	return r->consumed == r->fin_offset;
}

static inline bool reorder_has_bytes(const struct reorder *r)
{
	return r->next > r->consumed;
}

/* Up to `count` buffers of bytes in order, borrowed until the next call that changes. */
int reorder_peek(const struct reorder *r, struct iovec *ret_iov, int count);
void reorder_consume(struct reorder *r, struct budget *b, uint64_t len);

/* Ranges beyond the gap, ascending; returns how many (at most `max`). When there are more, the next
 * call goes on behind them, so that all are told of in turn. */
uint32_t reorder_ranges(struct reorder *r, struct range *ret_ranges, uint32_t max);

/* What is kept beside the bytes: at most a run for each piece. */
static inline size_t reorder_overhead_bytes(const struct reorder *r)
{
	return r->piece_count * (sizeof(struct piece) + sizeof(struct run));
}

/* What an acknowledgement says: `next`, one more when FIN is in place. */
static inline uint64_t reorder_ack_offset(const struct reorder *r)
{
	return r->next + (r->next == r->fin_offset);
}

#endif
