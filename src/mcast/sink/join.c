/* A stream's socket: see join.h. One socket for each: the kernel lets one join few groups
 * (net.ipv4.igmp_max_memberships, 20), and each stream has a queue of its own. */
#include "mcast/sink/join.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Since Linux 4.20 and 5.5; not in all headers. */
#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29
#endif
#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif

static int set_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int set_options(int fd, const struct plan *plan)
{
	bool is_v4 = plan->streams.group.family == IP_V4;
	int err = set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);

	if (!err)
		err = set_int(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
	/* Without the right to it, what everybody may have. */
	if (set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, (int)plan->receive_buffer_bytes))
		set_int(fd, SOL_SOCKET, SO_RCVBUF, (int)plan->receive_buffer_bytes);
	if (err)
		return err;
	/* Only what this socket has joined: not what others joined on other interfaces. */
	if (is_v4)
		return set_int(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
	err = set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	return err ? err : set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
}

static int join_any(int fd, int level, unsigned interface, const union stream_address *group,
		    socklen_t len)
{
	struct group_req request = {.gr_interface = interface};

	memcpy(&request.gr_group, group, len);
	return setsockopt(fd, level, MCAST_JOIN_GROUP, &request, sizeof(request)) < 0 ? -errno : 0;
}

static int join_source(int fd, int level, unsigned interface, const union stream_address *group,
		       const union stream_address *source, socklen_t len)
{
	struct group_source_req request = {.gsr_interface = interface};

	memcpy(&request.gsr_group, group, len);
	memcpy(&request.gsr_source, source, len);
	return setsockopt(fd, level, MCAST_JOIN_SOURCE_GROUP, &request, sizeof(request)) < 0
		       ? -errno
		       : 0;
}

static int join_group(int fd, const struct streams *s, const union stream_address *group,
		      socklen_t len)
{
	int level = s->group.family == IP_V4 ? IPPROTO_IP : IPPROTO_IPV6;
	union stream_address source;

	if (s->source.family == IP_NONE)
		return join_any(fd, level, s->interface_index, group, len);
	streams_socket_address(&s->source, 0, 0, &source);
	return join_source(fd, level, s->interface_index, group, &source, len);
}

static int join_all(int fd, const struct plan *plan, uint32_t index)
{
	union stream_address address;
	socklen_t len = streams_address(&plan->streams, index, &address);
	int err = set_options(fd, plan);

	if (err)
		return err;
	if (bind(fd, &address.any, len) < 0)
		return -errno;
	return join_group(fd, &plan->streams, &address, len);
}

int join_open(const struct plan *plan, uint32_t index, int *ret_fd, char ret_why[WHY_BYTES_MAX])
{
	int family = plan->streams.group.family == IP_V4 ? AF_INET : AF_INET6;
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err = fd < 0 ? -errno : join_all(fd, plan, index);
	char text[HOSTPORT_TEXT_MAX];

	if (!err) {
		*ret_fd = fd;
		return 0;
	}
	if (fd >= 0)
		close(fd);
	streams_text(&plan->streams, index, text);
	return fail_why(ret_why, "--group: cannot join %.60s on %s: %s", text,
			plan->streams.interface, strerror(-err));
}

uint64_t join_dropped(int fd)
{
	uint32_t numbers[SK_MEMINFO_VARS] = {0};
	socklen_t len = sizeof(numbers);

	/* The same counter as SO_RXQ_OVFL's, which tells only what was dropped before a packet
	 * that came. */
	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, numbers, &len) < 0)
		return 0;
	return numbers[SK_MEMINFO_DROPS];
}
