/* The table behind session ids: open addressing with linear probing. Removal shifts later slots
 * back instead of leaving tombstones, so that a map that lives for weeks does not silt up. */
#include "common/base/idmap.h"

#include <assert.h>
#include <stdlib.h>

#define SLOTS_MIN 16u /* a power of two, as every size is: one cache line of work to scan */

void idmap_init(struct idmap *m)
{
	*m = (struct idmap){0};
}

void idmap_done(struct idmap *m)
{
	if (!m)
		return;
	free(m->slots);
	idmap_init(m);
}

/* Where `key` would like to be. Ids count up, so the high half of the product must take part:
 * the low bits alone would keep equal steps between keys as equal steps between slots. */
static size_t home(const struct idmap *m, uint64_t key)
{
	uint64_t product = key * 0x9e3779b97f4a7c15;

	return (size_t)(product >> 32) & m->mask;
}

/* The slot that holds `key`, or the free one where it would go. */
static size_t probe(const struct idmap *m, uint64_t key)
{
	size_t i = home(m, key);

	while (m->slots[i].key != 0 && m->slots[i].key != key)
		i = (i + 1) & m->mask;
	return i;
}

void *idmap_get(const struct idmap *m, uint64_t key)
{
	if (m->count == 0 || key == 0)
		return NULL;
	return m->slots[probe(m, key)].value; /* NULL in a free slot */
}

static size_t slot_count(const struct idmap *m)
{
	return m->slots ? m->mask + 1 : 0;
}

static void resize(struct idmap *m, size_t slots)
{
	struct idmap_slot *old = m->slots;
	size_t old_count = slot_count(m);

	m->slots = calloc(slots, sizeof(*m->slots));
	if (!m->slots)
		abort();
	m->mask = slots - 1;
	for (size_t i = 0; i < old_count; i++) {
		if (old[i].key != 0)
			m->slots[probe(m, old[i].key)] = old[i];
	}
	free(old);
}

void idmap_put(struct idmap *m, uint64_t key, void *value)
{
	size_t slots = slot_count(m);
	size_t i;

	assert(key != 0);
	if (slots == 0)
		resize(m, SLOTS_MIN);
	else if ((m->count + 1) * 4 > slots * 3)
		resize(m, slots * 2);
	i = probe(m, key);
	assert(m->slots[i].key == 0);
	m->slots[i] = (struct idmap_slot){key, value};
	m->count++;
}

/* Fills the hole at `hole` with the next slot of its run that may stand there, and goes on with
 * the hole that this leaves: a slot may move back to anywhere not before its home. */
static void close_hole(struct idmap *m, size_t hole)
{
	for (size_t i = (hole + 1) & m->mask; m->slots[i].key != 0; i = (i + 1) & m->mask) {
		size_t from_home = (i - home(m, m->slots[i].key)) & m->mask;

		if (from_home < ((i - hole) & m->mask))
			continue;
		m->slots[hole] = m->slots[i];
		hole = i;
	}
	m->slots[hole] = (struct idmap_slot){0};
}

void *idmap_remove(struct idmap *m, uint64_t key)
{
	size_t i;
	void *value;

	if (m->count == 0 || key == 0)
		return NULL;
	i = probe(m, key);
	if (m->slots[i].key == 0)
		return NULL;
	value = m->slots[i].value;
	close_hole(m, i);
	m->count--;
	if (slot_count(m) > SLOTS_MIN && m->count * 8 < slot_count(m))
		resize(m, slot_count(m) / 2);
	return value;
}

void *idmap_next(const struct idmap *m, size_t *cursor)
{
	while (*cursor < slot_count(m)) {
		const struct idmap_slot *slot = &m->slots[(*cursor)++];

		if (slot->key != 0)
			return slot->value;
	}
	return NULL;
}
