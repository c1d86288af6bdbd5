/* Copies of packets that came before their turn: while a stream moves, the new owner has the first
 * ones before the old one has sent its last. */
#ifndef RELAY_PARK_H
#define RELAY_PARK_H

#include "mcast/relay/receive.h"

/* Of one stream: 100 ms of 300 Mbit/s; a move takes some 20. */
#define PARK_BYTES_MAX (4u * MIB)

struct parked {
	struct parked *next;
	unsigned input; /* number, of the rule's */
	struct arrival arrival;
	struct iovec iovec;
	union address from;
	uint8_t bytes[];
};

/* Zeroed: empty. */
struct park {
	struct parked *first, *last;
	size_t bytes;
	uint64_t drops; /* packets that found no room; the counters are the old owner's still */
};

/* False when it is full. */
bool park_add(struct park *p, unsigned input, const struct arrival *a);
/* Frees all, and is empty again. */
void park_done(struct park *p);

#endif
