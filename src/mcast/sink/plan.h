/* What is to be received, as one plain struct: the command line, checked. */
#ifndef SINK_PLAN_H
#define SINK_PLAN_H

#include "mcast/traffic/streams.h"

struct plan {
	struct streams streams;	       /* its source: the only one that is listened to (SSM) */
	uint64_t expect;	       /* packets of each stream; 0: not known */
	uint64_t idle_ms, duration_ms; /* 0: without end */
	uint32_t receive_buffer_bytes; /* of each socket */
	const char *payload;	       /* a file; NULL: only the pattern */
	bool is_rtp, is_json, is_quiet, is_total;
};

/* EXIT_DONE with `ret_is_over`: --help or --version was all. EXIT_FAILED: one line was printed to
 * standard error. */
enum exit_code plan_parse(int argc, char **argv, struct plan *ret, bool *ret_is_over);

#endif
