/* Sending in batches: see send.h. A train of several datagrams goes through the kernel once
 * (UDP_SEGMENT, udp(7)); where an output cannot have that, each goes alone. */
#include "mcast/relay/send.h"

#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "mcast/core/hashed.h"
#include "mcast/core/siphash.h"

#include <errno.h>
#include <limits.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Messages in one sendmmsg: what a turn brings under load. */
#define BATCH 128u
/* Of one socket: 20 ms of 1 Gbit/s, for devices that keep what they send for a while. */
#define SEND_BUFFER_BYTES (4u * MIB)
#define RETRY_NS (1 * NS_PER_S)

union segment_control {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(sizeof(uint16_t))];
};

struct sender {
	struct hashed by_kind;
	struct list loaded_node;
	struct senders *owner;
	unsigned users;
	struct rule_output kind; /* of a group, address and port mean nothing */
	int fd;			 /* -1: it cannot be opened now, */
	int error;		 /* why it could not, when it was last tried */
	unsigned interface;	 /* the index of kind.interface when it was opened; 0: of none */
	uint16_t port;		 /* that it sends from, and which marks packets as ours; or 0 */
	uint64_t retry_ns;	 /* not before then is it opened, or the interface looked at */
	bool has_no_segments;	 /* no UDP_SEGMENT here */
	unsigned count;
	struct mmsghdr messages[BATCH];
	union segment_control controls[BATCH];
	struct train trains[BATCH];
	struct board_stream *counters[BATCH];
};

void senders_init(struct senders *all, struct own *own)
{
	*all = (struct senders){.own = own};
	idmap_init(&all->by_kind);
	list_init(&all->loaded);
}

/* ---- opening ---- */

static int set_group_interface(int fd, enum ip_family family, unsigned interface)
{
	struct ip_mreqn request = {.imr_ifindex = (int)interface};

	if (family == IP_V6)
		return socket_set(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, (int)interface);
	return setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof(request)) < 0 ? -errno
											  : 0;
}

static void set_ttl(int fd, enum ip_family family, int ttl)
{
	if (family == IP_V6) {
		socket_set(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, ttl);
		socket_set(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, ttl);
		return;
	}
	socket_set(fd, IPPROTO_IP, IP_MULTICAST_TTL, ttl);
	socket_set(fd, IPPROTO_IP, IP_TTL, ttl);
	/* Longer than the interface takes: in fragments, as it may have come. */
	socket_set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
}

/* Always, so that the port is known. That it is ours must not keep an input from it (only
 * afterwards may it be shared: it is one that nobody else has), nor do we hear there what others
 * have joined. */
static int bind_source(int fd, enum ip_family family, const struct ip *source, unsigned interface)
{
	const struct ip any = {.family = family};
	union address a;

	address_fill(&a, source->family == IP_NONE ? &any : source, 0, interface);
	if (family == IP_V6)
		socket_set(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
	else
		socket_set(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
	if (bind(fd, &a.any, address_len(&a)) < 0)
		return -errno;
	return socket_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
}

static int set_up(int fd, const struct rule_output *kind, unsigned interface)
{
	int err = 0;

	if (*kind->interface && interface == 0)
		return -ENODEV;
	if (ip_is_multicast(&kind->address))
		err = set_group_interface(fd, kind->address.family, interface);
	else if (interface)
		err = socket_set(fd, SOL_SOCKET, SO_BINDTOIFINDEX, (int)interface);
	if (!err)
		err = bind_source(fd, kind->address.family, &kind->source, interface);
	set_ttl(fd, kind->address.family, kind->ttl);
	socket_set_buffer(fd, SO_SNDBUF, SO_SNDBUFFORCE, SEND_BUFFER_BYTES);
	return err;
}

static int sender_try(struct sender *s)
{
	int family = s->kind.address.family == IP_V6 ? AF_INET6 : AF_INET, err;

	s->interface = interface_index(s->kind.interface);
	s->fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		return -errno;
	err = set_up(s->fd, &s->kind, s->interface);
	if (err) {
		close(s->fd);
		s->fd = -1;
	}
	return err;
}

/* What is told of it: once for each reason, since it is tried again and again. */
static void tell_of_error(const struct sender *s, int error)
{
	if (error && error != s->error)
		log_warn("an output%s%s waits: %s", *s->kind.interface ? " by " : "",
			 s->kind.interface, strerror(-error));
}

static void sender_open(struct sender *s)
{
	int error = sender_try(s);

	tell_of_error(s, error);
	s->error = error;
	s->retry_ns = s->owner->now_ns + RETRY_NS;
	s->has_no_segments = false;
	/* What is sent to one host does not come back as a stream. */
	if (!error && ip_is_multicast(&s->kind.address))
		s->port = own_enter(s->owner->own, s->fd);
}

static void sender_shut(struct sender *s)
{
	if (s->fd < 0)
		return;
	own_leave(s->owner->own, s->port);
	close(s->fd);
	s->fd = -1;
	s->port = 0;
	s->retry_ns = s->owner->now_ns + RETRY_NS;
}

/* ---- outlets ---- */

static struct rule_output kind_of(const struct rule_output *to)
{
	struct rule_output kind = *to;

	if (ip_is_multicast(&to->address)) {
		/* Any group: it tells the family, and that it is one. */
		memset(kind.address.bytes, 0, sizeof(kind.address.bytes));
		kind.address.bytes[0] = kind.address.family == IP_V6 ? 0xff : 224;
		kind.port = 0;
	}
	kind.ttl = to->ttl ? to->ttl : RULE_TTL_DEFAULT;
	return kind;
}

/* Not secret, as names are not. */
static uint64_t hash_of(const struct rule_output *kind)
{
	static const uint64_t no_key[2] = {0};
	uint8_t bytes[sizeof(kind->address.bytes) + 2 + sizeof(kind->interface)] = {0};
	size_t at = sizeof(kind->address.bytes);

	memcpy(bytes, kind->address.bytes, at);
	memcpy(bytes + at, &kind->port, 2);
	memcpy(bytes + at + 2, kind->interface, strnlen(kind->interface, sizeof(kind->interface)));
	return siphash(no_key, bytes, sizeof(bytes));
}

static struct sender *sender_new(struct senders *all, const struct rule_output *kind)
{
	struct sender *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	s->owner = all;
	s->kind = *kind;
	list_init(&s->loaded_node);
	hashed_put(&all->by_kind, &s->by_kind, hash_of(kind));
	sender_open(s);
	return s;
}

static struct sender *sender_for(struct senders *all, const struct rule_output *kind)
{
	struct hashed *h = hashed_first(&all->by_kind, hash_of(kind));

	for (; h; h = h->next) {
		struct sender *s = container_of(h, struct sender, by_kind);

		if (rule_output_is_same(&s->kind, kind))
			return s;
	}
	return sender_new(all, kind);
}

void outlet_open(struct outlet *o, struct senders *all, const struct rule_output *to)
{
	struct rule_output kind = kind_of(to);

	*o = (struct outlet){.sender = sender_for(all, &kind)};
	o->sender->users++;
	/* Its socket has the interface, which may come back with another index. */
	address_fill(&o->to, &to->address, to->port, 0);
	o->to_len = address_len(&o->to);
}

static void sender_free(struct sender *s)
{
	sender_shut(s);
	hashed_remove(&s->owner->by_kind, &s->by_kind);
	list_remove(&s->loaded_node);
	free(s);
}

void outlet_close(struct outlet *o)
{
	if (o->sender && --o->sender->users == 0)
		sender_free(o->sender);
	*o = (struct outlet){0};
}

void senders_done(struct senders *all)
{
	idmap_done(&all->by_kind);
}

/* ---- sending ---- */

static void count_sent(struct board_stream *c, const struct train *t)
{
	c->sent_packets += t->packets;
	c->sent_bytes += t->bytes;
}

static enum drop_reason reason_of(int error)
{
	switch (error) {
	case EAGAIN:
	case ENOBUFS:
	case ENOMEM:
		return DROP_BUSY;
	case ENODEV:
	case ENXIO:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTUNREACH:
	case EHOSTDOWN:
	case EADDRNOTAVAIL:
		return DROP_DOWN;
	default:
		return DROP_REFUSED;
	}
}

static void drop_from(struct sender *s, unsigned at, unsigned end, enum drop_reason reason)
{
	for (; at < end; at++)
		s->counters[at]->drops[reason] += s->trains[at].packets;
}

/* Its interface is gone, or has come back as another one: then it is opened again. IPv4 says so, of
 * IPv6 there is only no route. */
static void look_at_interface(struct sender *s, int error)
{
	bool is_gone = error == ENODEV || error == ENXIO;

	if (!is_gone && *s->kind.interface && s->owner->now_ns >= s->retry_ns) {
		s->retry_ns = s->owner->now_ns + RETRY_NS;
		is_gone = interface_index(s->kind.interface) != s->interface;
	}
	if (is_gone)
		sender_shut(s);
}

/* What a socket has to say about an earlier datagram (ICMP: nobody listens) is told at the next
 * one, which is not sent then. */
static bool is_of_an_earlier_one(int error)
{
	return error == ECONNREFUSED;
}

static int send_one(struct sender *s, const struct msghdr *as, struct iovec piece)
{
	struct msghdr m = {.msg_name = as->msg_name,
			   .msg_namelen = as->msg_namelen,
			   .msg_iov = &piece,
			   .msg_iovlen = 1};

	if (sendmsg(s->fd, &m, MSG_DONTWAIT) >= 0)
		return 0;
	if (is_of_an_earlier_one(errno) && sendmsg(s->fd, &m, MSG_DONTWAIT) >= 0)
		return 0;
	return errno;
}

static void send_counted(struct sender *s, unsigned at, struct iovec one)
{
	struct board_stream *c = s->counters[at];
	int error = s->fd >= 0 ? send_one(s, &s->messages[at].msg_hdr, one) : ENODEV;

	if (!error) {
		c->sent_packets++;
		c->sent_bytes += one.iov_len;
		return;
	}
	c->drops[reason_of(error)]++;
	if (reason_of(error) == DROP_DOWN)
		look_at_interface(s, error);
}

/* Each datagram of a train alone. */
static void send_singly(struct sender *s, unsigned at)
{
	const struct train *t = &s->trains[at];

	for (unsigned i = 0; i < t->piece_count; i++) {
		struct iovec rest = t->pieces[i];

		do {
			struct iovec one = rest;

			if (one.iov_len > t->segment_bytes)
				one.iov_len = t->segment_bytes;
			send_counted(s, at, one);
			rest.iov_base = (uint8_t *)rest.iov_base + one.iov_len;
			rest.iov_len -= one.iov_len;
		} while (rest.iov_len > 0);
	}
}

/* EIO: the device cannot sum. Others may be of this train alone: it is too long for the link. */
static bool may_need_splitting(int error)
{
	return error == EINVAL || error == EMSGSIZE || error == EIO || error == EOPNOTSUPP;
}

/* The first one of the batch was refused. Returns how many are done with. */
static unsigned on_error(struct sender *s, unsigned at, int error)
{
	enum drop_reason reason = reason_of(error);

	if (s->trains[at].packets > 1 && may_need_splitting(error)) {
		s->has_no_segments = error == EIO || error == EOPNOTSUPP;
		send_singly(s, at);
		return 1;
	}
	if (error == EAGAIN) {
		drop_from(s, at, s->count, reason);
		return s->count - at;
	}
	drop_from(s, at, at + 1, reason);
	if (reason == DROP_DOWN)
		look_at_interface(s, error);
	return 1;
}

static void sender_flush(struct sender *s)
{
	unsigned at = 0, tried = UINT_MAX;

	while (at < s->count && s->fd >= 0) {
		int n = sendmmsg(s->fd, s->messages + at, s->count - at, MSG_DONTWAIT);

		for (int i = 0; i < n; i++)
			count_sent(s->counters[at + (unsigned)i], &s->trains[at + (unsigned)i]);
		if (n > 0) {
			at += (unsigned)n;
		} else if (is_of_an_earlier_one(errno) && tried != at) {
			tried = at; /* once more */
		} else {
			at += on_error(s, at, errno);
		}
	}
	drop_from(s, at, s->count, DROP_DOWN);
	s->count = 0;
}

void senders_flush(struct senders *all, uint64_t now_ns)
{
	all->now_ns = now_ns;
	list_for_each_safe(node, &all->loaded) {
		struct sender *s = container_of(node, struct sender, loaded_node);

		list_remove(&s->loaded_node);
		sender_flush(s);
	}
}

static void set_segments(struct sender *s, unsigned at)
{
	union segment_control *control = &s->controls[at];
	struct msghdr *m = &s->messages[at].msg_hdr;
	uint16_t bytes = (uint16_t)s->trains[at].segment_bytes;

	control->head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(bytes)),
					 .cmsg_level = SOL_UDP,
					 .cmsg_type = UDP_SEGMENT};
	memcpy(CMSG_DATA(&control->head), &bytes, sizeof(bytes));
	m->msg_control = control;
	m->msg_controllen = sizeof(*control);
}

static bool is_open(struct sender *s)
{
	if (s->fd < 0 && s->owner->now_ns >= s->retry_ns)
		sender_open(s);
	return s->fd >= 0;
}

void outlet_push(const struct outlet *o, const struct train *t, struct board_stream *counters)
{
	struct sender *s = o->sender;
	bool is_apart = t->packets > 1 && s->has_no_segments;
	unsigned at;

	if (s->count == BATCH || is_apart)
		sender_flush(s); /* what waits is older */
	if (!is_open(s)) {
		counters->drops[DROP_DOWN] += t->packets;
		return;
	}
	at = s->count;
	s->trains[at] = *t;
	s->counters[at] = counters;
	s->messages[at].msg_hdr = (struct msghdr){.msg_name = (void *)(uintptr_t)&o->to,
						  .msg_namelen = o->to_len,
						  .msg_iov = t->pieces,
						  .msg_iovlen = t->piece_count};
	if (is_apart) {
		send_singly(s, at);
		return;
	}
	if (t->packets > 1)
		set_segments(s, at);
	s->count++;
	if (!list_is_linked(&s->loaded_node))
		list_push_back(&s->owner->loaded, &s->loaded_node);
}
