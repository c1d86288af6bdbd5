/* A hash table from 64-bit keys (never 0) to pointers: open addressing, linear probing,
 * backward-shift deletion, grows at 3/4 full and shrinks at 1/8. It owns its slots, not the
 * values. */
#ifndef BASE_IDMAP_H
#define BASE_IDMAP_H

#include <stddef.h>
#include <stdint.h>

struct idmap_slot {
	uint64_t key;
	void *value;
};

struct idmap {
	struct idmap_slot *slots;
	size_t mask; /* slots - 1, or 0 when there are none */
	size_t count;
};

void idmap_init(struct idmap *m);
void idmap_done(struct idmap *m);
void *idmap_get(const struct idmap *m, uint64_t key); /* NULL when there is none */
/* The key must not be there. */
void idmap_put(struct idmap *m, uint64_t key, void *value);
/* The value that was there, or NULL. */
void *idmap_remove(struct idmap *m, uint64_t key);

/* Every value, in no order: `*cursor` starts at 0; NULL at the end. The map must not change. */
void *idmap_next(const struct idmap *m, size_t *cursor);

#endif
