/* A virtual TCP connection: frames go in, are encoded, travel with a delay and a rate, arrive in
 * reads of random size and are cut into frames again. In order and reliable until it dies: then
 * what was on its way in both directions is lost, and each side sees it somewhat later. It may also
 * carry nothing for a while, in one direction or both, and then go on with nothing lost, as TCP
 * does.
 *
 * A link is made with two open sides; each is closed once by its user, in or after ops->dead.
 * The link frees itself when both are. */
#ifndef SIM_VLINK_H
#define SIM_VLINK_H

#include "world.h"

#include "common/base/chunk.h"
#include "common/wire/deframer.h"

struct vlink;
struct vside;

struct vside_ops {
	void (*frame)(struct vside *s, const struct deframed *f);
	void (*batch)(struct vside *s); /* after some frames */
	void (*room)(struct vside *s);	/* vlink_send had said no */
	void (*dead)(struct vside *s);	/* must close it */
	/* What it sent has not been acknowledged for VLINK_STALL_SEEN_US, or is again. NULL: not
	 * told; it is in is_stalled. */
	void (*stalled)(struct vside *s, bool is_stalled);
};

struct vside {
	struct vlink *link;
	const struct vside_ops *ops;
	void *user;
	const char *name; /* of the node, for the trace */
	struct chunk_pool *pool;
	struct chunk *read; /* what arrives is put into it */
	struct deframer deframer;
	struct world_timer dead_timer;
	struct world_timer stall_timer;
	bool is_paused, is_blocked, is_closed, is_stalled;
	size_t undelivered_bytes; /* of what it sent, when it broke */
	bool has_ended; /* in ops->dead: the peer has finished, and all that it sent was read */
};

struct vseg {
	struct vseg *next;
	uint64_t arrives_us;
	size_t used, len;
	uint8_t bytes[];
};

/* One direction. */
struct vpipe {
	struct vseg *first, *last;
	size_t bytes;	  /* not yet read at the other side */
	uint64_t busy_us; /* until then it is sending what it has */
	uint64_t hold_us; /* nothing arrives before */
	struct world_timer arrival;
};

struct vlink_config {
	uint64_t delay_us, rate_Bps;
	size_t buffer_bytes; /* at or above it, the sender is blocked */
};

struct vlink {
	struct world *world;
	struct vlink_config config;
	struct vside side[2];
	struct vpipe pipe[2]; /* [i]: from side i */
	bool is_dead, is_stalled, is_fatal;
	bool is_finished; /* by one side, and what it sent has not been lost since */
	struct world_timer go_on_timer;
	unsigned busy;		   /* a delivery is under way */
	struct vlink *prev, *next; /* all links, for faults */
	struct vlink **head;
	size_t *count;
};

/* All links that live. */
struct vlinks {
	struct vlink *first;
	size_t count;
};

/* `side[1]` gets its ops and user from the node that accepts. */
struct vlink *vlink_new(struct world *w, struct vlinks *all, const struct vlink_config *config);
void vlink_attach(struct vside *s, const struct vside_ops *ops, void *user, const char *name,
		  struct chunk_pool *pool);

/* True when it takes more; false: ops->room will say when. The frame is taken in either case. */
bool vlink_send(struct vside *s, const struct frame *head, const uint8_t *control,
		const struct slice *data);
void vlink_pause(struct vside *s, bool is_paused);

/* The user lets go. The other side, when it is still open, sees the end of the connection; what
 * was sent before still arrives, or not, by chance. */
void vlink_close(struct vside *s);
/* The same in order: the other side reads all that was sent, and then sees the end. */
void vlink_finish(struct vside *s);

#define VLINK_STALL_SEEN_US (50 * US_PER_MS)

/* Nothing arrives until then in these directions (bit i: from side i), and neither side hears an
 * acknowledgement of what it sends. Then it breaks, or all that was sent arrives. */
void vlink_stall(struct vlink *l, unsigned directions, uint64_t until_us, bool is_fatal);

/* It breaks: both sides that are open see it later. */
void vlink_kill(struct vlink *l);

#endif
