/* What was sent, how late, and what the kernel refused. */
#ifndef GENERATOR_TALLY_H
#define GENERATOR_TALLY_H

#include "common/base/hist.h"

#include <stddef.h>
#include <stdint.h>

/* More kinds of errors than sendmmsg(2) has for a datagram; further ones count as the last. */
#define TALLY_ERRORS_MAX 16u

struct tally_error {
	int number; /* errno */
	uint64_t times;
};

struct tally {
	uint64_t packets, bytes; /* payload */
	uint64_t unsent;	 /* given up after an error that waiting does not cure */
	uint64_t start_ns, last_ns;
	uint64_t slipped_ns; /* how much later all is due than it was planned at first */
	struct hist late_ns; /* of each packet, from when it was due to just before its send */
	struct tally_error errors[TALLY_ERRORS_MAX];
	size_t error_count;
};

void tally_init(struct tally *t);
void tally_error(struct tally *t, int number);

#endif
