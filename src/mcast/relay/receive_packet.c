/* By packet sockets: one ring for each interface that this worker has streams of (ring.h, steer.h).
 * A packet is known by its addresses, and lies in the ring until it has been sent.
 *
 * Rings belong to a worker's seat, and all workers keep descriptors of all rings, so that they, and
 * their numbers in their groups, outlive workers and supervisors. What this host sends itself no
 * packet socket sees: the joined UDP sockets have it, and nothing else (input.c). */
#include "mcast/relay/receive.h"

#include "common/base/log.h"
#include "mcast/core/datagram.h"
#include "mcast/relay/ring.h"
#include "mcast/relay/steer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

struct packet_receiver {
	struct receiver receiver;
	struct receiver *own; /* for what this host sends itself: receive_udp */
	struct idmap by_key;  /* struct receive_input */
	struct list rings;    /* of this seat */
	struct list kept;     /* of others */
	struct steer steer;   /* kept, too */
	bool has_begun;	      /* it was told of all that may come */
	bool is_puzzled;

	/* What this turn has found, in the order of coming; and sorted by inputs. */
	unsigned found_count, used;
	struct found {
		struct receive_input *in;
		struct ip source;
		uint16_t port;
		const uint8_t *payload;
		size_t len;
		uint32_t segment_bytes;
	} found[RECEIVE_PLACES];
	struct iovec iovecs[RECEIVE_PLACES];
	struct arrival arrivals[RECEIVE_PLACES];
	union address from[RECEIVE_PLACES];
};

static struct packet_receiver *packet_of(const struct receiver *r)
{
	return container_of((struct receiver *)(uintptr_t)r, struct packet_receiver, receiver);
}

/* ---- inputs by what is in their packets ---- */

/* FNV-1a by words; the supervisor's rules are few, and packets of no rule do not come here. */
static uint64_t mix(uint64_t hash, const struct ip *ip)
{
	uint64_t words[2];

	memcpy(words, ip->bytes, sizeof(words));
	hash = (hash ^ words[0]) * 0x100000001b3u;
	hash = (hash ^ words[1]) * 0x100000001b3u;
	return hash ^ hash >> 29;
}

static uint64_t hash_of(unsigned interface, const struct ip *group, uint16_t port,
			const struct ip *source)
{
	uint64_t hash = 0xcbf29ce484222325u ^ ((uint64_t)interface << 16 | port);

	return mix(mix(hash, group), source);
}

static bool is_for(const struct receive_input *in, unsigned interface, const struct datagram *d,
		   const struct ip *source)
{
	return in->interface == interface && in->rule->port == d->destination_port &&
	       ip_is_same(&in->rule->group, &d->destination) &&
	       ip_is_same(&in->rule->source, source);
}

static struct receive_input *find(const struct packet_receiver *p, unsigned interface,
				  const struct datagram *d, const struct ip *source)
{
	struct hashed *h = hashed_first(&p->by_key, hash_of(interface, &d->destination,
							    d->destination_port, source));

	for (; h; h = h->next) {
		struct receive_input *in = container_of(h, struct receive_input, by_key);

		if (is_for(in, interface, d, source))
			return in;
	}
	return NULL;
}

/* As the program in steer.c does: one for this source, else one for any. */
static struct receive_input *input_of(const struct packet_receiver *p, unsigned interface,
				      const struct datagram *d)
{
	static const struct ip any;
	struct receive_input *in = find(p, interface, d, &d->source);

	return in ? in : find(p, interface, d, &any);
}

static void packet_expect(struct receiver *r, struct receive_input *in)
{
	if (in->is_known || in->interface == 0)
		return;
	in->is_known = true;
	hashed_put(&packet_of(r)->by_key, &in->by_key,
		   hash_of(in->interface, &in->rule->group, in->rule->port, &in->rule->source));
}

static void packet_watch(struct receiver *r, struct receive_input *in)
{
	packet_expect(r, in);
	receive_udp.watch(packet_of(r)->own, in);
}

static struct ring *ring_of(const struct packet_receiver *p, unsigned interface)
{
	list_for_each(node, &p->rings) {
		struct ring *ring = container_of(node, struct ring, node);

		if (ring->interface == interface)
			return ring;
	}
	return NULL;
}

static void packet_release(struct receiver *r, struct receive_input *in)
{
	const struct ring *ring = ring_of(packet_of(r), in->interface);

	receive_udp.unwatch(packet_of(r)->own, in);
	in->mark = ring ? ring_mark(ring) : 0;
}

static bool packet_is_drained(const struct receiver *r, const struct receive_input *in)
{
	const struct ring *ring = ring_of(packet_of(r), in->interface);

	return !in->is_known || !ring || ring_is_past(ring, in->mark);
}

static void packet_unwatch(struct receiver *r, struct receive_input *in)
{
	receive_udp.unwatch(packet_of(r)->own, in);
	if (in->is_known)
		hashed_remove(&packet_of(r)->by_key, &in->by_key);
	in->is_known = false;
}

/* ---- taking ---- */

/* Who is not known yet may be in what the supervisor has said, and we have not heard: it speaks
 * before it lets packets come. */
static bool ask_once(struct packet_receiver *p, struct ring *ring)
{
	uint64_t place = ring_place(ring);

	if (ring->asked_place == place)
		return false;
	ring->asked_place = place;
	p->is_puzzled = true;
	return true;
}

/* The datagrams that lie one behind the other in a packet: together, or each alone. */
static void put(struct packet_receiver *p, struct receive_input *in, const struct datagram *d,
		uint32_t segment_bytes, unsigned parts)
{
	size_t part_bytes = parts > 1 ? segment_bytes : d->payload_bytes, at = 0;

	for (unsigned i = 0; i < parts; i++, at += part_bytes) {
		size_t left = d->payload_bytes - at;
		size_t len = left < part_bytes ? left : part_bytes;

		p->found[p->found_count++] =
			(struct found){.in = in,
				       .source = d->source,
				       .port = d->source_port,
				       .payload = d->payload + at,
				       .len = len,
				       .segment_bytes = segment_bytes && parts == 1
								? segment_bytes
								: (uint32_t)len};
	}
	in->found_count += parts;
}

/* False: this one is to be seen again, when there is room or who it is for is known. */
static bool sort_in(struct packet_receiver *p, struct ring *ring, const struct ring_packet *packet)
{
	struct receive_input *in;
	struct datagram d;
	unsigned parts = 1;

	if (datagram_decode(packet->bytes, packet->len, packet->is_summed, &d) != DATAGRAM_GOOD) {
		ring->board->damaged++;
		return true;
	}
	in = input_of(p, ring->interface, &d);
	if (!in && ask_once(p, ring))
		return false;
	if (in && packet->segment_bytes && !in->is_joint)
		parts = receive_packets(d.payload_bytes, packet->segment_bytes);
	if (!in || parts > RECEIVE_PLACES) {
		ring->board->strays++;
		return true;
	}
	if (p->used + p->found_count + parts > RECEIVE_PLACES)
		return false;
	put(p, in, &d, packet->segment_bytes, parts);
	return true;
}

static void make_arrival(struct packet_receiver *p, const struct found *f)
{
	unsigned i = p->used++;

	p->iovecs[i] = (struct iovec){(void *)(uintptr_t)f->payload, f->len};
	address_fill(&p->from[i], &f->source, f->port, 0);
	p->arrivals[i] = (struct arrival){.bytes = &p->iovecs[i],
					  .segment_bytes = f->segment_bytes,
					  .packets = receive_packets(f->len, f->segment_bytes),
					  .from = &p->from[i]};
}

/* Those of one input, and from `first` on, which is one of them. */
static void hand_over(struct packet_receiver *p, unsigned first)
{
	struct receive_input *in = p->found[first].in;
	unsigned begin = p->used, count = in->found_count;

	in->found_count = 0;
	for (unsigned i = first; p->used < begin + count; i++)
		if (p->found[i].in == in)
			make_arrival(p, &p->found[i]);
	p->receiver.with.on_arrivals(p->receiver.with.user, in, &p->arrivals[begin], count, 0);
}

static void hand_over_all(struct packet_receiver *p)
{
	for (unsigned i = 0; i < p->found_count; i++)
		if (p->found[i].in->found_count > 0)
			hand_over(p, i);
	p->found_count = 0;
}

/* An interface that is down says so once. */
static void clear_error(const struct ring *ring)
{
	int error;
	socklen_t len = sizeof(error);

	getsockopt(ring->fd, SOL_SOCKET, SO_ERROR, &error, &len);
}

static bool take_ring(struct packet_receiver *p, struct ring *ring)
{
	struct ring_packet packet;

	if (p->used == RECEIVE_PLACES)
		return false;
	while (p->used + p->found_count < RECEIVE_PLACES && ring_peek(ring, &packet)) {
		if (!sort_in(p, ring, &packet))
			break;
		ring_take(ring);
	}
	if (p->found_count == 0)
		clear_error(ring);
	hand_over_all(p);
	return true;
}

static bool packet_take(struct receiver *r, void *readable)
{
	struct packet_receiver *p = packet_of(r);

	list_for_each(node, &p->rings)
		if (container_of(node, struct ring, node) == readable)
			return take_ring(p, readable);
	return receive_udp.take(p->own, readable);
}

static void packet_reset(struct receiver *r)
{
	struct packet_receiver *p = packet_of(r);

	list_for_each(node, &p->rings) {
		struct ring *ring = container_of(node, struct ring, node);

		if (ring->memory)
			ring_give_back(ring);
	}
	p->used = 0;
	receive_udp.reset(p->own);
}

static bool packet_is_puzzled(struct receiver *r)
{
	struct packet_receiver *p = packet_of(r);
	bool is_puzzled = p->is_puzzled;

	p->is_puzzled = false;
	return is_puzzled;
}

/* ---- rings ---- */

static void begin_ring(struct packet_receiver *p, struct ring *ring)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = ring};

	epoll_ctl(p->receiver.with.epoll_fd, EPOLL_CTL_ADD, ring->fd, &event);
}

static struct ring *ring_by_id(const struct packet_receiver *p, uint32_t id)
{
	list_for_each(node, &p->rings)
		if (container_of(node, struct ring, node)->id == id)
			return container_of(node, struct ring, node);
	list_for_each(node, &p->kept)
		if (container_of(node, struct ring, node)->id == id)
			return container_of(node, struct ring, node);
	return NULL;
}

/* The socket lives on elsewhere, so that closing ours does not take it from epoll. */
static void ring_free(struct packet_receiver *p, struct ring *ring)
{
	epoll_ctl(p->receiver.with.epoll_fd, EPOLL_CTL_DEL, ring->fd, NULL);
	list_remove(&ring->node);
	ring_done(ring);
	free(ring);
}

static void take_ours(struct packet_receiver *p, struct ring *ring)
{
	int err = ring_map(ring, &p->receiver.with.board->rings[ring->id]);

	if (err) {
		log_error("a ring cannot be mapped: %s", strerror(-err));
		list_push_back(&p->kept, &ring->node);
		return;
	}
	list_push_back(&p->rings, &ring->node);
	if (p->has_begun)
		begin_ring(p, ring);
}

/* The last ones are the ones: others have come when all rings had gone. */
static void keep_maps(struct packet_receiver *p, struct message *m)
{
	steer_done(&p->steer);
	p->steer = (struct steer){m->fds[1], m->fds[2]};
	m->fds[1] = m->fds[2] = -1;
}

static void hear_of_ring(struct packet_receiver *p, struct message *m)
{
	struct ring *ring;

	if (m->fd_count != RING_FDS || message_number(m, "id") >= BOARD_RINGS_MAX ||
	    ring_by_id(p, message_number(m, "id")))
		return;
	ring = calloc(1, sizeof(*ring));
	if (!ring)
		abort();
	ring_from_message(ring, m);
	keep_maps(p, m);
	if (ring->seat == p->receiver.with.seat)
		take_ours(p, ring);
	else
		list_push_back(&p->kept, &ring->node);
}

static void begin(struct packet_receiver *p)
{
	if (p->has_begun)
		return;
	p->has_begun = true;
	list_for_each(node, &p->rings)
		begin_ring(p, container_of(node, struct ring, node));
}

static bool packet_hear(struct receiver *r, const char *what, struct message *m)
{
	struct packet_receiver *p = packet_of(r);
	struct ring *ring;

	if (strcmp(what, "ring") == 0) {
		hear_of_ring(p, m);
	} else if (strcmp(what, "begin") == 0) {
		begin(p);
	} else if (strcmp(what, "drop-ring") == 0) {
		ring = ring_by_id(p, message_number(m, "id"));
		if (ring)
			ring_free(p, ring);
	} else {
		return false;
	}
	return true;
}

static bool packet_tell(const struct receiver *r, unsigned i, json_t **ret,
			int ret_fds[MESSAGE_FDS_MAX])
{
	const struct packet_receiver *p = packet_of(r);
	const struct list *lists[] = {&p->rings, &p->kept};

	for (size_t l = 0; l < 2; l++) {
		list_for_each(node, lists[l]) {
			const struct ring *ring = container_of(node, struct ring, node);

			if (i-- > 0)
				continue;
			*ret = ring_to_message(ring, "say");
			ret_fds[0] = ring->fd;
			ret_fds[1] = p->steer.inputs_fd;
			ret_fds[2] = p->steer.members_fd;
			return true;
		}
	}
	return false;
}

/* ---- life ---- */

static struct receiver *packet_open(const struct receive_setting *with)
{
	struct packet_receiver *p = calloc(1, sizeof(*p));

	if (!p)
		abort();
	p->receiver = (struct receiver){.ops = &receive_packet, .with = *with};
	p->own = receive_udp.open(with);
	p->steer = (struct steer){-1, -1};
	idmap_init(&p->by_key);
	list_init(&p->rings);
	list_init(&p->kept);
	return &p->receiver;
}

static void packet_close(struct receiver *r)
{
	struct packet_receiver *p = packet_of(r);

	list_for_each_safe(node, &p->rings)
		ring_free(p, container_of(node, struct ring, node));
	list_for_each_safe(kept, &p->kept)
		ring_free(p, container_of(kept, struct ring, node));
	steer_done(&p->steer);
	idmap_done(&p->by_key);
	receive_udp.close(p->own);
	free(p);
}

const struct receive_ops receive_packet = {.name = "packet",
					   .open = packet_open,
					   .close = packet_close,
					   .expect = packet_expect,
					   .watch = packet_watch,
					   .release = packet_release,
					   .is_drained = packet_is_drained,
					   .unwatch = packet_unwatch,
					   .take = packet_take,
					   .reset = packet_reset,
					   .is_puzzled = packet_is_puzzled,
					   .hear = packet_hear,
					   .tell = packet_tell};
