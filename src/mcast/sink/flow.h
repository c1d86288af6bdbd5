/* One stream at the sink: its socket, and what came by it.
 *
 * The first packet with a stamp says which run of which generator and which of its streams this is;
 * all others are foreign. So a sink may listen to streams of several generators, and to copies that
 * a relay has sent elsewhere. */
#ifndef SINK_FLOW_H
#define SINK_FLOW_H

#include "common/base/hist.h"
#include "mcast/sink/account.h"
#include "mcast/traffic/payload.h"

#include <stddef.h>

struct flow {
	int fd;
	bool has_origin, is_over; /* is_over: kept by the sink, see account_is_over */
	uint32_t run, stream;	  /* of its generator */
	uint64_t received, bytes; /* all that was not foreign or corrupted, copies too */
	uint64_t corrupted, foreign;
	uint64_t early;		    /* came before they were sent: the clocks differ */
	uint64_t dropped_here;	    /* by its socket: the queue was full (flow_look) */
	uint64_t first_ns, last_ns; /* arrivals, CLOCK_REALTIME */
	struct hist delay_ns;
	struct account account;
};

void flow_init(struct flow *f);
void flow_take(struct flow *f, const struct payload *p, const uint8_t *bytes, size_t len,
	       uint64_t arrived_ns);
/* Lost with nobody here having dropped them. */
uint64_t flow_lost_on_way(const struct flow *f, uint64_t expect);
/* All `expect` packets came once, whole. Foreign ones do not count. */
bool flow_is_exact(const struct flow *f, uint64_t expect);

#endif
