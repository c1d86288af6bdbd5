/* Sending in batches: see send.h. A train of several datagrams goes through the kernel once
 * (UDP_SEGMENT, udp(7)); where an output cannot have that, each goes alone. */
#include "mcast/relay/send.h"

#include "common/base/clock.h"
#include "common/base/limits.h"

#include <assert.h>
#include <errno.h>
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
	struct list all_node, loaded_node;
	struct senders *owner;
	unsigned users;
	struct rule_output kind; /* of a group, address and port mean nothing */
	int fd;			 /* -1: it cannot be opened now, */
	uint16_t port;		 /* that it sends from */
	uint64_t retry_ns;	 /* not before then */
	bool is_whole;		 /* no UDP_SEGMENT here */
	unsigned count;
	struct mmsghdr messages[BATCH];
	union segment_control controls[BATCH];
	struct train trains[BATCH];
	struct board_stream *counters[BATCH];
};

void senders_init(struct senders *all, struct own *own)
{
	*all = (struct senders){.own = own};
	list_init(&all->all);
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

/* Always, so that the port is known. */
static int bind_source(int fd, enum ip_family family, const struct ip *source, unsigned interface)
{
	const struct ip any = {.family = family};
	union address a;

	address_fill(&a, source->family == IP_NONE ? &any : source, 0, interface);
	return bind(fd, &a.any, address_len(&a)) < 0 ? -errno : 0;
}

static int set_up(int fd, const struct rule_output *kind)
{
	unsigned interface = interface_index(kind->interface);
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

static void sender_open(struct sender *s)
{
	int family = s->kind.address.family == IP_V6 ? AF_INET6 : AF_INET;

	s->retry_ns = s->owner->now_ns + RETRY_NS;
	s->is_whole = false;
	s->fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd >= 0 && set_up(s->fd, &s->kind) < 0) {
		close(s->fd);
		s->fd = -1;
	}
	if (s->fd >= 0)
		s->port = own_enter(s->owner->own, s->fd);
}

static void sender_shut(struct sender *s)
{
	if (s->fd < 0)
		return;
	own_leave(s->owner->own, s->port);
	close(s->fd);
	s->fd = -1;
	s->retry_ns = s->owner->now_ns + RETRY_NS;
}

/* ---- outlets ---- */

static struct rule_output kind_of(const struct rule_output *to)
{
	struct rule_output kind = *to;

	if (ip_is_multicast(&to->address)) {
		/* Any group: it tells the family, and that it is one. */
		memset(kind.address.bytes + 1, 0, sizeof(kind.address.bytes) - 1);
		kind.port = 0;
	}
	kind.ttl = to->ttl ? to->ttl : RULE_TTL_DEFAULT;
	return kind;
}

static struct sender *sender_new(struct senders *all, const struct rule_output *kind)
{
	struct sender *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	s->owner = all;
	s->kind = *kind;
	list_init(&s->loaded_node);
	list_push_back(&all->all, &s->all_node);
	sender_open(s);
	return s;
}

static struct sender *sender_for(struct senders *all, const struct rule_output *kind)
{
	list_for_each(node, &all->all) {
		struct sender *s = container_of(node, struct sender, all_node);

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
	address_fill(&o->to, &to->address, to->port, interface_index(to->interface));
	o->to_len = address_len(&o->to);
}

static void sender_free(struct sender *s)
{
	sender_shut(s);
	list_remove(&s->all_node);
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
	list_for_each_safe(node, &all->all)
		sender_free(container_of(node, struct sender, all_node));
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

/* Each datagram of a train alone. */
static void send_singly(struct sender *s, unsigned at)
{
	const struct train *t = &s->trains[at];
	struct board_stream *c = s->counters[at];

	for (unsigned i = 0; i < t->piece_count; i++) {
		struct iovec rest = t->pieces[i];

		do {
			struct iovec one = rest;
			int error;

			if (one.iov_len > t->segment_bytes)
				one.iov_len = t->segment_bytes;
			error = send_one(s, &s->messages[at].msg_hdr, one);
			c->sent_packets += !error;
			c->sent_bytes += error ? 0 : one.iov_len;
			if (error)
				c->drops[reason_of(error)]++;
			rest.iov_base = (uint8_t *)rest.iov_base + one.iov_len;
			rest.iov_len -= one.iov_len;
		} while (rest.iov_len > 0);
	}
}

static bool may_need_splitting(int error)
{
	return error == EINVAL || error == EMSGSIZE || error == EIO || error == EOPNOTSUPP;
}

/* The first one of the batch was refused. Returns how many are done with. */
static unsigned on_error(struct sender *s, unsigned at, int error)
{
	enum drop_reason reason = reason_of(error);

	if (error == EINTR || is_of_an_earlier_one(error))
		return 0;
	if (s->trains[at].packets > 1 && may_need_splitting(error)) {
		s->is_whole = true;
		send_singly(s, at);
		return 1;
	}
	if (error == EAGAIN || error == ENODEV || error == ENXIO) {
		drop_from(s, at, s->count, reason);
		if (error != EAGAIN)
			sender_shut(s);
		return s->count - at;
	}
	drop_from(s, at, at + 1, reason);
	return 1;
}

static void sender_flush(struct sender *s)
{
	unsigned at = 0;

	while (at < s->count && s->fd >= 0) {
		int n = sendmmsg(s->fd, s->messages + at, s->count - at, MSG_DONTWAIT);

		for (int i = 0; i < n; i++)
			count_sent(s->counters[at + (unsigned)i], &s->trains[at + (unsigned)i]);
		at += n > 0 ? (unsigned)n : on_error(s, at, errno);
	}
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
	bool is_apart = t->packets > 1 && s->is_whole;
	unsigned at;

	if (!is_open(s)) {
		counters->drops[DROP_DOWN] += t->packets;
		return;
	}
	if (s->count == BATCH || is_apart)
		sender_flush(s); /* what waits is older */
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
