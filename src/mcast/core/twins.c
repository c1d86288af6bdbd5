/* A ring for the age and chains for the look-up, both in fixed memory: see twins.h. */
#include "mcast/core/twins.h"

#include <assert.h>

#define NONE UINT16_MAX

_Static_assert(DEDUP_WINDOW < NONE, "indices of the ring fit into 16 bits");

void twins_init(struct twins *t)
{
	*t = (struct twins){.at = 0};
	for (size_t i = 0; i < DEDUP_WINDOW; i++)
		t->buckets[i] = NONE;
}

static uint16_t *bucket_of(struct twins *t, uint64_t hash)
{
	return &t->buckets[hash % DEDUP_WINDOW];
}

static void remove_at(struct twins *t, uint16_t index)
{
	struct twin *twin = &t->ring[index];
	uint16_t *at = bucket_of(t, twin->hash);

	while (*at != index) {
		assert(*at != NONE);
		at = &t->ring[*at].next;
	}
	*at = twin->next;
	twin->is_waiting = false;
}

/* The ring says who waits; the chains are made anew, in the order of coming. */
void twins_repair(struct twins *t)
{
	for (size_t i = 0; i < DEDUP_WINDOW; i++)
		t->buckets[i] = NONE;
	t->at %= DEDUP_WINDOW;
	for (size_t i = 0; i < DEDUP_WINDOW; i++) {
		uint16_t index = (uint16_t)((t->at + i) % DEDUP_WINDOW);
		uint16_t *bucket = bucket_of(t, t->ring[index].hash);

		if (!t->ring[index].is_waiting)
			continue;
		t->ring[index].next = *bucket;
		*bucket = index;
	}
}

/* The oldest that waits for a packet with this hash by `input`, or NONE. */
static uint16_t find(struct twins *t, unsigned input, uint64_t hash)
{
	uint16_t found = NONE;

	for (uint16_t i = *bucket_of(t, hash); i != NONE; i = t->ring[i].next)
		if (t->ring[i].hash == hash && t->ring[i].input != input)
			found = i;
	return found;
}

static void add(struct twins *t, unsigned input, uint64_t hash)
{
	uint16_t index = (uint16_t)t->at, *bucket = bucket_of(t, hash);

	if (t->ring[index].is_waiting)
		remove_at(t, index);
	t->ring[index] = (struct twin){hash, *bucket, (uint8_t)input, true};
	*bucket = index;
	t->at = (t->at + 1) % DEDUP_WINDOW;
}

bool twins_take(struct twins *t, unsigned input, uint64_t hash)
{
	uint16_t twin = find(t, input, hash);

	if (twin == NONE) {
		add(t, input, hash);
		return true;
	}
	remove_at(t, twin);
	return false;
}
