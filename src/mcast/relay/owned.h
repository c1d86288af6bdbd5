/* A stream that this worker owns: its sockets, and where its packets go. */
#ifndef RELAY_OWNED_H
#define RELAY_OWNED_H

#include "common/base/list.h"
#include "mcast/core/dedup.h"
#include "mcast/relay/receive.h"
#include "mcast/relay/send.h"

struct owned;

/* What epoll points at. */
struct owned_input {
	struct owned *owned;
	unsigned number;
	int fd; /* -1: its interface is missing */
};

struct owned {
	struct list node, owing_node;
	uint32_t slot;
	struct rule rule;
	struct owned_input inputs[RULE_INPUTS_MAX];
	struct outlet *outlets; /* rule.output_count of them */
	struct dedup *dedup;	/* NULL with one input */
	struct board_stream *counters;
	struct own *own;
	bool is_released; /* not read any more; the sockets are kept */
};

/* `rule_take` becomes its own, and so do the descriptors that the caller puts into its inputs,
 * where there are none yet. */
struct owned *owned_new(uint32_t slot, struct rule *rule_take, struct senders *senders,
			struct board_stream *counters);
void owned_free(struct owned *o);

/* Reads once from an input that is readable, and pushes what goes on to the outlets. False: there
 * is no room in the receiver, and nothing was read. */
bool owned_relay(struct owned_input *in, struct receiver *r, uint64_t now_ns);

#endif
