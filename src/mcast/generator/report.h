/* What was sent, for people or for programs. */
#ifndef GENERATOR_REPORT_H
#define GENERATOR_REPORT_H

#include "mcast/generator/plan.h"
#include "mcast/generator/tally.h"

#include <stdio.h>

struct report {
	const struct plan *plan;
	const struct tally *tally;
	uint32_t run;
	double processor_seconds; /* of this process, user and system */
	bool is_interrupted;
};

void report_text(const struct report *r, FILE *out);
/* One object on one line. */
void report_json(const struct report *r, FILE *out);

#endif
