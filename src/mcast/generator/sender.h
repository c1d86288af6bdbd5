/* The socket, and packets that go out together by one system call.
 *
 * One socket for all streams, so that packets of several of them share a call. A packet is stamped
 * right before the call that sends it; it has a sequence number only when the kernel has taken it,
 * so that a hole is always a loss on the way. */
#ifndef GENERATOR_SENDER_H
#define GENERATOR_SENDER_H

#include "mcast/generator/plan.h"
#include "mcast/generator/tally.h"
#include "mcast/traffic/payload.h"

#include <sys/socket.h>

/* Of one call. The last one leaves some 20 us after the stamp of all; more would save little. */
#define SENDER_BATCH 16u
/* A call is due when there are SENDER_BATCH, and the last message may be a burst. */
#define SENDER_PACKETS_MAX (SENDER_BATCH + PLAN_SEGMENTS_MAX)

#define SENDER_PIECES 3u

/* A datagram, or a burst that is cut by the kernel. */
struct sender_message {
	uint32_t stream, packets;
	uint64_t due_ns;
};

struct sender {
	const struct plan *plan;
	struct tally *tally;
	int fd;
	uint32_t run;
	union stream_address *addresses; /* of each stream */
	uint64_t *next;			 /* its next sequence number */
	socklen_t address_len;
	struct sender_message waiting[SENDER_BATCH];
	uint32_t waiting_count, waiting_packets;
	struct mmsghdr headers[SENDER_BATCH];
	/* Of each packet: its head, the file's bytes, the pattern. */
	struct iovec pieces[SENDER_PIECES * SENDER_PACKETS_MAX];
	uint8_t heads[SENDER_PACKETS_MAX][PAYLOAD_HEAD_MAX];
	struct payload payload;
};

/* A negative errno with `ret_why`. sender_close in any case. Plan and tally are borrowed. */
int sender_open(struct sender *s, const struct plan *plan, struct tally *tally,
		char ret_why[WHY_BYTES_MAX]);
void sender_close(struct sender *s);

/* Only when it is not full. */
void sender_push(struct sender *s, const struct sender_message *m);
static inline bool sender_is_full(const struct sender *s)
{
	return s->waiting_packets >= SENDER_BATCH;
}
/* 0: nothing waits any more. -EAGAIN: the kernel has no room now, and what is left stays. */
int sender_flush(struct sender *s);

#endif
