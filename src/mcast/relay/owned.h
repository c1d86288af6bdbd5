/* A stream that this worker owns: its sockets, and where its packets go. */
#ifndef RELAY_OWNED_H
#define RELAY_OWNED_H

#include "common/base/list.h"
#include "mcast/core/dedup.h"
#include "mcast/relay/park.h"
#include "mcast/relay/receive.h"
#include "mcast/relay/send.h"

struct owned {
	struct list node, owing_node;
	uint32_t slot;
	struct rule rule;
	struct receive_input inputs[RULE_INPUTS_MAX];
	struct outlet *outlets; /* rule.output_count of them */
	struct dedup *dedup;	/* NULL with one input; mapped */
	int dedup_fd;
	struct board_stream *counters;
	struct own *own;
	/* Another worker still has packets of it; what comes here is kept until they have gone. */
	bool is_expected;
	struct park park;
	bool is_released; /* not read any more; the sockets are kept */
	bool is_unwanted; /* its rule is gone, too */
};

/* `rule_take` and `take` become its own. */
struct owned *owned_new(uint32_t slot, struct rule *rule_take, const struct message_inputs *take,
			struct senders *senders, struct board_stream *counters);
void owned_free(struct owned *o);

/* Pushes to the outlets what goes on of `count` arrivals by one of its inputs, or parks it. */
void owned_relay(struct owned *o, const struct receive_input *in, struct arrival *arrivals,
		 unsigned count, uint64_t now_ns);
/* It is not expected any more, but here: what `from` has parked is pushed, and must stay until it
 * is sent. */
void owned_unpark(struct owned *o, struct park *from, uint64_t now_ns);

/* The one that an input belongs to. */
struct owned *owned_of(struct receive_input *in);

#endif
