/* Which packets still expect their twin, by hash: a packet that went on waits for its copy by the
 * other input, until the copy comes or DEDUP_WINDOW others went on after it. */
#ifndef MCAST_TWINS_H
#define MCAST_TWINS_H

#include "mcast/core/dedup.h"

struct twin {
	uint64_t hash;
	uint16_t next; /* of its bucket */
	uint8_t input;
	bool is_waiting;
};

/* 80 KiB: a ring of those that went on last, and buckets of those that wait, newest first. */
struct twins {
	struct twin ring[DEDUP_WINDOW];
	uint16_t buckets[DEDUP_WINDOW];
	size_t at; /* where the next goes: the oldest */
};

void twins_init(struct twins *t);
/* After its last user may have died within a call: all that it knew is known, and sound. */
void twins_repair(struct twins *t);
/* True when it goes on; false when it is the copy of one that did. */
bool twins_take(struct twins *t, unsigned input, uint64_t hash);

#endif
