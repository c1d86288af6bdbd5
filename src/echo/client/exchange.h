/* What is said over one connection: a stream of known bytes in messages of equal size, of which at
 * most `depth` are outstanding, and the check of what comes back. No sockets, no clock: the caller
 * sends what exchange_next() gives and hands over what it received.
 *
 * Latency: one message at a time is marked, from its first byte given to the socket to its last
 * byte back. At depth 1 that is every message. At more, one per round trip; of the messages that
 * begin in one piece each position gets its turn, so that neither first nor last ones are
 * preferred. The cost is one of each piece, not of each message. */
#ifndef ECHO_EXCHANGE_H
#define ECHO_EXCHANGE_H

#include "common/base/pattern.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXCHANGE_ENDLESS 0 /* messages: until exchange_stop() */

/* All offsets are those of the stream, which goes on from one run to the next. */
struct exchange {
	uint64_t sent, received;
	uint64_t base;		    /* where the first message of this run begins */
	uint64_t end;		    /* where its last one ends; UINT64_MAX: not yet known */
	uint64_t done;		    /* its messages that are back */
	uint64_t mark_end, mark_ns; /* of the marked message; mark_end is 0 when there is none */
	uint32_t seed, size, depth;
	uint32_t marks; /* so far */
};

/* What a piece that was received brought. */
struct news {
	uint64_t messages; /* that became whole by it */
	uint64_t latency_ns;
	bool has_latency;
};

/* A new connection; `seed` decides its bytes. There is nothing to say before exchange_begin(). */
void exchange_init(struct exchange *x, uint32_t seed);
/* A new run of `messages` of `size` bytes (EXCHANGE_ENDLESS: until it is stopped). Nothing may be
 * outstanding. */
void exchange_begin(struct exchange *x, uint32_t size, uint32_t depth, uint64_t messages);
/* No new message is begun; those that are begun will be finished. */
void exchange_stop(struct exchange *x);
/* All messages of the run are back. */
bool exchange_is_done(const struct exchange *x);
/* Bytes that were sent and are not back. */
uint64_t exchange_outstanding(const struct exchange *x);

/* What may be sent now: at most PATTERN_PIECE_MAX bytes that stay where they are as long as the
 * pattern; 0 when more has to come back first. */
size_t exchange_next(const struct exchange *x, const struct pattern *p, const uint8_t **ret_bytes);
/* So much of it was sent at `now_ns`. */
void exchange_sent(struct exchange *x, size_t len, uint64_t now_ns);
/* These came. -EBADMSG when they are not those that were sent: `x->received` is then the offset of
 * the first wrong one, and the connection is of no more use. */
int exchange_received(struct exchange *x, const struct pattern *p, const uint8_t *bytes, size_t len,
		      uint64_t now_ns, struct news *ret);

#endif
