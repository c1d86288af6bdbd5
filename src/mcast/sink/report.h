/* What came, for people or for programs. */
#ifndef SINK_REPORT_H
#define SINK_REPORT_H

#include "mcast/sink/sink.h"

#include <stdio.h>

/* The figures of one stream, or of all. */
struct figures {
	uint64_t received, bytes, lost, lost_on_way, dropped_here, duplicated, reordered, too_late;
	uint64_t corrupted, foreign, early;
	uint64_t first_ns, last_ns; /* arrivals, CLOCK_REALTIME */
	struct hist delay_ns;
};

struct report {
	const struct sink *sink;
	struct figures *total;
	double processor_seconds; /* of this process, user and system */
	bool is_exact;
};

/* Adds a stream up; `ret` was zeroed, its histogram initialised. */
void figures_add(struct figures *ret, const struct flow *f, uint64_t expect);
/* From the first arrival to the last one. */
double figures_seconds(const struct figures *f);
/* All streams are exact; false when nothing was expected. */
bool report_is_exact(const struct sink *s);

void report_text(const struct report *r, FILE *out);
/* One object on one line. */
void report_json(const struct report *r, FILE *out);

#endif
