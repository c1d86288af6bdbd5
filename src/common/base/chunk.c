/* The chunk pool: one free list per size class, last in first out, so that the next chunk is one
 * whose bytes are still in the cache. Chunks beyond the spares go back to the C library, which
 * keeps blocks of this size on its heap and does not map and unmap them one by one. */
#include "common/base/chunk.h"

#include "common/base/limits.h"

#include <assert.h>
#include <malloc.h>
#include <sanitizer/asan_interface.h> /* its macros are empty in any other build */
#include <stdlib.h>

static const uint32_t class_sizes[CHUNK_CLASSES] = {1 * KIB, 4 * KIB, 16 * KIB, CHUNK_LARGE};

/* malloc maps larger blocks one by one, which costs more than what is done with a chunk. */
#define HEAP_BLOCK_BYTES (2 * CHUNK_LARGE)

void chunk_pool_init(struct chunk_pool *pool, size_t limit_bytes)
{
	/* Process-wide; each pool says the same. */
	mallopt(M_TRIM_THRESHOLD, HEAP_TRIM_BYTES);
	mallopt(M_MMAP_THRESHOLD, HEAP_BLOCK_BYTES);
	*pool = (struct chunk_pool){.limit_bytes = limit_bytes};
}

void chunk_pool_done(struct chunk_pool *pool)
{
	if (!pool)
		return;
	assert(pool->used_bytes == 0);
	for (int i = 0; i < CHUNK_CLASSES; i++) {
		while (pool->free[i]) {
			struct chunk *c = pool->free[i];

			pool->free[i] = c->next_free;
			free(c);
		}
		pool->free_count[i] = 0;
	}
}

static uint32_t class_for(size_t size)
{
	uint32_t i = 0;

	assert(size <= CHUNK_LARGE);
	while (class_sizes[i] < size)
		i++;
	return i;
}

static struct chunk *spare_pop(struct chunk_pool *pool, uint32_t class_index)
{
	struct chunk *c = pool->free[class_index];

	if (!c)
		return NULL;
	pool->free[class_index] = c->next_free;
	pool->free_count[class_index]--;
	ASAN_UNPOISON_MEMORY_REGION(c->bytes, c->size);
	return c;
}

static struct chunk *chunk_alloc(struct chunk_pool *pool, uint32_t class_index)
{
	struct chunk *c = malloc(sizeof(*c) + class_sizes[class_index]);

	if (!c)
		abort();
	c->pool = pool;
	c->size = class_sizes[class_index];
	c->class_index = class_index;
	return c;
}

struct chunk *chunk_new(struct chunk_pool *pool, size_t size)
{
	uint32_t class_index = class_for(size);
	struct chunk *c = spare_pop(pool, class_index);

	if (!c)
		c = chunk_alloc(pool, class_index);
	c->next_free = NULL;
	c->refs = 1;
	c->fill = 0;
	pool->used_bytes += c->size;
	if (pool->used_bytes > pool->used_bytes_max)
		pool->used_bytes_max = pool->used_bytes;
	return c;
}

static void chunk_give_back(struct chunk *c)
{
	struct chunk_pool *pool = c->pool;

	pool->used_bytes -= c->size;
	if (pool->free_count[c->class_index] >= CHUNK_SPARES) {
		free(c);
		return;
	}
	c->next_free = pool->free[c->class_index];
	pool->free[c->class_index] = c;
	pool->free_count[c->class_index]++;
	/* A spare is as dead as freed memory: let ASan see whoever still holds a slice of it. */
	ASAN_POISON_MEMORY_REGION(c->bytes, c->size);
}

void chunk_unref(struct chunk *c)
{
	if (!c)
		return;
	assert(c->refs > 0);
	if (--c->refs == 0)
		chunk_give_back(c);
}
