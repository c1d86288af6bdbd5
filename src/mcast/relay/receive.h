/* Datagrams from the input sockets of a worker, and the memory that they lie in until they have
 * been sent. */
#ifndef RELAY_RECEIVE_H
#define RELAY_RECEIVE_H

#include "mcast/relay/net.h"

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Places for datagrams: what a turn brings under load; then it is sent before more is read. */
#define RECEIVE_PLACES 128u

/* What one read brought: one datagram, or several of the same length that the kernel had put
 * together (UDP_GRO), of which the last may be shorter. */
struct arrival {
	struct iovec *bytes; /* its own place; the length is that of what came */
	uint32_t segment_bytes;
	uint32_t packets;
	const union address *from;
	bool is_truncated;
};

struct receiver;

struct receiver *receiver_new(void);
void receiver_free(struct receiver *r);

/* Free places. The arrivals of a turn live until receiver_reset. */
unsigned receiver_room(const struct receiver *r);
void receiver_reset(struct receiver *r);

/* Reads what is there, at most `max` times. Returns how many arrivals `ret` has (they are
 * neighbours, and so are their iovecs), or a negative errno; `ret_overflows` becomes the kernel's
 * count of datagrams that this socket had no room for (SO_RXQ_OVFL; 32 bits, it wraps), and is
 * left alone when it is not told. */
int receiver_take(struct receiver *r, int fd, unsigned max, struct arrival **ret,
		  uint32_t *ret_overflows);

#endif
