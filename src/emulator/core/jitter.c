/* Sweeps over the whole range, one up, one down, of 4 to 8 times the jitter: at the fastest the
 * offset changes by half of the time that passes. */
#include "emulator/core/jitter.h"

#define SWEEP_MIN 4u
#define IDLE_SWEEPS 4u /* no packet for so many of the longest: where it stands is random again */

static void begin(struct jitter *j, uint64_t start_ns, struct rng *rng)
{
	j->start_ns = start_ns;
	j->length_ns = SWEEP_MIN * j->range_ns + rng_below(rng, SWEEP_MIN * j->range_ns);
	j->is_falling = !j->is_falling;
}

/* Anywhere on a sweep. */
static void begin_anywhere(struct jitter *j, uint64_t now_ns, struct rng *rng)
{
	uint64_t passed;

	j->is_falling = rng_below(rng, 2);
	begin(j, now_ns, rng);
	passed = rng_below(rng, j->length_ns);
	j->start_ns -= passed < now_ns ? passed : now_ns;
}

int64_t jitter_at(struct jitter *j, uint64_t now_ns, uint64_t range_ns, struct rng *rng)
{
	uint64_t idle_ns = IDLE_SWEEPS * 2 * SWEEP_MIN * range_ns;
	double share;

	if (range_ns == 0)
		return 0;
	if (j->range_ns != range_ns || now_ns - j->start_ns > idle_ns) {
		j->range_ns = range_ns;
		begin_anywhere(j, now_ns, rng);
	}
	while (now_ns - j->start_ns >= j->length_ns)
		begin(j, j->start_ns + j->length_ns, rng);
	share = (double)(now_ns - j->start_ns) / (double)j->length_ns;
	if (j->is_falling)
		share = 1 - share;
	return (int64_t)((2 * share - 1) * (double)range_ns);
}
