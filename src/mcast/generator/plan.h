/* What is to be sent, as one plain struct: the command line, checked. */
#ifndef GENERATOR_PLAN_H
#define GENERATOR_PLAN_H

#include "mcast/traffic/streams.h"

/* What one send may be cut into (UDP_MAX_SEGMENTS of older kernels). */
#define PLAN_SEGMENTS_MAX 64u
#define PLAN_BURST_MAX 1024u

struct plan {
	struct streams streams; /* its source is ours: what the packets come from */
	uint64_t rate_pps;	/* of each stream */
	uint64_t count;		/* packets of each stream; 0: without end */
	uint64_t duration_ms;	/* 0: without end */
	uint32_t size_bytes;	/* payload of UDP */
	uint32_t burst;
	uint8_t ttl;
	const char *payload; /* a file; NULL: only the pattern */
	bool is_gso, is_together, is_spinning, is_rtp;
	bool is_json, is_quiet;
};

/* EXIT_DONE with `ret_is_over`: --help or --version was all. EXIT_FAILED: one line was printed to
 * standard error. */
enum exit_code plan_parse(int argc, char **argv, struct plan *ret, bool *ret_is_over);

#endif
