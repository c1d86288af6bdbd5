/* What echo_server prints on standard output: lines for people, or of JSON for programs. */
#ifndef SERVER_REPORT_H
#define SERVER_REPORT_H

#include "echo/common/counters.h"
#include "echo/common/net.h"

#include <stdbool.h>
#include <stddef.h>

struct report {
	const char *model;
	unsigned workers;    /* processes that serve now */
	double seconds;	     /* since it was ready */
	size_t memory_bytes; /* of all processes; 0: it was not measured */
	bool is_json;
};

void report_ready(const char *model, const union address *a, bool is_json);
/* The sums of the counters of `count` workers. */
void report_counters(const struct report *r, const struct counters *counters, unsigned count);

#endif
