/* Random and burst loss, one decision a packet. */
#include "emulator/core/loss.h"

#include "emulator/core/chance.h"

enum loss_kind loss_next(struct loss *l, const struct settings *s, struct rng *rng)
{
	if (s->burst_ppb == 0)
		l->is_burst = false; /* switched off in the middle of one */
	else if (!l->is_burst)
		l->is_burst = chance_hits(rng, s->burst_ppb);
	if (l->is_burst) {
		/* A mean of n packets: each is the last with probability 1 / n. */
		l->is_burst = !chance_hits(rng, PPB_ALL * 1000ull / s->burst_mille);
		return LOSS_BURST;
	}
	return chance_hits(rng, s->loss_ppb) ? LOSS_RANDOM : LOSS_NONE;
}
