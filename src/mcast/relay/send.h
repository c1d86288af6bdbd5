/* The sockets that a worker sends by, and what is collected for each until the end of a turn.
 *
 * Outputs to groups share one socket for each family, interface, ttl and source. A unicast output
 * has its own: what waits for a neighbour that does not answer fills one socket's buffer, and must
 * not hold up others. A socket whose interface is missing is tried again once a second; until
 * then, and while the kernel takes no more, packets are dropped and counted: waiting would hurt
 * the other outputs. */
#ifndef RELAY_SEND_H
#define RELAY_SEND_H

#include "common/base/idmap.h"
#include "common/base/list.h"
#include "mcast/common/board.h"
#include "mcast/relay/net.h"
#include "mcast/relay/own.h"

#include <sys/uio.h>

struct sender;

struct senders {
	struct own *own;
	struct idmap by_kind;
	struct list loaded; /* those that have something to send */
	uint64_t now_ns;
};

/* `own` is borrowed: it is told of all sockets that send to groups. */
void senders_init(struct senders *all, struct own *own);
/* When all outlets are closed. */
void senders_done(struct senders *all);

/* Where one output of a rule goes. */
struct outlet {
	struct sender *sender;
	union address to;
	socklen_t to_len;
};

/* Never fails: what cannot be opened now is tried again. */
void outlet_open(struct outlet *o, struct senders *all, const struct rule_output *to);
void outlet_close(struct outlet *o);

/* Datagrams that go out together: each piece of memory holds datagrams of `segment_bytes`, but the
 * very last one may be shorter. The bytes stay until the next senders_flush. */
struct train {
	struct iovec *pieces;
	unsigned piece_count;
	uint32_t segment_bytes;
	uint32_t bytes, packets;
};

/* What fits into one send with UDP_SEGMENT (Linux: UDP_MAX_SEGMENTS, and an IP datagram). */
#define TRAIN_PACKETS_MAX 64u
#define TRAIN_BYTES_MAX 65000u

void outlet_push(const struct outlet *o, const struct train *t, struct board_stream *counters);

/* All that was pushed goes out, or is dropped and counted. */
void senders_flush(struct senders *all, uint64_t now_ns);

#endif
