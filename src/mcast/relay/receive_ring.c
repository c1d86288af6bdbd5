/* By rings: one for each queue of an interface that this worker has streams of (ring.h, steer.h). A
 * packet is known by its addresses, and lies in the ring until it has been sent.
 *
 * Rings belong to a worker's seat, and all workers keep descriptors of all rings, so that they, and
 * their numbers in the maps, outlive workers and supervisors. What does not come by rings (what
 * this host sends itself, and more of XDP: steer.h) the joined UDP sockets have. */
#include "mcast/relay/receive.h"

#include "common/base/log.h"
#include "mcast/core/datagram.h"
#include "mcast/relay/ring.h"
#include "mcast/relay/steer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

struct ring_receiver {
	struct receiver receiver;
	struct receiver *own; /* for what this host sends itself: receive_udp */
	struct idmap by_key;  /* struct receive_input */
	struct list rings;    /* of this seat */
	struct list kept;     /* of others */
	struct steer steer;   /* kept, too */
	const struct ring_kind *kind;
	bool has_begun; /* it was told of all that may come */
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

static struct ring_receiver *of(const struct receiver *r)
{
	return container_of((struct receiver *)(uintptr_t)r, struct ring_receiver, receiver);
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

static struct receive_input *find(const struct ring_receiver *p, unsigned interface,
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
static struct receive_input *input_of(const struct ring_receiver *p, unsigned interface,
				      const struct datagram *d)
{
	static const struct ip any;
	struct receive_input *in = find(p, interface, d, &d->source);

	return in ? in : find(p, interface, d, &any);
}

static void on_expect(struct receiver *r, struct receive_input *in)
{
	if (in->is_known || in->interface == 0)
		return;
	in->is_known = true;
	hashed_put(&of(r)->by_key, &in->by_key,
		   hash_of(in->interface, &in->rule->group, in->rule->port, &in->rule->source));
}

static void on_watch(struct receiver *r, struct receive_input *in)
{
	on_expect(r, in);
	receive_udp.watch(of(r)->own, in);
}

static void on_release(struct receiver *r, struct receive_input *in)
{
	const struct ring_receiver *p = of(r);

	receive_udp.unwatch(p->own, in);
	list_for_each(node, &p->rings) {
		const struct ring *ring = container_of(node, struct ring, node);

		if (ring->interface == in->interface)
			in->marks[ring->queue] = ring->kind->mark(ring);
	}
}

static bool is_drained(const struct receiver *r, const struct receive_input *in)
{
	const struct ring_receiver *p = of(r);

	list_for_each(node, &p->rings) {
		const struct ring *ring = container_of(node, struct ring, node);

		if (in->is_known && ring->interface == in->interface &&
		    !ring->kind->is_past(ring, in->marks[ring->queue]))
			return false;
	}
	return true;
}

static void on_unwatch(struct receiver *r, struct receive_input *in)
{
	receive_udp.unwatch(of(r)->own, in);
	if (in->is_known)
		hashed_remove(&of(r)->by_key, &in->by_key);
	in->is_known = false;
}

/* ---- taking ---- */

/* Who is not known yet may be in what the supervisor has said, and we have not heard: it speaks
 * before it lets packets come. */
static bool ask_once(struct ring_receiver *p, struct ring *ring)
{
	uint64_t place = ring->kind->place(ring);

	if (ring->asked_place == place)
		return false;
	ring->asked_place = place;
	p->is_puzzled = true;
	return true;
}

/* The datagrams that lie one behind the other in a packet: together, or each alone. */
static void put(struct ring_receiver *p, struct receive_input *in, const struct datagram *d,
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
static bool sort_in(struct ring_receiver *p, struct ring *ring, const struct ring_packet *packet)
{
	struct receive_input *in;
	struct datagram d;
	unsigned parts = 1;

	if (datagram_decode(packet->bytes, packet->len, packet->sum, &d) != DATAGRAM_GOOD) {
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

static void make_arrival(struct ring_receiver *p, const struct found *f)
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
static void hand_over(struct ring_receiver *p, unsigned first)
{
	struct receive_input *in = p->found[first].in;
	unsigned begin = p->used, count = in->found_count;

	in->found_count = 0;
	for (unsigned i = first; p->used < begin + count; i++)
		if (p->found[i].in == in)
			make_arrival(p, &p->found[i]);
	p->receiver.with.on_arrivals(p->receiver.with.user, in, &p->arrivals[begin], count, 0);
}

static void hand_over_all(struct ring_receiver *p)
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

	getsockopt(ring->fds[0], SOL_SOCKET, SO_ERROR, &error, &len);
}

static bool take_ring(struct ring_receiver *p, struct ring *ring)
{
	struct ring_packet packet;

	if (p->used == RECEIVE_PLACES)
		return false;
	while (p->used + p->found_count < RECEIVE_PLACES && ring->kind->peek(ring, &packet)) {
		if (!sort_in(p, ring, &packet))
			break;
		ring->kind->take(ring);
	}
	if (p->found_count == 0)
		clear_error(ring);
	hand_over_all(p);
	return true;
}

static bool take(struct receiver *r, void *readable)
{
	struct ring_receiver *p = of(r);

	list_for_each(node, &p->rings)
		if (container_of(node, struct ring, node) == readable)
			return take_ring(p, readable);
	return receive_udp.take(p->own, readable);
}

static void drain(struct receiver *r)
{
	struct ring_receiver *p = of(r);

	if (!p->has_begun)
		return;
	list_for_each(node, &p->rings)
		take_ring(p, container_of(node, struct ring, node));
}

static void reset(struct receiver *r)
{
	struct ring_receiver *p = of(r);

	list_for_each(node, &p->rings) {
		struct ring *ring = container_of(node, struct ring, node);

		ring->kind->give_back(ring);
	}
	p->used = 0;
	receive_udp.reset(p->own);
}

static bool is_puzzled(struct receiver *r)
{
	struct ring_receiver *p = of(r);
	bool is_puzzled = p->is_puzzled;

	p->is_puzzled = false;
	return is_puzzled;
}

/* ---- rings ---- */

static void begin_ring(struct ring_receiver *p, struct ring *ring)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = ring};

	epoll_ctl(p->receiver.with.epoll_fd, EPOLL_CTL_ADD, ring->fds[0], &event);
}

static struct ring *ring_by_id(const struct ring_receiver *p, uint32_t id)
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
static void drop(struct ring_receiver *p, struct ring *ring)
{
	epoll_ctl(p->receiver.with.epoll_fd, EPOLL_CTL_DEL, ring->fds[0], NULL);
	ring_free(ring);
}

static const struct ring *founder_of(const struct ring_receiver *p, const struct ring *ring)
{
	list_for_each(node, &p->kept) {
		const struct ring *founder = container_of(node, struct ring, node);

		if (ring_is_founder(founder) && founder->interface == ring->interface &&
		    founder->queue == ring->queue)
			return founder;
	}
	return NULL;
}

static void take_ours(struct ring_receiver *p, struct ring *ring)
{
	int err;

	ring->board = &p->receiver.with.board->rings[ring->id];
	err = ring->kind->map(ring, founder_of(p, ring));
	if (err) {
		log_error("a ring cannot be mapped: %s", strerror(-err));
		ring->board = NULL;
		list_push_back(&p->kept, &ring->node);
		return;
	}
	list_push_back(&p->rings, &ring->node);
	if (p->has_begun)
		begin_ring(p, ring);
}

static void hear_of_ring(struct ring_receiver *p, struct message *m)
{
	struct ring *ring = NULL;

	/* The last maps are the ones: others have come when all rings had gone. */
	if (!ring_by_id(p, message_number(m, "id")))
		ring = ring_from_message(p->kind, m, &p->steer);
	if (!ring)
		return;
	if (ring->seat == p->receiver.with.seat)
		take_ours(p, ring);
	else
		list_push_back(&p->kept, &ring->node);
}

static void begin(struct ring_receiver *p)
{
	if (p->has_begun)
		return;
	p->has_begun = true;
	list_for_each(node, &p->rings)
		begin_ring(p, container_of(node, struct ring, node));
}

static bool hear(struct receiver *r, const char *what, struct message *m)
{
	struct ring_receiver *p = of(r);
	struct ring *ring;

	if (strcmp(what, "ring") == 0) {
		hear_of_ring(p, m);
	} else if (strcmp(what, "begin") == 0) {
		begin(p);
	} else if (strcmp(what, "drop-ring") == 0) {
		ring = ring_by_id(p, message_number(m, "id"));
		if (ring)
			drop(p, ring);
	} else {
		return false;
	}
	return true;
}

static bool tell(const struct receiver *r, unsigned i, json_t **ret, int ret_fds[MESSAGE_FDS_MAX],
		 size_t *ret_fd_count)
{
	const struct ring_receiver *p = of(r);
	const struct list *lists[] = {&p->rings, &p->kept};

	for (size_t l = 0; l < 2; l++) {
		list_for_each(node, lists[l]) {
			const struct ring *ring = container_of(node, struct ring, node);

			if (i-- > 0)
				continue;
			*ret = ring_to_message(ring, "say");
			*ret_fd_count = ring_fds(ring, &p->steer, ret_fds);
			return true;
		}
	}
	return false;
}

/* ---- life ---- */

static struct receiver *open_receiver(const struct receive_setting *with,
				      const struct receive_ops *ops)
{
	struct ring_receiver *p = calloc(1, sizeof(*p));

	if (!p)
		abort();
	p->receiver = (struct receiver){.ops = ops, .with = *with};
	p->own = receive_udp.open(with);
	p->kind = ops->rings;
	steer_init(&p->steer);
	idmap_init(&p->by_key);
	list_init(&p->rings);
	list_init(&p->kept);
	return &p->receiver;
}

static void close_receiver(struct receiver *r)
{
	struct ring_receiver *p = of(r);

	list_for_each_safe(node, &p->rings)
		drop(p, container_of(node, struct ring, node));
	list_for_each_safe(kept, &p->kept)
		drop(p, container_of(kept, struct ring, node));
	steer_done(&p->steer);
	idmap_done(&p->by_key);
	receive_udp.close(p->own);
	free(p);
}

static struct receiver *open_packet(const struct receive_setting *with)
{
	return open_receiver(with, &receive_packet);
}

static struct receiver *open_xdp(const struct receive_setting *with)
{
	return open_receiver(with, &receive_xdp);
}

#define SAME                                                                                    \
	.close = close_receiver, .expect = on_expect, .watch = on_watch, .release = on_release, \
	.is_drained = is_drained, .unwatch = on_unwatch, .drain = drain, .take = take,          \
	.reset = reset, .is_puzzled = is_puzzled, .hear = hear, .tell = tell

const struct receive_ops receive_packet = {.name = "packet",
					   .rings = &ring_packet,
					   .open = open_packet,
					   SAME};
const struct receive_ops receive_xdp = {.name = "xdp", .rings = &ring_xdp, .open = open_xdp, SAME};
