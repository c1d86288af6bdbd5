/* How datagrams come to a worker, and the memory that they lie in until they have been sent. There
 * is one way by UDP sockets (receive_udp.c), and two by rings (receive_ring.c). docs/multicast.md
 * has the difference. */
#ifndef RELAY_RECEIVE_H
#define RELAY_RECEIVE_H

#include "mcast/common/board.h"
#include "mcast/core/hashed.h"
#include "mcast/relay/message.h"
#include "mcast/relay/net.h"
#include "mcast/relay/steer.h"

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

/* An input of a stream that this worker has; its owner's memory, zeroed but for the first ones. */
struct receive_input {
	const struct rule_input *rule;
	unsigned number;     /* which of the rule's */
	unsigned interface;  /* its index */
	bool is_joint;	     /* several datagrams may come as one arrival */
	int fd;		     /* the UDP socket that has joined; -1: its interface is missing */
	uint32_t *overflows; /* SO_RXQ_OVFL of this socket, as last told; on the board */

	/* Where it comes by rings. */
	struct hashed by_key;
	bool is_known;
	uint64_t marks[STEER_QUEUES_MAX]; /* of its rings, when it was released */
	unsigned found_count;
};

/* `count` arrivals, which are neighbours, and so are their iovecs. They live until `reset`. `lost`:
 * datagrams that the kernel had no room for since the last time. */
typedef void receive_handler(void *user, struct receive_input *in, struct arrival *arrivals,
			     unsigned count, uint32_t lost);

struct receive_setting {
	int epoll_fd; /* what it finds readable there goes to `take`; never a NULL */
	struct board *board;
	uint32_t seat;
	receive_handler *on_arrivals;
	void *user;
};

struct receive_ops;
struct ring_kind;

struct receiver {
	const struct receive_ops *ops;
	struct receive_setting with;
};

struct receive_ops {
	const char *name;	       /* of --rx */
	const struct ring_kind *rings; /* NULL: by sockets only */
	struct receiver *(*open)(const struct receive_setting *with);
	void (*close)(struct receiver *r);

	/* What comes for an input from now on: `expect`, where another worker still reads what came
	 * before; `watch`, all of it. */
	void (*expect)(struct receiver *r, struct receive_input *in);
	void (*watch)(struct receiver *r, struct receive_input *in);
	/* Another one gets it. `is_drained`: what came here before was handed over; the input may
	 * be taken away then. */
	void (*release)(struct receiver *r, struct receive_input *in);
	bool (*is_drained)(const struct receiver *r, const struct receive_input *in);
	void (*unwatch)(struct receiver *r, struct receive_input *in);
	/* Takes what `is_drained` may wait for and epoll does not tell of. */
	void (*drain)(struct receiver *r);

	/* Reads, and calls the handler. False: there are no places left, and nothing was read. */
	bool (*take)(struct receiver *r, void *readable);
	/* All arrivals have been sent. */
	void (*reset)(struct receiver *r);
	/* True, once: there is a packet that the supervisor may have spoken of, and which is looked
	 * at again when all that it said has been heard. */
	bool (*is_puzzled)(struct receiver *r);

	/* What else supervisors say (message.h); false: it is nothing of this path. Number `i` of
	 * what a new supervisor must be told; false: there are no more. */
	bool (*hear)(struct receiver *r, const char *what, struct message *m);
	bool (*tell)(const struct receiver *r, unsigned i, json_t **ret,
		     int ret_fds[MESSAGE_FDS_MAX], size_t *ret_fd_count);
};

extern const struct receive_ops receive_udp, receive_packet, receive_xdp;

/* By its name, or NULL. */
const struct receive_ops *receive_find(const char *name);

/* For both: several datagrams in one arrival of `len` bytes. */
static inline uint32_t receive_packets(size_t len, uint32_t segment_bytes)
{
	return len > segment_bytes ? (uint32_t)((len + segment_bytes - 1) / segment_bytes) : 1;
}

#endif
