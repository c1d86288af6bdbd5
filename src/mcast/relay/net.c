/* Addresses and socket options: see net.h. */
#include "mcast/relay/net.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

void address_fill(union address *ret, const struct ip *ip, uint16_t port, unsigned interface)
{
	*ret = (union address){0};
	if (ip->family == IP_V6) {
		ret->v6.sin6_family = AF_INET6;
		ret->v6.sin6_port = htons(port);
		ret->v6.sin6_scope_id = interface;
		memcpy(&ret->v6.sin6_addr, ip->bytes, sizeof(ret->v6.sin6_addr));
		return;
	}
	ret->v4.sin_family = AF_INET;
	ret->v4.sin_port = htons(port);
	memcpy(&ret->v4.sin_addr, ip->bytes, sizeof(ret->v4.sin_addr));
}

socklen_t address_len(const union address *a)
{
	return a->any.sa_family == AF_INET6 ? sizeof(a->v6) : sizeof(a->v4);
}

/* The C library's own would open a socket each time, and say "there is none" when it cannot. */
unsigned interface_index(const char *name)
{
	static int fd = -1;
	struct ifreq request = {0};

	if (!*name)
		return 0;
	if (fd < 0)
		fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return if_nametoindex(name);
	strncpy(request.ifr_name, name, sizeof(request.ifr_name) - 1);
	return ioctl(fd, SIOCGIFINDEX, &request) < 0 ? 0 : (unsigned)request.ifr_ifindex;
}

int socket_set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

void socket_set_buffer(int fd, int option, int forced_option, unsigned bytes)
{
	if (socket_set(fd, SOL_SOCKET, forced_option, (int)bytes) < 0)
		socket_set(fd, SOL_SOCKET, option, (int)bytes);
}
