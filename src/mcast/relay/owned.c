/* From an input to the outlets: see owned.h. */
#include "mcast/relay/owned.h"

#include "common/base/log.h"
#include "mcast/relay/dedup_file.h"

#include <stdlib.h>
#include <unistd.h>

static void open_outlets(struct owned *o, struct senders *senders)
{
	o->outlets = calloc(o->rule.output_count, sizeof(*o->outlets));
	if (!o->outlets)
		abort();
	for (size_t i = 0; i < o->rule.output_count; i++)
		outlet_open(&o->outlets[i], senders, &o->rule.outputs[i]);
}

struct owned *owned_new(uint32_t slot, struct rule *rule_take, const struct message_inputs *take,
			struct senders *senders, struct board_stream *counters)
{
	struct owned *o = calloc(1, sizeof(*o));

	if (!o)
		abort();
	o->slot = slot;
	list_init(&o->node);
	list_init(&o->owing_node);
	o->rule = *rule_take;
	o->counters = counters;
	o->own = senders->own;
	for (unsigned i = 0; i < RULE_INPUTS_MAX; i++)
		o->inputs[i] = (struct receive_input){.rule = &o->rule.inputs[i],
						      .number = i,
						      .is_joint = o->rule.input_count == 1,
						      .fd = take->fds[i],
						      .interface = take->interfaces[i],
						      .overflows = &counters->overflows[i]};
	o->dedup_fd = take->dedup_fd;
	o->dedup = dedup_file_map(o->dedup_fd);
	if (o->rule.input_count > 1 && !o->dedup)
		log_error("rule \"%s\": no memory for what its second input is told apart by: it "
			  "is left out",
			  o->rule.name);
	open_outlets(o, senders);
	return o;
}

void owned_free(struct owned *o)
{
	for (unsigned i = 0; i < RULE_INPUTS_MAX; i++)
		if (o->inputs[i].fd >= 0)
			close(o->inputs[i].fd);
	for (size_t i = 0; i < o->rule.output_count; i++)
		outlet_close(&o->outlets[i]);
	free(o->outlets);
	dedup_file_unmap(o->dedup);
	if (o->dedup_fd >= 0)
		close(o->dedup_fd);
	park_done(&o->park);
	rule_done(&o->rule);
	list_remove(&o->node);
	list_remove(&o->owing_node);
	free(o);
}

/* ---- relaying ---- */

/* Datagrams of one train must be of one length, but for the last. */
static bool fits(const struct train *t, const struct arrival *a)
{
	return t->piece_count > 0 && a->bytes->iov_len > 0 &&
	       t->bytes == t->packets * t->segment_bytes && a->segment_bytes <= t->segment_bytes &&
	       (a->packets == 1 || a->segment_bytes == t->segment_bytes) &&
	       t->packets + a->packets <= TRAIN_PACKETS_MAX &&
	       t->bytes + a->bytes->iov_len <= TRAIN_BYTES_MAX;
}

static void send_train(struct owned *o, struct train *t)
{
	if (t->piece_count == 0)
		return;
	o->counters->matched_packets += t->packets;
	for (size_t i = 0; i < o->rule.output_count; i++)
		outlet_push(&o->outlets[i], t, o->counters);
	*t = (struct train){0};
}

static void join_train(struct owned *o, struct train *t, const struct arrival *a)
{
	if (!fits(t, a)) {
		send_train(o, t);
		*t = (struct train){.pieces = a->bytes, .segment_bytes = a->segment_bytes};
	}
	t->piece_count++;
	t->packets += a->packets;
	t->bytes += (uint32_t)a->bytes->iov_len;
}

/* Copies of one packet are told apart one by one. */
static bool is_wanted(struct owned *o, unsigned number, const struct arrival *a, uint64_t now_ns)
{
	if (!o->counters->is_fed && own_is_source(o->own, a->from, now_ns)) {
		o->counters->drops[DROP_LOOP] += a->packets;
		return false;
	}
	if (a->is_truncated) {
		o->counters->drops[DROP_TRUNCATED] += a->packets;
		return false;
	}
	if (!o->dedup) /* there was no memory for it: the second way is left out */
		return number == 0;
	switch (dedup_take(o->dedup, number, a->bytes->iov_base, a->bytes->iov_len)) {
	case DEDUP_FIRST:
		return true;
	case DEDUP_COPY:
		o->counters->drops[DROP_COPY] += a->packets;
		return false;
	case DEDUP_ALIEN:
		o->counters->drops[DROP_ALIEN] += a->packets;
		return false;
	}
	return false;
}

static void count_arrivals(struct board_stream *c, uint64_t packets, uint64_t bytes,
			   uint64_t now_ns)
{
	/* What was parked is older than what the last owner has had. */
	uint64_t since_ns = now_ns > c->last_packet_ns ? now_ns - c->last_packet_ns : 0;
	uint64_t gap_ns = packets ? since_ns / packets : 0;

	c->received_packets += packets;
	c->received_bytes += bytes;
	if (packets == 0)
		return;
	if (c->last_packet_ns) {
		/* RFC 3550, 6.4.1, of the gaps between packets. */
		uint64_t last_ns = c->gap_ns, off_ns;

		off_ns = gap_ns > last_ns ? gap_ns - last_ns : last_ns - gap_ns;
		c->jitter_ns += off_ns / 16 - c->jitter_ns / 16;
		c->gap_ns = gap_ns;
	}
	c->last_packet_ns = now_ns;
}

static void park(struct owned *o, unsigned number, const struct arrival *arrivals, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (!park_add(&o->park, number, &arrivals[i]))
			o->park.drops += arrivals[i].packets;
}

void owned_relay(struct owned *o, const struct receive_input *in, struct arrival *arrivals,
		 unsigned count, uint64_t now_ns)
{
	struct train train = {0};
	uint64_t packets = 0, bytes = 0;

	if (o->is_expected) {
		park(o, in->number, arrivals, count);
		return;
	}
	for (unsigned i = 0; i < count; i++) {
		packets += arrivals[i].packets;
		bytes += arrivals[i].bytes->iov_len;
		if (is_wanted(o, in->number, &arrivals[i], now_ns))
			join_train(o, &train, &arrivals[i]);
		else
			send_train(o, &train);
	}
	send_train(o, &train);
	count_arrivals(o->counters, packets, bytes, now_ns);
}

void owned_unpark(struct owned *o, struct park *from, uint64_t now_ns)
{
	o->counters->queue_drops += from->drops;
	for (struct parked *p = from->first; p; p = p->next)
		if (p->input < o->rule.input_count)
			owned_relay(o, &o->inputs[p->input], &p->arrival, 1, now_ns);
}

struct owned *owned_of(struct receive_input *in)
{
	return container_of(in - in->number, struct owned, inputs);
}
