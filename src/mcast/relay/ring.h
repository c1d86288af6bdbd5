/* Packets of an interface as they come off the link, in memory that is shared with the kernel. Each
 * reader gets a share of them (steer.h). There are two kinds: packet sockets (ring_packet.c) and
 * XDP sockets (ring_xdp.c).
 *
 * A ring's memory belongs to its socket, and how far it was read stands where others see it. So a
 * worker that maps the ring of a dead one goes on behind the last packet that that one took. */
#ifndef RELAY_RING_H
#define RELAY_RING_H

#include "common/base/list.h"
#include "mcast/common/board.h"
#include "mcast/core/datagram.h"
#include "mcast/relay/message.h"
#include "mcast/relay/steer.h"

#include <stdbool.h>

/* The seat of an interface's first ring, its founder: it has what its rings share, and no packets
 * for anybody. */
#define RING_SEAT_FOUNDER BOARD_WORKERS_MAX

/* Of a ring itself: the socket, and what only a founder has. */
#define RING_OWN_FDS_MAX 3u
/* A message of a ring has the maps, too. */
_Static_assert(RING_OWN_FDS_MAX + STEER_FDS_MAX <= MESSAGE_FDS_MAX, "a message of a ring");

struct ring_kind;

/* The first member of each kind's own. */
struct ring {
	struct list node;
	const struct ring_kind *kind;
	uint32_t id; /* its place on the board */
	uint32_t interface, queue, seat;
	uint32_t member;	   /* what the maps call it */
	uint32_t size;		   /* in blocks or frames; a founder's: what its rings share */
	int fds[RING_OWN_FDS_MAX]; /* the socket first; -1: none */

	/* Of the one who reads it. */
	struct board_ring *board; /* NULL: somebody else does */
	uint64_t asked_place;	  /* of a packet that nobody knew; receive_ring.c */
};

struct ring_packet {
	const uint8_t *bytes; /* from its IP header on; they stay until it is given back */
	size_t len;
	uint32_t segment_bytes; /* several datagrams of this length each; 0: one */
	enum datagram_sum sum;
};

struct ring_kind {
	const char *name;    /* of --rx */
	size_t object_bytes; /* of the struct that begins with struct ring */
	enum steer_kind steer;
	/* What has a ring is also given to the sockets that have joined, which must drop it. */
	bool is_copy;

	/* ---- the supervisor ---- */

	/* A size for `bytes` of memory. */
	uint32_t (*size_for)(size_t bytes);
	/* Fills the descriptors of a ring of which the rest is filled. `founder` is that of its
	 * interface and queue; of a founder, that of the interface's queue before, or NULL. 0 or a
	 * negative errno; -EINVAL: there is no such queue. */
	int (*open)(struct ring *r, const struct ring *founder, int program_fd);
	/* By the kernel, at a full ring. */
	uint64_t (*drops)(const struct ring *r, const struct board_ring *counted);

	/* ---- its reader ---- */

	/* With r->board. 0 or a negative errno. */
	int (*map)(struct ring *r, const struct ring *founder);
	void (*unmap)(struct ring *r);
	/* The first packet that was not taken yet; false: none is there now. */
	bool (*peek)(struct ring *r, struct ring_packet *ret);
	/* That one is taken: whatever happens, nobody sees it again. */
	void (*take)(struct ring *r);
	/* What was taken is not needed any more. */
	void (*give_back)(struct ring *r);

	/* Of the first packet that was not taken; never 0. */
	uint64_t (*place)(const struct ring *r);
	/* A mark behind all that is in the ring now, and whether all before it was taken. */
	uint64_t (*mark)(const struct ring *r);
	bool (*is_past)(const struct ring *r, uint64_t mark);
};

extern const struct ring_kind ring_packet, ring_xdp;

struct ring *ring_new(const struct ring_kind *kind);
/* Unmaps and closes it, and takes it from its list, if it is in one. */
void ring_free(struct ring *r);

static inline bool ring_is_founder(const struct ring *r)
{
	return r->seat == RING_SEAT_FOUNDER;
}

/* What is said of it, {key: "ring", ...}, with its descriptors and the maps': their number. */
json_t *ring_to_message(const struct ring *r, const char *key);
size_t ring_fds(const struct ring *r, const struct steer *s, int ret[MESSAGE_FDS_MAX]);
/* It takes them all: the maps', too, for *s, whose own are closed. NULL: it is no ring. */
struct ring *ring_from_message(const struct ring_kind *kind, struct message *m, struct steer *s);

#endif
