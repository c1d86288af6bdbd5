/* One block of random bytes; a stream is that block over and over, from a place of its own. */
#include "common/base/pattern.h"

#include "common/base/rng.h"

#include <string.h>

/* How far apart the streams of two neighbouring seeds begin in the pattern. */
#define SEED_STEP 7919u

void pattern_init(struct pattern *p)
{
	struct rng rng;

	rng_init(&rng, 1);
	for (size_t i = 0; i < PATTERN_BYTES; i++)
		p->bytes[i] = (uint8_t)rng_u64(&rng);
	memcpy(p->bytes + PATTERN_BYTES, p->bytes, PATTERN_BYTES);
}

const uint8_t *pattern_at(const struct pattern *p, uint64_t seed, uint64_t offset)
{
	return p->bytes + (seed % PATTERN_BYTES * SEED_STEP + offset) % PATTERN_BYTES;
}
