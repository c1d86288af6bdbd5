/* The program's side of a TUN device: IP packets, one a system call, whole and with their sums
 * filled in, since no offload is asked for. There is no time stamp: a packet arrives when it is
 * read. The device is made when it is not there, and goes with us then. */
#include "emulator/port_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int tun_open(struct port *p)
{
	struct ifreq io = {.ifr_flags = IFF_TUN | IFF_NO_PI};

	p->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	return p->fd < 0 ? -errno : port_ioctl(p, p->fd, TUNSETIFF, &io);
}

int tun_receive(struct port *p, struct inbox *in, size_t frame_max, uint64_t now_ns)
{
	int count = 0;

	while (count < (int)BATCH_PACKETS) {
		struct arrival *a = &in->arrivals[count];
		/* What is too large for the link shall be seen, and dropped as such. */
		struct iovec pieces[2] = {{a->packet->frame, frame_max},
					  {in->super[count] + frame_max,
					   SUPER_BYTES_MAX - frame_max}};
		ssize_t n = readv(p->fd, pieces, 2);

		if (n < 0)
			return count > 0 ? count : -errno;
		memset(&a->packet->offload, 0, sizeof(a->packet->offload));
		a->len = (size_t)n;
		a->time_ns = now_ns;
		count++;
	}
	return count;
}

size_t tun_send(struct port *p, struct packet *const *packets, size_t count)
{
	size_t sent = 0;

	while (sent < count && write(p->fd, packets[sent]->frame, packets[sent]->len) >= 0)
		sent++;
	return sent;
}

int tun_set_carrier(struct port *p, bool is_up)
{
	int carrier = is_up;

	return ioctl(p->fd, TUNSETCARRIER, &carrier) < 0 ? -errno : 0;
}
