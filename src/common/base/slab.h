/* Fixed-size objects from a free list: what the data path needs per frame (segments, pieces)
 * without asking the C library. One per worker thread; freed objects are kept for reuse. */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include <stddef.h>

struct slab_block;

struct slab {
	size_t object_bytes;
	void *free;
	struct slab_block *blocks;
	size_t used; /* objects handed out */
};

void slab_init(struct slab *slab, size_t object_bytes);
void slab_done(struct slab *slab);   /* every object must have been freed */
void *slab_alloc(struct slab *slab); /* uninitialised; aborts when memory is gone */
void slab_free(struct slab *slab, void *object);

static inline size_t slab_used_bytes(const struct slab *slab)
{
	return slab->used * slab->object_bytes;
}

#endif
