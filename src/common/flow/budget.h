/* What one worker may keep in memory, and the pools it comes from.
 *
 * Received bytes are promised before they come (credit): each session always has its first credit;
 * what goes beyond it is counted here, and a new promise is at most an eighth of what is left of
 * half the limit. No promise is ever taken back: when first credits take the place of what was
 * promised beyond them, the sum is at most three quarters of the limit for a while. */
#ifndef FLOW_BUDGET_H
#define FLOW_BUDGET_H

#include "common/base/chunk.h"
#include "common/base/limits.h"
#include "common/base/slab.h"

#include <stdbool.h>

struct budget {
	struct chunk_pool chunks;
	struct slab segments; /* sendq.c */
	struct slab pieces;   /* reorder.c */
	struct slab runs;     /* reorder.c */
	struct chunk *fill;   /* reads from clients are packed into it, one after another */
	size_t granted_bytes; /* promised beyond first credits, not yet consumed */
	size_t granted_bytes_max;
	uint32_t sessions, sessions_max;
	size_t finished_ranges; /* in all tunnels */
	uint32_t first_credit;
};

void budget_init(struct budget *b, size_t limit_bytes, uint32_t sessions_max,
		 uint32_t first_credit);
void budget_done(struct budget *b);

/* Buffers, and what is kept about the bytes in them: of tiny frames that is the larger part. */
static inline size_t budget_used_bytes(const struct budget *b)
{
	return b->chunks.used_bytes + slab_used_bytes(&b->segments) + slab_used_bytes(&b->pieces) +
	       slab_used_bytes(&b->runs);
}

/* Nothing new is taken in from clients and servers. */
static inline bool budget_is_full(const struct budget *b)
{
	return budget_used_bytes(b) >= b->chunks.limit_bytes;
}

/* Not even what was promised is taken any more. */
static inline bool budget_is_exhausted(const struct budget *b)
{
	return budget_used_bytes(b) > b->chunks.limit_bytes + MEMORY_HARD_SLACK_BYTES;
}

/* How much may be promised now to one session beyond what it has. */
size_t budget_allowance(const struct budget *b);

/* Room of at least `size_min` bytes to read into: a place in the fill chunk, borrowed until the
 * next call. budget_fill_take turns the first `len` bytes of it into a slice with a reference. */
uint8_t *budget_fill_room(struct budget *b, size_t size_min, size_t *ret_size);
struct slice budget_fill_take(struct budget *b, size_t len);

#endif
