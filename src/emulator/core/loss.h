/* Which packets a link loses: each by itself with one probability, and bursts in which all are
 * lost (Gilbert 1960, Elliott 1963: two states; here the bad one loses everything, the good one
 * what `loss` says). Lengths of bursts are geometric with the mean that was asked for. */
#ifndef EMULATOR_CORE_LOSS_H
#define EMULATOR_CORE_LOSS_H

#include "common/base/rng.h"
#include "emulator/core/settings.h"

#include <stdbool.h>

enum loss_kind { LOSS_NONE, LOSS_RANDOM, LOSS_BURST };

struct loss {
	bool is_burst;
};

/* What becomes of the next packet. */
enum loss_kind loss_next(struct loss *l, const struct settings *s, struct rng *rng);

#endif
