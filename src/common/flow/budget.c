/* The memory of one worker: pools, promises, and the chunk that small reads are packed into. */
#include "common/flow/budget.h"

#include "common/base/limits.h"
#include "common/base/minmax.h"
#include "common/flow/reorder.h"
#include "common/flow/sendq.h"

#include <assert.h>

void budget_init(struct budget *b, size_t limit_bytes, uint32_t sessions_max, uint32_t first_credit)
{
	size_t first = (size_t)sessions_max * first_credit;

	*b = (struct budget){.sessions_max = sessions_max, .first_credit = first_credit};
	chunk_pool_init(&b->chunks, limit_bytes);
	slab_init(&b->segments, sizeof(struct segment));
	slab_init(&b->pieces, sizeof(struct piece));
	slab_init(&b->runs, sizeof(struct run));
	/* Half for what is received; first credits come out of it. Sessions that are not there
	 * yet have a quarter set aside at the most. */
	b->granted_bytes_max = limit_bytes / 2 - min_u64(first, limit_bytes / 4);
}

void budget_done(struct budget *b)
{
	chunk_unref(b->fill);
	slab_done(&b->segments);
	slab_done(&b->pieces);
	slab_done(&b->runs);
	chunk_pool_done(&b->chunks);
}

size_t budget_allowance(const struct budget *b)
{
	size_t half = b->chunks.limit_bytes / 2, first = (size_t)b->sessions * b->first_credit;
	size_t max = min_u64(b->granted_bytes_max, half - min_u64(first, half));

	return max > b->granted_bytes ? (max - b->granted_bytes) / 8 : 0;
}

uint8_t *budget_fill_room(struct budget *b, size_t size_min, size_t *ret_size)
{
	struct chunk *c = b->fill;

	assert(size_min <= CHUNK_LARGE);
	if (c && c->refs == 1)
		c->fill = 0;
	if (!c || c->size - c->fill < size_min) {
		chunk_unref(c);
		c = b->fill = chunk_new(&b->chunks, CHUNK_LARGE);
	}
	*ret_size = c->size - c->fill;
	return c->bytes + c->fill;
}

struct slice budget_fill_take(struct budget *b, size_t len)
{
	struct chunk *c = b->fill;
	struct slice s = {.chunk = chunk_ref(c), .at = c->bytes + c->fill, .len = (uint32_t)len};

	c->fill += (uint32_t)len;
	return s;
}
