/* A link: two ports, and what happens to packets from each to the other. ("link" is the word of
 * users; unistd.h has it already.) The packets of both directions come from its own slab. */
#ifndef EMULATOR_CABLE_H
#define EMULATOR_CABLE_H

#include "emulator/core/direction.h"
#include "emulator/port.h"

/* How far from their time packets left. */
struct lateness {
	uint64_t late_packets; /* by more than LATE_NS */
	uint64_t max_ns;
};

struct cable {
	struct list node;
	char name[LINK_NAME_MAX];
	struct port ports[2];	  /* a, b */
	struct direction ways[2]; /* a>b, b>a */
	struct lateness lateness[2];
	struct slab slab;
	size_t frame_max; /* a longer frame does not fit the link */
	bool is_down;
	struct packet *spares[BATCH_PACKETS]; /* to read into */
};

/* Opens both ends. -errno with one line in `ret_why`. */
int cable_open(struct cable *c, const char *name, const char ends[2][END_NAME_MAX], uint64_t seed,
	       char ret_why[WHY_BYTES_MAX]);
void cable_close(struct cable *c);

/* Reads a batch from one end into the direction that begins there: how many there were,
 * or a negative errno. -EBADFD: the interface is gone for ever. */
int cable_receive(struct cable *c, size_t end, struct inbox *in, uint64_t now_ns);
/* Sends all whose time has come, or comes within EARLY_NS. True when there was any. */
bool cable_deliver(struct cable *c, uint64_t now_ns);
/* When the next one's time comes; NEVER_NS when there is none. */
uint64_t cable_next_ns(const struct cable *c);

/* Takes the carrier from both ends, and drops what is under way; or brings it back. */
int cable_set_down(struct cable *c, bool is_down);

#endif
