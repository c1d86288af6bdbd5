/* How long packets take on a line of some rate: each begins when the one before it has ended, in
 * virtual time, so that late wake-ups change no rate. Exact: the fraction of a ns is carried on. */
#ifndef EMULATOR_CORE_SHAPER_H
#define EMULATOR_CORE_SHAPER_H

#include <stdint.h>

struct shaper {
	uint64_t free_ns; /* the last packet has ended */
	uint64_t carry;	  /* of a ns, in parts of the rate */
};

/* When a packet that came at `arrival_ns` has ended, were it next. */
uint64_t shaper_end(const struct shaper *s, uint64_t rate_bps, uint64_t arrival_ns, uint32_t len);
/* It is next. */
void shaper_send(struct shaper *s, uint64_t rate_bps, uint64_t arrival_ns, uint32_t len);
/* The rate changed at `now_ns`: whatever is on the line begins anew, and not in the past. */
void shaper_restart(struct shaper *s, uint64_t now_ns);

#endif
