/* A delay that wanders: up and down between -jitter and +jitter, each sweep of random length. At
 * any moment it is uniform in that range; it never falls faster than time passes, so that packets
 * keep their order without being pushed together, however dense they come. */
#ifndef EMULATOR_CORE_JITTER_H
#define EMULATOR_CORE_JITTER_H

#include "common/base/rng.h"

#include <stdbool.h>
#include <stdint.h>

struct jitter {
	uint64_t range_ns; /* the sweep was made for it */
	uint64_t start_ns, length_ns;
	bool is_falling;
};

/* The offset at a time that is not before that of the last call; within [-range, range]. */
int64_t jitter_at(struct jitter *j, uint64_t now_ns, uint64_t range_ns, struct rng *rng);

#endif
