/* Fixed-size objects, carved from blocks that are kept until the slab ends: the number of
 * objects is bounded by the memory limit that their users keep. */
#include "common/base/slab.h"

#include <assert.h>
#include <stdlib.h>

#define OBJECTS_PER_BLOCK 256

struct slab_block {
	struct slab_block *next;
	max_align_t objects[];
};

void slab_init(struct slab *slab, size_t object_bytes)
{
	size_t align = sizeof(max_align_t);

	*slab = (struct slab){.object_bytes = (object_bytes + align - 1) / align * align};
}

void slab_done(struct slab *slab)
{
	assert(slab->used == 0);
	while (slab->blocks) {
		struct slab_block *block = slab->blocks;

		slab->blocks = block->next;
		free(block);
	}
}

static void add_block(struct slab *slab)
{
	struct slab_block *block = malloc(sizeof(*block) + OBJECTS_PER_BLOCK * slab->object_bytes);
	char *at;

	if (!block)
		abort();
	block->next = slab->blocks;
	slab->blocks = block;
	at = (char *)block->objects;
	for (int i = 0; i < OBJECTS_PER_BLOCK; i++, at += slab->object_bytes) {
		*(void **)at = slab->free;
		slab->free = at;
	}
}

void *slab_alloc(struct slab *slab)
{
	void *object;

	if (!slab->free)
		add_block(slab);
	object = slab->free;
	slab->free = *(void **)object;
	slab->used++;
	return object;
}

void slab_free(struct slab *slab, void *object)
{
	*(void **)object = slab->free;
	slab->free = object;
	slab->used--;
}
