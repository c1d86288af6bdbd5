/* The sender's socket: where it sends, from where, how far. */
#include "common/base/rng.h"
#include "mcast/generator/sender.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Room for 50 ms of most rates, where we may ask for it. */
#define SEND_BUFFER_BYTES (8 << 20)
#define IP_UDP_BYTES 28u
#define IPV6_UDP_BYTES 48u

static int set_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* RECVERR: a queue of this host that is full is an error of the send, and no silent loss. */
static int set_v4(const struct sender *s)
{
	struct ip_mreqn interface = {.imr_ifindex = (int)s->plan->streams.interface_index};
	int err = set_int(s->fd, IPPROTO_IP, IP_MULTICAST_TTL, s->plan->ttl);

	if (!err)
		err = set_int(s->fd, IPPROTO_IP, IP_RECVERR, 1);
	if (err)
		return err;
	return setsockopt(s->fd, IPPROTO_IP, IP_MULTICAST_IF, &interface, sizeof(interface)) < 0
		       ? -errno
		       : 0;
}

static int set_v6(const struct sender *s)
{
	int err = set_int(s->fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, s->plan->ttl);

	if (!err)
		err = set_int(s->fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
	if (err)
		return err;
	return set_int(s->fd, IPPROTO_IPV6, IPV6_MULTICAST_IF,
		       (int)s->plan->streams.interface_index);
}

static int bind_source(const struct sender *s, char ret_why[WHY_BYTES_MAX])
{
	const struct streams *streams = &s->plan->streams;
	union stream_address address;
	char text[IP_TEXT_MAX];
	socklen_t len;

	if (streams->source.family == IP_NONE)
		return 0;
	len = streams_socket_address(&streams->source, 0, streams->interface_index, &address);
	if (bind(s->fd, &address.any, len) == 0)
		return 0;
	ip_text(&streams->source, text);
	return fail_why(ret_why, "--source \"%s\": expected an address of this host: %s", text,
			strerror(errno));
}

/* The kernel cuts nothing into packets that would have to be cut again. */
static int set_gso(const struct sender *s, char ret_why[WHY_BYTES_MAX])
{
	const struct streams *streams = &s->plan->streams;
	unsigned headers = streams->group.family == IP_V4 ? IP_UDP_BYTES : IPV6_UDP_BYTES;
	struct ifreq request = {0};
	int err;

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", streams->interface);
	if (ioctl(s->fd, SIOCGIFMTU, &request) < 0)
		return fail_why(ret_why, "--interface \"%s\": %s", streams->interface,
				strerror(errno));
	if (s->plan->size_bytes + headers > (unsigned)request.ifr_mtu)
		return fail_why(ret_why,
				"--size %u: with --gso, expected at most %u, the MTU of %s without "
				"headers",
				s->plan->size_bytes, (unsigned)request.ifr_mtu - headers,
				streams->interface);
	err = set_int(s->fd, IPPROTO_UDP, UDP_SEGMENT, (int)s->plan->size_bytes);
	return err ? fail_why(ret_why, "--gso: %s", strerror(-err)) : 0;
}

static int open_socket(struct sender *s, char ret_why[WHY_BYTES_MAX])
{
	bool is_v4 = s->plan->streams.group.family == IP_V4;
	int err;

	s->fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return fail_why(ret_why, "a socket: %s", strerror(errno));
	/* Without the right to it, what everybody may have. */
	if (set_int(s->fd, SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER_BYTES))
		set_int(s->fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_BYTES);
	err = is_v4 ? set_v4(s) : set_v6(s);
	if (err)
		return fail_why(ret_why, "--interface \"%s\": %s", s->plan->streams.interface,
				strerror(-err));
	err = bind_source(s, ret_why);
	return !err && s->plan->is_gso ? set_gso(s, ret_why) : err;
}

int sender_open(struct sender *s, const struct plan *plan, struct tally *tally,
		char ret_why[WHY_BYTES_MAX])
{
	uint32_t count = plan->streams.count;

	memset(s, 0, sizeof(*s));
	s->plan = plan;
	s->tally = tally;
	s->fd = -1;
	payload_init(&s->payload, plan->is_rtp);
	if (plan->payload && payload_load(&s->payload, plan->payload, ret_why))
		return -EINVAL;
	random_bytes(&s->run, sizeof(s->run));
	s->addresses = calloc(count, sizeof(*s->addresses));
	s->next = calloc(count, sizeof(*s->next));
	if (!s->addresses || !s->next)
		return fail_why(ret_why, "%s", strerror(ENOMEM));
	for (uint32_t i = 0; i < count; i++)
		s->address_len = streams_address(&plan->streams, i, &s->addresses[i]);
	return open_socket(s, ret_why);
}

void sender_close(struct sender *s)
{
	if (s->fd >= 0)
		close(s->fd);
	free(s->addresses);
	free(s->next);
}
