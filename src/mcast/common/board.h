/* Counters that supervisor and workers share: one memory file, mapped by all.
 *
 * A stream has a slot for its life, whoever owns it: only the owner writes, so nothing is lost or
 * counted twice when it moves or its worker dies. A new supervisor gets the file from the workers
 * that are left; `version` and `size` tell whether it can read it. Readers take single numbers as
 * they are: each is written whole (64 bits, aligned). */
#ifndef MCAST_BOARD_H
#define MCAST_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BOARD_VERSION 4u
#define BOARD_WORKERS_MAX 64u
#define BOARD_SLOTS_MAX 16384u

enum drop_reason {
	DROP_COPY,	/* the other input was first */
	DROP_ALIEN,	/* RTP was expected */
	DROP_LOOP,	/* it was sent by this relay */
	DROP_TRUNCATED, /* longer than any datagram may be */
	DROP_BUSY,	/* an output's queue is full */
	DROP_DOWN,	/* an output's interface is missing or down, or there is no route */
	DROP_REFUSED,	/* the kernel refused it otherwise (too long, forbidden) */
	DROP_REASONS
};

extern const char *const drop_reason_names[DROP_REASONS]; /* "copy", "alien", ... */

struct board_stream {
	uint64_t received_packets, received_bytes; /* payload, by all inputs */
	uint64_t matched_packets;		   /* of them, those that go on */
	uint64_t sent_packets, sent_bytes;	   /* by all outputs */
	uint64_t queue_drops;	      /* by the kernel, at our full input (SO_RXQ_OVFL): */
	uint32_t overflows[2];	      /* its count of each socket, as last told */
	uint64_t drops[DROP_REASONS]; /* packets; of an output each counts alone */
	uint64_t last_packet_ns;      /* CLOCK_MONOTONIC; 0: none yet */
	uint64_t gap_ns;	      /* between the last two arrivals, */
	uint64_t jitter_ns;	      /* and how it changes (RFC 3550, 6.4.1) */
	uint64_t is_fed;	      /* the supervisor says: another rule sends here, on purpose */
};

/* Senders of one worker whose packets are known if they come back. */
#define BOARD_PORTS_MAX 256u

struct board_worker {
	uint64_t busy_ns, turns; /* time not spent waiting; rounds of the loop */
	uint64_t streams;
	int64_t pid;
	uint16_t ports[BOARD_PORTS_MAX]; /* from which it sends; 0: none */
};

/* A ring (src/mcast/relay/ring.h): only its reader writes. Of an XDP socket's the first two stand
 * elsewhere. */
struct board_ring {
	uint64_t place;	      /* behind what was taken of it; 0: at its beginning */
	uint64_t queue_drops; /* by the kernel: the ring was full */
	uint64_t damaged;     /* a length or a checksum was wrong */
	uint64_t strays;      /* of no stream that its worker has */
};

/* 32 workers, and a founder, at four interfaces with 16 queues, and more at those with fewer. */
#define BOARD_RINGS_MAX 4096u

struct board {
	uint32_t version, size;
	uint16_t port_users[UINT16_MAX + 1]; /* how many senders send from it */
	struct board_worker workers[BOARD_WORKERS_MAX];
	struct board_ring rings[BOARD_RINGS_MAX];
	struct board_stream ended; /* the sums of streams that are gone; the supervisor writes, */
	struct board_ring ended_rings; /* and of rings */
	struct board_stream streams[BOARD_SLOTS_MAX];
};

/* A new one, zeroed: the descriptor, or a negative errno. */
int board_create(void);
/* Maps it; NULL with a reason when it is none, or of another version. board_unmap(NULL) is fine. */
struct board *board_map(int fd, const char **ret_why);
void board_unmap(struct board *b);

/* A worker sends to groups from this port from now on (false: there is no room), or does so no
 * more. */
bool board_enter_port(struct board *b, uint32_t seat, uint16_t port);
void board_leave_port(struct board *b, uint32_t seat, uint16_t port);
/* Whoever had this seat is gone, and all that it had there. */
void board_clear_seat(struct board *b, uint32_t seat);

#endif
