/* Ports on the board, addresses from the kernel: see own.h. */
#include "mcast/relay/own.h"

#include "common/base/clock.h"
#include "common/base/log.h"

#include <ifaddrs.h>
#include <string.h>

/* Addresses are read again after so long, when a packet has one of our ports. */
#define LOOK_NS (1 * NS_PER_S)

void own_init(struct own *o, struct board *board, uint32_t seat)
{
	*o = (struct own){.board = board, .seat = seat};
}

void own_done(struct own *o)
{
	if (o->addresses)
		freeifaddrs(o->addresses);
	o->addresses = NULL;
}

/* IPv4 and IPv6 have it at the same place. */
static uint16_t port_of(const union address *a)
{
	return ntohs(a->v4.sin_port);
}

uint16_t own_enter(struct own *o, int fd)
{
	union address local = {0};
	socklen_t len = sizeof(local);
	uint16_t port;

	if (getsockname(fd, &local.any, &len) < 0)
		return 0;
	port = port_of(&local);
	if (port && board_enter_port(o->board, o->seat, port))
		return port;
	log_warn("packets of ours that come back by another way are not known as such: there are "
		 "too many outputs of different kinds");
	return 0;
}

void own_leave(struct own *o, uint16_t port)
{
	if (port)
		board_leave_port(o->board, o->seat, port);
}

static bool is_same_host(const union address *a, const struct sockaddr *b)
{
	const struct sockaddr_in *v4 = (const void *)b;
	const struct sockaddr_in6 *v6 = (const void *)b;

	if (!b || a->any.sa_family != b->sa_family)
		return false;
	if (b->sa_family == AF_INET)
		return a->v4.sin_addr.s_addr == v4->sin_addr.s_addr;
	return b->sa_family == AF_INET6 &&
	       memcmp(&a->v6.sin6_addr, &v6->sin6_addr, sizeof(v6->sin6_addr)) == 0;
}

static void read_addresses(struct own *o, uint64_t now_ns)
{
	if (o->looked_ns && now_ns - o->looked_ns < LOOK_NS)
		return;
	own_done(o);
	o->looked_ns = now_ns;
	if (getifaddrs(&o->addresses) < 0)
		o->addresses = NULL;
}

bool own_is_source(struct own *o, const union address *from, uint64_t now_ns)
{
	if (!o->board->port_users[port_of(from)])
		return false;
	read_addresses(o, now_ns);
	for (const struct ifaddrs *a = o->addresses; a; a = a->ifa_next)
		if (is_same_host(from, a->ifa_addr))
			return true;
	return false;
}
