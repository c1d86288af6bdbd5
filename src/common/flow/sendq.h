/* What one session has sent in one direction and not had acknowledged: segments in stream order,
 * each on the record of the paths that carry it. Reading ahead does not happen here: bytes are
 * taken from the client when a path has room (late binding), so that a segment is born sent.
 * Lost segments (no path is left that could bring them) stand in a second list: those that have
 * certainly not arrived, then those that may have, each by their offset. A path that stalls keeps
 * its record: what it carries may still arrive. */
#ifndef FLOW_SENDQ_H
#define FLOW_SENDQ_H

#include "common/base/chunk.h"
#include "common/base/list.h"
#include "common/flow/path.h"
#include "common/wire/frame.h"

struct budget;

struct segment {
	struct list node;      /* sendq.segments */
	struct list path_node; /* path->carried, of `path` */
	struct list lost_node; /* sendq.lost, while it waits to be sent again */
	uint64_t offset;
	uint64_t sent_us;  /* the last time; */
	uint64_t due_us;   /* by when that should be acknowledged (0: it will not be), */
	struct path *path; /* and on which path; NULL when all that carried it lost it */
	uint64_t carriers; /* bit i: counts in the in-flight bytes of the path with index i */
	struct rate_mark mark;
	struct slice data; /* holds a reference; len 0 for a lone FIN */
	bool is_fin;
	bool was_resent; /* or went out on two paths: no samples from it */
};

struct sendq {
	struct list segments; /* not acknowledged, by offset */
	struct list lost;
	struct path *const *slots; /* of the tunnel, by path index */
	uint64_t acked;		   /* all below is acknowledged; FIN counts one */
	uint64_t next;		   /* the next new byte's offset */
	uint64_t credit;	   /* new bytes stay below it */
	uint64_t touched;	   /* paths, by bit, that an ACK is being taken for */
	bool has_fin;		   /* FIN was sent: `next` counts it */
};

/* `slots` is borrowed. */
void sendq_init(struct sendq *q, uint64_t credit, struct path *const *slots);
void sendq_clear(struct sendq *q, struct budget *b); /* forgets all segments, also on their paths */

static inline bool sendq_is_acked(const struct sendq *q)
{
	return list_is_empty(&q->segments);
}

/* The lowest that is not acknowledged; NULL when all is. */
static inline struct segment *sendq_head(const struct sendq *q)
{
	return list_is_empty(&q->segments) ? NULL : list_first(&q->segments, struct segment, node);
}

/* New bytes at q->next go out on `p` now; takes over the slice's reference. */
struct segment *sendq_push_take(struct sendq *q, struct budget *b, struct path *p,
				struct slice data, bool is_fin, uint64_t now_us);

/* The first lost segment; NULL when none is. */
static inline struct segment *sendq_lost_head(const struct sendq *q)
{
	return list_is_empty(&q->lost) ? NULL : list_first(&q->lost, struct segment, lost_node);
}

/* The first lost segment goes out again on `p`. The lost list must not be empty. */
struct segment *sendq_resend(struct sendq *q, struct path *p, uint64_t now_us);

/* One more copy of a segment that is not lost goes out on `p`, which does not carry it yet. */
void segment_copy(struct segment *s, struct path *p, uint64_t now_us);

/* Acknowledges: frees what is covered, gives samples to the paths. `back_us` as in path_end_ack. How
 * many segments that were, or -EPROTO when it acknowledges what was never sent: then nothing has
 * changed. */
int sendq_on_ack(struct sendq *q, struct budget *b, uint64_t offset, const struct ack_info *ack,
		 uint64_t back_us, uint64_t now_us);

/* All that `p` carries is lost there. What no other path of the set `alive` carries either must be
 * sent again. Returns how many segments that are. */
size_t sendq_path_lost(struct sendq *q, struct path *p, uint64_t alive);

/* The last `bytes` sent on `p` have not arrived: once they are lost, nobody waits for their
 * acknowledgement. */
void sendq_not_arrived(struct path *p, uint64_t bytes);

/* A path has left the set `alive` and keeps its record; the rest as above. */
size_t sendq_collect_lost(struct sendq *q, uint64_t alive);

/* `p` is alive again: what it carries is not lost any more. */
void sendq_path_back(struct sendq *q, const struct path *p);

#endif
