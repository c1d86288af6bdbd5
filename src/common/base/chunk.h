/* Reference-counted memory for stream bytes, from one pool per worker thread.
 *
 * A chunk comes in one of a few sizes and is shared by the slices that point into it; the last
 * chunk_unref gives it back. Nothing here is thread-safe: chunks never leave their worker. The
 * pool counts chunk bytes in use against a limit; it never refuses (a reader of a subflow must
 * not wait for memory), it tells: those who take in new bytes ask it first. */
#ifndef BASE_CHUNK_H
#define BASE_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHUNK_CLASSES 4 /* 1, 4 and 16 KiB, and CHUNK_LARGE */

struct chunk_pool;

struct chunk {
	struct chunk_pool *pool;
	struct chunk *next_free;
	uint32_t refs;
	uint32_t size; /* bytes[] that may be used */
	uint32_t fill; /* bytes[] in use, from the start; the rest is free to its one writer */
	uint32_t class_index;
	uint8_t bytes[];
};

/* `len` bytes at `at`, inside `chunk`. Whether it holds a reference is said where it is used. */
struct slice {
	struct chunk *chunk;
	uint8_t *at;
	uint32_t len;
};

struct chunk_pool {
	struct chunk *free[CHUNK_CLASSES];
	uint32_t free_count[CHUNK_CLASSES];
	size_t used_bytes; /* chunks that someone refers to, by their size */
	size_t used_bytes_max;
	size_t limit_bytes;
};

void chunk_pool_init(struct chunk_pool *pool, size_t limit_bytes);

/* Every chunk must have been given back. */
void chunk_pool_done(struct chunk_pool *pool);

/* A chunk with room for at least `size` bytes (at most CHUNK_LARGE), one reference, fill 0.
 * Aborts when the C library has no memory left: a process that cannot get 128 KiB is lost. */
struct chunk *chunk_new(struct chunk_pool *pool, size_t size);

static inline struct chunk *chunk_ref(struct chunk *c)
{
	c->refs++;
	return c;
}

void chunk_unref(struct chunk *c); /* NULL is fine */

/* Memory is short: what is kept is copied together. Until then small frames may hold large chunks,
 * so this is a small part of the limit. */
static inline bool chunk_pool_is_short(const struct chunk_pool *pool)
{
	return pool->used_bytes > pool->limit_bytes / 8;
}

/* Memory is gone: nothing new is taken in from clients. */
static inline bool chunk_pool_is_full(const struct chunk_pool *pool)
{
	return pool->used_bytes >= pool->limit_bytes;
}

#endif
