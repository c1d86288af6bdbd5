/* What one direction of a link does to its packets, and a change of some of it, as the words of a
 * `set` command tell: rate 50mbit delay 10ms jitter 1ms loss 1% burst 0.1%:5 ... */
#ifndef EMULATOR_CORE_SETTINGS_H
#define EMULATOR_CORE_SETTINGS_H

#include "emulator/core/limits.h"

#include <stddef.h>
#include <stdint.h>

enum key {
	KEY_RATE,
	KEY_DELAY,
	KEY_JITTER,
	KEY_LOSS,
	KEY_BURST,
	KEY_REORDER,
	KEY_DUPLICATE,
	KEY_LIMIT,
	KEY_COUNT,
};

struct settings {
	uint64_t rate_bps; /* of frames as tbf counts them (Ethernet header, no preamble, no FCS);
			      0: without limit */
	uint64_t delay_ns;
	uint64_t jitter_ns;   /* the delay wanders within this on either side */
	uint64_t loss_ppb;    /* of each packet, by itself */
	uint64_t burst_ppb;   /* a burst in which all is lost begins with this packet */
	uint64_t burst_mille; /* mean length of a burst, thousandths of a packet */
	uint64_t reorder_ppb; /* held back by reorder_ns, so that others overtake it */
	uint64_t reorder_ns;
	uint64_t duplicate_ppb;
	uint64_t limit_bytes, limit_packets; /* of the queue before the rate; one of both is 0 */
};

struct change {
	unsigned keys; /* a bit of each key that is changed */
	struct settings to;
};

/* "rate", ... */
const char *key_name(enum key key);

/* No limit, delay, or loss; a queue of LIMIT_PACKETS_DEFAULT. */
void settings_init(struct settings *s);
/* One pair of words into a change that began as all zeros. `value` is altered. -EINVAL with one
 * line in `ret_why`. */
int change_add(struct change *c, const char *name, char *value, char ret_why[WHY_BYTES_MAX]);
void settings_change(struct settings *s, const struct change *c);

#endif
