/* A direction in virtual time for tests: numbered packets in, what comes out with its time. */
#ifndef TEST_EMULATOR_LANE_H
#define TEST_EMULATOR_LANE_H

#include "emulator/core/direction.h"

#include <stdbool.h>

#define MS 1000000ull
#define US 1000ull
#define SECOND 1000000000ull

#define EXITS_MAX 32768u

struct exit {
	uint64_t number; /* of the packet, from 0 in the order of pushing */
	uint64_t at_ns;
	uint32_t len;
};

struct lane {
	struct slab slab;
	struct direction direction;
	uint64_t now_ns;
	uint64_t pushed;	      /* the number of the next packet */
	struct exit exits[EXITS_MAX]; /* came out before the last push */
	size_t exit_count, exit_taken;
};

void lane_init(struct lane *l, uint64_t seed);
void lane_done(struct lane *l);
/* "rate 50mbit delay 10ms"; must be good. */
void lane_set(struct lane *l, const char *words);
void lane_push(struct lane *l, uint64_t now_ns, uint32_t len);
/* The next to come out, at the time that the direction named for it; false when none is there. */
bool lane_pop(struct lane *l, struct exit *ret);

#endif
