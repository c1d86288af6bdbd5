/* Binding and joining: see input.h. RFC 3678's calls, which do IPv4 and IPv6 alike. */
#include "mcast/relay/input.h"

#include "mcast/relay/net.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int fail(char ret_why[WHY_BYTES_MAX], const char *what, int err)
{
	snprintf(ret_why, WHY_BYTES_MAX, "%s: %s", what, strerror(-err));
	return err;
}

/* Without this a socket hears its group on all interfaces where anybody has joined it. */
static int hear_only_own(int fd, enum ip_family family)
{
	if (family == IP_V6)
		return socket_set(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
	return socket_set(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
}

static int join(int fd, const struct rule_input *in, unsigned interface)
{
	int level = in->group.family == IP_V6 ? IPPROTO_IPV6 : IPPROTO_IP, result;
	union address group, source;

	address_fill(&group, &in->group, 0, interface);
	address_fill(&source, &in->source, 0, interface);
	if (in->source.family == IP_NONE) {
		struct group_req request = {.gr_interface = interface, .gr_group = group.storage};

		result = setsockopt(fd, level, MCAST_JOIN_GROUP, &request, sizeof(request));
	} else {
		struct group_source_req request = {.gsr_interface = interface,
						   .gsr_group = group.storage,
						   .gsr_source = source.storage};

		result = setsockopt(fd, level, MCAST_JOIN_SOURCE_GROUP, &request, sizeof(request));
	}
	return result < 0 ? -errno : 0;
}

/* What this host sends comes back from IP, not from a link: so it is marked, and no packet socket
 * is given it. */
static int drop_others(int fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_LOOPBACK, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(*code), .filter = code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ? -errno
											   : 0;
}

static int set_up(int fd, const struct rule_input *in, unsigned interface,
		  const struct input_kind *kind, char ret_why[WHY_BYTES_MAX])
{
	union address local;
	int err;

	socket_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	/* It would count what the filter drops. */
	socket_set(fd, SOL_SOCKET, SO_RXQ_OVFL, !kind->is_own_only);
	socket_set_buffer(fd, SO_RCVBUF, SO_RCVBUFFORCE,
			  kind->buffer_bytes / 2); /* it is doubled */
	if (kind->is_joint)
		socket_set(fd, SOL_UDP, UDP_GRO, 1);
	if (kind->is_own_only && (err = drop_others(fd)) < 0)
		return fail(ret_why, "SO_ATTACH_FILTER", err);
	err = hear_only_own(fd, in->group.family);
	if (err)
		return fail(ret_why, "IP_MULTICAST_ALL", err);
	address_fill(&local, &in->group, in->port, interface);
	if (bind(fd, &local.any, address_len(&local)) < 0)
		return fail(ret_why, "bind", -errno);
	err = join(fd, in, interface);
	return err ? fail(ret_why, "join", err) : 0;
}

int input_open(const struct rule_input *in, const struct input_kind *kind, int *ret_fd,
	       unsigned *ret_interface, char ret_why[WHY_BYTES_MAX])
{
	int family = in->group.family == IP_V6 ? AF_INET6 : AF_INET;
	unsigned interface = interface_index(in->interface);
	int fd, err;

	if (!interface) {
		snprintf(ret_why, WHY_BYTES_MAX, "no interface \"%s\" yet", in->interface);
		return -ENODEV;
	}
	fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail(ret_why, "socket", -errno);
	err = set_up(fd, in, interface, kind, ret_why);
	if (err) {
		close(fd);
		return err;
	}
	*ret_fd = fd;
	*ret_interface = interface;
	return 0;
}
