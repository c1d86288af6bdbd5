/* Making connections: sockets bound to source addresses, and what to do after a failure. One for
 * each worker. */
#ifndef ECHO_DIAL_H
#define ECHO_DIAL_H

#include "echo/client/worker.h"

struct dial {
	const struct worker *worker;
	union address source;
	uint32_t source_used; /* connections from it */
	bool has_source;      /* there is a pool */
	bool is_last_source;  /* and no further address in it */
	uint32_t failed_in_row;
	uint64_t success_ns;   /* the last one, or the beginning */
	enum cause stopped_by; /* CAUSE_NONE: go on */
};

void dial_init(struct dial *d, const struct worker *w);
/* Is there any use in going on, for us and for the supervisor? */
bool dial_may(const struct dial *d);
/* A socket, bound but not connected; `flags` as of socket(2). A negative errno: to be handed to
 * dial_failed(). */
int dial_open(struct dial *d, int flags);
void dial_succeeded(struct dial *d);
/* `err` is negative. True: it counts as a failure of this attempt; false: another source address of
 * the pool was taken (so BOARD_SOURCES_MAX times at the most), try again. `stopped_by` is set when
 * there is no use in going on. */
bool dial_failed(struct dial *d, int err);
/* At the end: why no more were tried, if not all were, or what the last ones failed of. */
enum cause dial_stopped_by(const struct dial *d, bool were_all_tried);

#endif
