/* All streams: joins, receives until it is to end, and knows why it ended. */
#ifndef SINK_SINK_H
#define SINK_SINK_H

#include "mcast/sink/intake.h"
#include "mcast/sink/plan.h"

enum ending { ENDING_NONE, ENDING_EXPECT, ENDING_IDLE, ENDING_DURATION, ENDING_SIGNAL };

/* "expect", ... */
const char *ending_name(enum ending e);

struct sink {
	const struct plan *plan;
	struct flow *flows; /* of each stream */
	uint32_t opened;    /* the first so many have a socket */
	int epoll_fd, signal_fd;
	struct intake *intake;
	uint64_t packets;	    /* of the streams, in all; foreign ones make nobody wait */
	uint32_t finished;	    /* streams of which nothing more is expected */
	uint64_t start_ns, last_ns; /* CLOCK_MONOTONIC; when something came last, or the start */
	enum ending ending;
};

/* A negative errno with `ret_why`. sink_close in any case. The plan is borrowed. */
int sink_open(struct sink *s, const struct plan *plan, char ret_why[WHY_BYTES_MAX]);
/* Until the end; then all counters are final. */
void sink_run(struct sink *s);
void sink_close(struct sink *s);

#endif
