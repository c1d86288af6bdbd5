/* One throw of the dice: the probabilities of a link are parts of a thousand million. */
#ifndef EMULATOR_CORE_CHANCE_H
#define EMULATOR_CORE_CHANCE_H

#include "common/base/rng.h"
#include "emulator/core/quantity.h"

#include <stdbool.h>

/* No number is drawn for 0: a link that loses nothing repeats whatever else is asked of it. */
static inline bool chance_hits(struct rng *rng, uint64_t ppb)
{
	return ppb > 0 && rng_unit(rng) * PPB_ALL < (double)ppb;
}

#endif
