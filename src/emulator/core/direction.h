/* One direction of a link, in virtual time: packets go in with the time of their arrival and come
 * out when theirs has come. A drop-tail queue, the rate, then the wire: loss, duplication, delay
 * with jitter, reordering; at the far end the switch for a black hole. What is lost on the wire
 * has used the line, as on a real one. */
#ifndef EMULATOR_CORE_DIRECTION_H
#define EMULATOR_CORE_DIRECTION_H

#include "common/base/list.h"
#include "common/base/rng.h"
#include "common/base/slab.h"
#include "emulator/core/jitter.h"
#include "emulator/core/loss.h"
#include "emulator/core/packet.h"
#include "emulator/core/settings.h"
#include "emulator/core/shaper.h"

#include <stdbool.h>

#define NEVER_NS UINT64_MAX

/* Why packets did not come out. */
enum drop {
	DROP_QUEUE,  /* the limit of the queue */
	DROP_MEMORY, /* DIRECTION_BYTES_MAX */
	DROP_RANDOM, /* loss */
	DROP_BURST,  /* burst */
	DROP_BLACKHOLE,
	DROP_DOWN,	  /* were under way when the link went down */
	DROP_UNSUPPORTED, /* too large for the link, or a kind of large packet we cannot cut; these
			     are in no other counter */
	DROP_SEND,	  /* the kernel did not take them: too large, or the other side is not up */
	DROP_COUNT,
};

struct counters {
	uint64_t in_packets, in_bytes;	 /* large ones count after they were cut */
	uint64_t out_packets, out_bytes; /* in + duplicated = out + dropped + under way */
	uint64_t dropped[DROP_COUNT];
	uint64_t duplicated, reordered;
	uint64_t queue_bytes_max;
};

struct direction {
	struct slab *slab; /* borrowed; of the packets */
	struct settings settings;
	bool is_blackhole, is_down;
	struct rng rng;
	struct loss loss;
	struct jitter jitter;
	struct shaper shaper;
	struct list queue; /* waiting for the line; the first is on it */
	uint64_t queue_bytes, queue_packets;
	/* On the wire, each list sorted by exit: those in order, and those held back. */
	struct list flight, held;
	uint64_t flight_last_ns, held_last_ns;
	uint64_t packet_count; /* in all three lists */
	struct counters counters;
};

/* "queue", "memory", ... */
const char *drop_name(enum drop drop);

void direction_init(struct direction *d, struct slab *slab, uint64_t seed);
void direction_done(struct direction *d);

/* Takes the packet. Times never go back; an earlier one counts as the last. */
void direction_push_take(struct direction *d, struct packet *p, uint64_t now_ns);
/* The next whose time has come, the caller's then, or NULL. */
struct packet *direction_pop(struct direction *d, uint64_t now_ns);
/* Nothing comes out before this (NEVER_NS: nothing is there). A moment too early is possible when
 * jitter or loss is still to be thrown, too late is not. */
uint64_t direction_next_ns(const struct direction *d);

/* From now on: what waits goes on at the new rate, what is on the wire keeps its time. */
void direction_change(struct direction *d, const struct change *c, uint64_t now_ns);
/* Drops all that is under way, and what comes while it is down. */
void direction_set_down(struct direction *d, bool is_down);
/* A packet that ends outside of the lists. */
void direction_drop_take(struct direction *d, struct packet *p, enum drop why);

#endif
