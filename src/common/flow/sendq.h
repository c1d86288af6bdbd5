/* What one session has sent in one direction and not had acknowledged: segments in stream order,
 * each on the record of the path that carries it. Reading ahead does not happen here: bytes are
 * taken from the client when a path has room (late binding), so that a segment is born sent.
 * Lost segments (their path died) stand in a second list, lowest offset first. */
#ifndef FLOW_SENDQ_H
#define FLOW_SENDQ_H

#include "common/base/chunk.h"
#include "common/base/list.h"
#include "common/flow/path.h"
#include "common/wire/frame.h"

struct budget;

struct segment {
	struct list node;      /* sendq.segments */
	struct list lost_node; /* sendq.lost, while it waits to be sent again */
	uint64_t offset;
	uint64_t sent_us;
	struct path *path; /* NULL while lost */
	struct rate_mark mark;
	struct slice data; /* holds a reference; len 0 for a lone FIN */
	bool is_fin;
	bool was_resent;
};

struct sendq {
	struct list segments; /* not acknowledged, by offset */
	struct list lost;
	uint64_t acked;	 /* all below is acknowledged; FIN counts one */
	uint64_t next;	 /* the next new byte's offset */
	uint64_t credit; /* new bytes stay below it */
	bool has_fin;	 /* FIN was sent: `next` counts it */
};

void sendq_init(struct sendq *q, uint64_t credit);
void sendq_clear(struct sendq *q, struct budget *b); /* forgets all segments, also on their paths */

static inline bool sendq_is_acked(const struct sendq *q)
{
	return list_is_empty(&q->segments);
}

/* New bytes at q->next go out on `p` now; takes over the slice's reference. */
struct segment *sendq_push_take(struct sendq *q, struct budget *b, struct path *p,
				struct slice data, bool is_fin, uint64_t now_us);

/* The lowest lost segment goes out again on `p`. The lost list must not be empty. */
struct segment *sendq_resend(struct sendq *q, struct path *p, uint64_t now_us);

/* Acknowledges: frees what is covered, gives samples to the paths. 0, or -EPROTO when it
 * acknowledges what was never sent: then nothing has changed. */
int sendq_on_ack(struct sendq *q, struct budget *b, uint64_t offset, const struct ack_info *ack,
		 uint64_t now_us);

/* All that `p` carries must be sent again. Returns how many segments. */
size_t sendq_path_lost(struct sendq *q, const struct path *p);

#endif
