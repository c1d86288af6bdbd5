/* A packet socket on an interface (packet(7)): frames with a virtio-net header before them, which
 * tells of large packets and of sums that are not filled in, and with the kernel's time stamp, so
 * that our own waiting for a processor delays nothing. */
#include "emulator/core/limits.h"
#include "emulator/port_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

static_assert(sizeof(struct offload) == sizeof(struct virtio_net_hdr) &&
		      offsetof(struct offload, gso_bytes) ==
			      offsetof(struct virtio_net_hdr, gso_size) &&
		      offsetof(struct offload, csum_offset) ==
			      offsetof(struct virtio_net_hdr, csum_offset),
	      "the same header");

static int set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* A tag that the kernel keeps beside the frame would be lost on the way: tagged frames stay out. */
static int refuse_tags(int fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(*code), .filter = code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ? -errno
											   : 0;
}

/* The large buffer needs CAP_NET_ADMIN; without it the system's limit holds. */
static void enlarge(int fd)
{
	if (set(fd, SOL_SOCKET, SO_RCVBUFFORCE, (int)SOCKET_BYTES))
		set(fd, SOL_SOCKET, SO_RCVBUF, (int)SOCKET_BYTES);
	if (set(fd, SOL_SOCKET, SO_SNDBUFFORCE, (int)SOCKET_BYTES))
		set(fd, SOL_SOCKET, SO_SNDBUF, (int)SOCKET_BYTES);
}

/* All frames that come in by the interface, whoever they are addressed to. */
static int join(int fd, int index)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
				      .sll_protocol = htons(ETH_P_ALL),
				      .sll_ifindex = index};
	struct packet_mreq all = {.mr_ifindex = index, .mr_type = PACKET_MR_PROMISC};

	if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)) < 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return 0;
}

int packet_open(struct port *p)
{
	struct ifreq io = {.ifr_ifindex = 0};
	int err;

	/* Protocol 0: nothing comes before all is set and bound. */
	p->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->fd < 0)
		return -errno;
	enlarge(p->fd);
	err = port_ioctl(p, p->fd, SIOCGIFINDEX, &io);
	if (!err)
		err = set(p->fd, SOL_PACKET, PACKET_VNET_HDR, 1);
	if (!err)
		err = set(p->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
	if (!err)
		err = set(p->fd, SOL_PACKET, PACKET_QDISC_BYPASS, 1);
	if (!err)
		err = set(p->fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
	if (!err)
		err = refuse_tags(p->fd);
	return err ? err : join(p->fd, io.ifr_ifindex);
}

static uint64_t to_ns(const struct timespec *t)
{
	return (uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_nsec;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return to_ns(&now);
}

/* What to add to a time of CLOCK_REALTIME, which the kernel stamps with, to have it in our own.
 * Asked anew each time: that clock is set and slewed. When we are interrupted between the two
 * questions, once more. */
static uint64_t clock_difference(void)
{
	uint64_t before_ns, real_ns, after_ns;
	int tries = 3;

	do {
		before_ns = clock_ns(CLOCK_MONOTONIC);
		real_ns = clock_ns(CLOCK_REALTIME);
		after_ns = clock_ns(CLOCK_MONOTONIC);
	} while (after_ns - before_ns > CLOCK_READ_NS && --tries > 0);
	return before_ns + (after_ns - before_ns) / 2 - real_ns;
}

/* One piece for the header and a frame of usual size, one for what is behind it in a large one. */
static void prepare(struct inbox *in, size_t frame_max)
{
	for (size_t i = 0; i < BATCH_PACKETS; i++) {
		in->pieces[i][0] = (struct iovec){&in->arrivals[i].packet->offload,
						  sizeof(struct offload) + frame_max};
		in->pieces[i][1] =
			(struct iovec){in->super[i] + frame_max, SUPER_BYTES_MAX - frame_max};
		in->messages[i].msg_hdr = (struct msghdr){.msg_iov = in->pieces[i],
							  .msg_iovlen = 2,
							  .msg_control = &in->stamps[i],
							  .msg_controllen = sizeof(in->stamps[i])};
	}
}

/* The kernel's stamp when there is a plausible one. */
static uint64_t stamp(struct msghdr *message, uint64_t difference, uint64_t now_ns)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(message);
	struct timespec at;
	uint64_t stamp_ns;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_TIMESTAMPNS)
		return now_ns;
	memcpy(&at, CMSG_DATA(c), sizeof(at));
	stamp_ns = to_ns(&at) + difference;
	return stamp_ns < now_ns && now_ns - stamp_ns < STAMP_AGE_NS_MAX ? stamp_ns : now_ns;
}

int packet_receive(struct port *p, struct inbox *in, size_t frame_max, uint64_t now_ns)
{
	uint64_t difference;
	int count;

	prepare(in, frame_max);
	count = recvmmsg(p->fd, in->messages, BATCH_PACKETS, MSG_DONTWAIT, NULL);
	if (count < 0)
		return -errno;
	difference = clock_difference();
	for (int i = 0; i < count; i++) {
		struct mmsghdr *m = &in->messages[i];
		size_t header_bytes = sizeof(struct offload);

		/* A frame that is cut is longer than any link: it will be dropped as such. */
		in->arrivals[i].len = m->msg_hdr.msg_flags & MSG_TRUNC ? SUPER_BYTES_MAX
				      : m->msg_len > header_bytes      ? m->msg_len - header_bytes
								       : 0;
		in->arrivals[i].time_ns = stamp(&m->msg_hdr, difference, now_ns);
	}
	return count;
}

size_t packet_send(struct port *p, struct packet *const *packets, size_t count)
{
	struct mmsghdr messages[BATCH_PACKETS];
	struct iovec pieces[BATCH_PACKETS];
	int sent;

	for (size_t i = 0; i < count; i++) {
		pieces[i] = (struct iovec){&packets[i]->offload,
					   sizeof(struct offload) + packets[i]->len};
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &pieces[i], .msg_iovlen = 1};
	}
	sent = sendmmsg(p->fd, messages, (unsigned)count, MSG_DONTWAIT);
	return sent < 0 ? 0 : (size_t)sent;
}

void packet_count_missed(struct port *p)
{
	struct tpacket_stats counted; /* the kernel begins at 0 again with each call */
	socklen_t len = sizeof(counted);

	if (getsockopt(p->fd, SOL_PACKET, PACKET_STATISTICS, &counted, &len) == 0)
		p->missed += counted.tp_drops;
}
