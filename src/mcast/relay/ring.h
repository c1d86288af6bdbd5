/* Packet sockets of an interface (packet(7)), of which each takes a share of its packets (steer.h)
 * into memory that is shared with the kernel: a ring of blocks (TPACKET_V3).
 *
 * How far a ring has been read stands on the board, and its memory belongs to the socket. So a
 * worker that maps the ring of a dead one goes on behind the last packet that that one took. */
#ifndef RELAY_RING_H
#define RELAY_RING_H

#include "common/base/limits.h"
#include "common/base/list.h"
#include "mcast/common/board.h"
#include "mcast/relay/message.h"

#include <stdbool.h>

/* A packet does not cross blocks: this is a datagram of nearly any length. */
#define RING_BLOCK_BYTES (64u * KIB)
/* A block that is not full is handed over after so long: delay, and turns for nothing. */
#define RING_RETIRE_MS 2u

struct ring {
	struct list node;
	uint32_t id; /* its place on the board */
	uint32_t interface, member, seat;
	uint32_t block_count; /* 0: no ring, it drops all that it gets */
	int fd;

	/* Of the one who reads it. */
	struct board_ring *board;
	uint8_t *memory;      /* NULL: somebody else reads it */
	uint64_t block;	      /* the kernel's number of the block that is being read, */
	uint32_t taken;	      /* how many of its packets are done with, */
	const uint8_t *next;  /* and the first that is not; NULL: look for it */
	uint64_t given_block; /* those before this one are the kernel's again */
	uint64_t asked_place; /* of a packet that nobody knew; receive_packet.c */
};

/* ---- the supervisor ---- */

/* Fills r->fd by interface, member and block_count: a socket that is in the interface's group,
 * which *group numbers; member 0 founds it, with the program. 0 or a negative errno. */
int ring_open(struct ring *r, int program_fd, uint16_t *group);
/* The number of the group that a socket is in. */
int ring_group(const struct ring *r, uint16_t *ret_group);

/* What is said of it, {key: "ring", ...}, with its socket and the two maps (steer.h) as
 * descriptors. ring_from_message takes the socket. */
#define RING_FDS 3u
json_t *ring_to_message(const struct ring *r, const char *key);
void ring_from_message(struct ring *r, struct message *m);

/* ---- its reader ---- */

/* 0 or a negative errno. */
int ring_map(struct ring *r, struct board_ring *board);
void ring_done(struct ring *r); /* unmaps and closes */

struct ring_packet {
	const uint8_t *bytes; /* from its IP header on; they stay until ring_give_back */
	size_t len;
	uint32_t segment_bytes; /* several datagrams of this length each; 0: one */
	bool is_summed;		/* checksums are verified, or not filled in yet */
};

/* The first packet that was not taken yet; false: none is there now. */
bool ring_peek(struct ring *r, struct ring_packet *ret);
/* That one is taken: whatever happens, nobody sees it again. */
void ring_take(struct ring *r);
/* What was taken is not needed any more. */
void ring_give_back(struct ring *r);

/* Of the first packet that was not taken; they grow, from ring_map on. */
uint64_t ring_place(const struct ring *r);
/* A mark behind all that is in the ring now, and whether all before it was taken. */
uint64_t ring_mark(const struct ring *r);
bool ring_is_past(const struct ring *r, uint64_t mark);

#endif
