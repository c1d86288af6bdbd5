/* Opening an end: its name taken apart, its namespace, its socket, its MTU. */
#include "emulator/port.h"

#include "common/base/fail.h"
#include "emulator/netns.h"
#include "emulator/port_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TUN_PREFIX "tun:"

struct end {
	enum port_kind kind;
	char interface[IFNAMSIZ];
	char netns[256]; /* "": where we are */
};

/* The namespace is a file of /run/netns and nothing outside of it. */
static bool netns_is_good(const char *name)
{
	return name[0] && strlen(name) < sizeof(((struct end *)NULL)->netns) &&
	       !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int end_parse(const char *text, struct end *ret)
{
	const char *at, *interface = text;
	struct end e = {.kind = PORT_PACKET};
	size_t len;

	if (strncmp(text, TUN_PREFIX, strlen(TUN_PREFIX)) == 0) {
		e.kind = PORT_TUN;
		interface += strlen(TUN_PREFIX);
	}
	at = strchr(interface, '@');
	len = at ? (size_t)(at - interface) : strlen(interface);
	if (len == 0 || len >= sizeof(e.interface) || memchr(interface, '/', len) ||
	    memchr(interface, '%', len) || (at && !netns_is_good(at + 1)))
		return -EINVAL;
	memcpy(e.interface, interface, len);
	if (at)
		snprintf(e.netns, sizeof(e.netns), "%s", at + 1);
	*ret = e;
	return 0;
}

int port_ioctl(const struct port *p, int fd, unsigned long request, struct ifreq *io)
{
	memset(io->ifr_name, 0, sizeof(io->ifr_name));
	memcpy(io->ifr_name, p->interface, strlen(p->interface));
	return ioctl(fd, request, io) < 0 ? -errno : 0;
}

int port_flags(const struct port *p, int fd, bool is_up)
{
	struct ifreq io = {.ifr_flags = 0};
	int err = port_ioctl(p, fd, SIOCGIFFLAGS, &io);

	if (err)
		return err;
	if (is_up)
		io.ifr_flags |= IFF_UP;
	else
		io.ifr_flags &= ~IFF_UP;
	return port_ioctl(p, fd, SIOCSIFFLAGS, &io);
}

/* In the namespace of the interface. Any socket does for asking. */
static int open_here(struct port *p)
{
	struct ifreq io = {.ifr_mtu = 0};
	int any_fd, err;

	err = p->kind == PORT_TUN ? tun_open(p) : packet_open(p);
	if (err)
		return err;
	any_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (any_fd < 0)
		return -errno;
	err = port_ioctl(p, any_fd, SIOCGIFMTU, &io);
	if (!err)
		err = port_flags(p, any_fd, true);
	close(any_fd);
	if (!err)
		p->mtu = (uint32_t)io.ifr_mtu;
	return err;
}

int port_open(struct port *p, const char *text, char ret_why[WHY_BYTES_MAX])
{
	struct end end;
	int home_fd, err;

	*p = (struct port){.fd = -1};
	if (end_parse(text, &end))
		return fail_why(ret_why, "end \"%.60s\": expected [tun:]INTERFACE[@NAMESPACE]",
				text);
	p->kind = end.kind;
	memcpy(p->interface, end.interface, sizeof(p->interface));
	err = netns_enter(end.netns, &home_fd);
	if (err) {
		snprintf(ret_why, WHY_BYTES_MAX, "end \"%.60s\": namespace: %s", text,
			 strerror(-err));
		return err;
	}
	err = open_here(p);
	netns_leave(home_fd);
	if (err) {
		snprintf(ret_why, WHY_BYTES_MAX, "end \"%.60s\": %s", text, strerror(-err));
	} else if (p->mtu > MTU_MAX) {
		err = fail_why(ret_why, "end \"%.60s\": its MTU is %u: expected at most %u", text,
			       p->mtu, MTU_MAX);
	}
	if (err)
		port_close(p);
	return err;
}

void port_close(struct port *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

int port_receive(struct port *p, struct inbox *in, size_t frame_max, uint64_t now_ns)
{
	return p->kind == PORT_TUN ? tun_receive(p, in, frame_max, now_ns)
				   : packet_receive(p, in, frame_max, now_ns);
}

const uint8_t *port_super(struct inbox *in, size_t index, size_t frame_max)
{
	if (in->arrivals[index].len >= SUPER_BYTES_MAX)
		return NULL;
	memcpy(in->super[index], in->arrivals[index].packet->frame, frame_max);
	return in->super[index];
}

size_t port_send(struct port *p, struct packet *const *packets, size_t count)
{
	return p->kind == PORT_TUN ? tun_send(p, packets, count) : packet_send(p, packets, count);
}

int port_set_up(struct port *p, bool is_up)
{
	return p->kind == PORT_TUN ? tun_set_carrier(p, is_up) : port_flags(p, p->fd, is_up);
}

void port_count_missed(struct port *p)
{
	if (p->kind == PORT_PACKET)
		packet_count_missed(p);
}
