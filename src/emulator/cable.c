/* Packets from a port into its direction, cut when they are large, and out by the other port. */
#include "emulator/cable.h"

#include "common/base/fail.h"
#include "common/base/minmax.h"
#include "emulator/core/cutter.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ETHERNET_BYTES 14u /* not there on TUN: its frames may then be so much longer */

static_assert(MTU_MAX + ETHERNET_BYTES < SUPER_BYTES_MAX,
	      "what is longer than a frame of the link is seen to be");

static int ports_open(struct cable *c, const char ends[2][END_NAME_MAX],
		      char ret_why[WHY_BYTES_MAX])
{
	for (size_t i = 0; i < 2; i++) {
		int err = port_open(&c->ports[i], ends[i], ret_why);

		if (err)
			return err;
	}
	if (c->ports[0].kind == c->ports[1].kind)
		return 0;
	return fail_why(ret_why,
			"link \"%s\": expected two TUN devices or none: one end has Ethernet "
			"headers and the other has not",
			c->name);
}

int cable_open(struct cable *c, const char *name, const char ends[2][END_NAME_MAX], uint64_t seed,
	       char ret_why[WHY_BYTES_MAX])
{
	int err;

	*c = (struct cable){.ports = {{.fd = -1}, {.fd = -1}}};
	snprintf(c->name, sizeof(c->name), "%s", name);
	err = ports_open(c, ends, ret_why);
	if (err) {
		port_close(&c->ports[0]);
		port_close(&c->ports[1]);
		return err;
	}
	c->frame_max = max_u64(max_u64(c->ports[0].mtu, c->ports[1].mtu) + ETHERNET_BYTES,
			       FRAME_BYTES_MIN);
	slab_init(&c->slab, offsetof(struct packet, frame) + c->frame_max);
	for (size_t i = 0; i < BATCH_PACKETS; i++)
		c->spares[i] = slab_alloc(&c->slab);
	for (size_t i = 0; i < 2; i++)
		direction_init(&c->ways[i], &c->slab, seed + i);
	return 0;
}

void cable_close(struct cable *c)
{
	for (size_t i = 0; i < 2; i++) {
		direction_done(&c->ways[i]);
		port_close(&c->ports[i]);
	}
	for (size_t i = 0; i < BATCH_PACKETS; i++)
		slab_free(&c->slab, c->spares[i]);
	slab_done(&c->slab);
}

/* A packet that is larger than the link: in segments, or not at all. */
static void cut(struct cable *c, struct direction *way, struct inbox *in, size_t index)
{
	const struct arrival *a = &in->arrivals[index];
	const uint8_t *frame = port_super(in, index, c->frame_max);
	struct cutter cutter;
	size_t bytes;

	if (!frame || cutter_init(&cutter, frame, a->len, &a->packet->offload)) {
		way->counters.dropped[DROP_UNSUPPORTED]++;
		return;
	}
	while ((bytes = cutter_next_bytes(&cutter)) > 0) {
		struct packet *p;

		if (bytes > c->frame_max) {
			way->counters.dropped[DROP_UNSUPPORTED]++;
			return;
		}
		p = slab_alloc(&c->slab);
		cutter_next(&cutter, p);
		direction_push_take(way, p, a->time_ns);
	}
}

static void arrive(struct cable *c, struct direction *way, struct inbox *in, size_t index)
{
	struct arrival *a = &in->arrivals[index];
	struct packet *p = a->packet;

	/* Two small segments in one packet that fits the link are two packets all the same. */
	if (a->len > c->frame_max || p->offload.gso_type != 0) {
		cut(c, way, in, index);
		return;
	}
	p->len = (uint32_t)a->len;
	p->offload.flags &= OFFLOAD_NEEDS_CSUM; /* "is good" is no word for the sending side */
	c->spares[index] = slab_alloc(&c->slab);
	direction_push_take(way, p, a->time_ns);
}

int cable_receive(struct cable *c, size_t end, struct inbox *in, uint64_t now_ns)
{
	int count;

	for (size_t i = 0; i < BATCH_PACKETS; i++)
		in->arrivals[i].packet = c->spares[i];
	count = port_receive(&c->ports[end], in, c->frame_max, now_ns);
	/* Linux before 6.2 cannot tell of a large UDP packet: it is gone, this is all we hear. */
	if (count == -EINVAL)
		c->ways[end].counters.dropped[DROP_UNSUPPORTED]++;
	for (int i = 0; i < count; i++)
		arrive(c, &c->ways[end], in, (size_t)i);
	return count;
}

static void send_take(struct cable *c, size_t way, struct packet **batch, size_t count)
{
	struct direction *d = &c->ways[way];
	size_t sent = 0;

	while (sent < count) {
		sent += port_send(&c->ports[1 - way], batch + sent, count - sent);
		if (sent < count) {
			d->counters.out_packets--;
			d->counters.out_bytes -= batch[sent]->len;
			d->counters.dropped[DROP_SEND]++;
			sent++;
		}
	}
	for (size_t i = 0; i < count; i++)
		slab_free(&c->slab, batch[i]);
}

static void note_lateness(struct lateness *l, const struct packet *p, uint64_t now_ns)
{
	uint64_t late_ns = now_ns > p->time_ns ? now_ns - p->time_ns : 0;

	l->late_packets += late_ns > LATE_NS;
	l->max_ns = max_u64(l->max_ns, late_ns);
}

/* A batch at the most: how many there were. */
static size_t deliver(struct cable *c, size_t way, uint64_t now_ns)
{
	struct packet *batch[BATCH_PACKETS], *p;
	size_t count = 0;

	while (count < BATCH_PACKETS &&
	       (p = direction_pop(&c->ways[way], now_ns + EARLY_NS)) != NULL) {
		note_lateness(&c->lateness[way], p, now_ns);
		batch[count++] = p;
	}
	send_take(c, way, batch, count);
	return count;
}

bool cable_deliver(struct cable *c, uint64_t now_ns)
{
	bool has_delivered = false;

	for (size_t way = 0; way < 2; way++) {
		size_t count;

		do {
			count = deliver(c, way, now_ns);
			has_delivered |= count > 0;
		} while (count == BATCH_PACKETS);
	}
	return has_delivered;
}

uint64_t cable_next_ns(const struct cable *c)
{
	return min_u64(direction_next_ns(&c->ways[0]), direction_next_ns(&c->ways[1]));
}

int cable_set_down(struct cable *c, bool is_down)
{
	int err = 0;

	for (size_t i = 0; i < 2; i++) {
		int one = port_set_up(&c->ports[i], !is_down);

		err = err ? err : one;
		direction_set_down(&c->ways[i], is_down);
	}
	c->is_down = is_down;
	return err;
}
