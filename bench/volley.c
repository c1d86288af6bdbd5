/* Multicast packets at a steady rate, from one socket and one busy core: `volley HOW GROUP PORT
 * INTERFACE PPS BYTES SECONDS BURST` prints how many were sent. HOW is
 *
 *   sendto    a call for each packet, as an ordinary sender does
 *   sendmmsg  a call for BURST packets; each is a packet of its own from there on
 *   frames    the same below IP, past the queueing discipline: the cheapest way to send packets
 *   gso       a call for BURST packets, which stay one until somebody has to cut them (UDP GSO)
 *
 * Each call sends all that has come due, at most BURST. What a pause of more than a millisecond has
 * made due is left out: it would be a burst that nobody asked for. */
#include "peer.h"

#include "common/base/minmax.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000ull
#define PAUSE_NS 1000000ull
#define PPS_MAX 10000000u
#define BYTES_MIN 16u
#define BYTES_MAX 1472u
#define SECONDS_MAX 120u
#define BURST_MAX 64
#define DATAGRAM_MAX 65507u
#define SOCKET_BYTES (8 << 20)

enum how { SENDTO, SENDMMSG, FRAMES, GSO, HOWS };

static const char *const how_names[HOWS] = {"sendto", "sendmmsg", "frames", "gso"};

struct frame_head {
	struct ether_header ether;
	struct iphdr ip;
	struct udphdr udp;
} __attribute__((packed));

struct volley {
	enum how how;
	const char *interface;
	struct sockaddr_in to;
	uint64_t pps, bytes, seconds, burst;
	int fd;
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_ll link;
	} from;
	struct frame_head head;
	uint8_t *payload; /* BURST packets' */
	struct iovec pieces[BURST_MAX][2];
	struct mmsghdr messages[BURST_MAX];
	uint64_t sent, refused, left_out;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static int open_datagram(struct volley *v)
{
	struct ip_mreqn out = {.imr_ifindex = (int)if_nametoindex(v->interface)};
	int ttl = 16, size = SOCKET_BYTES, segment = (int)v->bytes;

	v->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (v->fd < 0)
		return -errno;
	setsockopt(v->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	if (setsockopt(v->fd, IPPROTO_IP, IP_MULTICAST_IF, &out, sizeof(out)) < 0 ||
	    setsockopt(v->fd, IPPROTO_IP, IP_MULTICAST_TTL, &ttl, sizeof(ttl)) < 0)
		return -errno;
	if (v->how == GSO && setsockopt(v->fd, SOL_UDP, UDP_SEGMENT, &segment, sizeof(segment)) < 0)
		return -errno;
	return connect(v->fd, (struct sockaddr *)&v->to, sizeof(v->to)) < 0 ? -errno : 0;
}

static uint16_t ip_checksum(struct iphdr ip)
{
	uint8_t bytes[sizeof(ip)];
	uint32_t sum = 0;

	memcpy(bytes, &ip, sizeof(ip));
	for (size_t i = 0; i < sizeof(bytes); i += 2)
		sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t) ~(sum + (sum >> 16)));
}

/* Ethernet, IPv4 and UDP; the latter without a checksum. */
static void fill_head(struct volley *v, const uint8_t mac[6], struct in_addr from)
{
	uint32_t group = ntohl(v->to.sin_addr.s_addr);
	uint8_t to_mac[6] = {1, 0, 0x5e, group >> 16 & 0x7f, group >> 8 & 0xff, group & 0xff};
	struct frame_head *h = &v->head;

	memcpy(h->ether.ether_dhost, to_mac, sizeof(to_mac));
	memcpy(h->ether.ether_shost, mac, sizeof(to_mac));
	h->ether.ether_type = htons(ETHERTYPE_IP);
	h->ip = (struct iphdr){.version = 4,
			       .ihl = 5,
			       .tot_len =
				       htons((uint16_t)(sizeof(*h) - sizeof(h->ether) + v->bytes)),
			       .frag_off = htons(IP_DF),
			       .ttl = 16,
			       .protocol = IPPROTO_UDP,
			       .saddr = from.s_addr,
			       .daddr = v->to.sin_addr.s_addr};
	h->ip.check = ip_checksum(h->ip);
	h->udp.source = htons(5000);
	h->udp.dest = v->to.sin_port;
	h->udp.len = htons((uint16_t)(sizeof(h->udp) + v->bytes));
}

static int open_frames(struct volley *v)
{
	struct ifreq mac = {0}, address = {0};
	struct sockaddr_in from;
	int yes = 1, size = SOCKET_BYTES;

	v->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); /* receives nothing */
	if (v->fd < 0)
		return -errno;
	v->from.link = (struct sockaddr_ll){.sll_family = AF_PACKET,
					    .sll_ifindex = (int)if_nametoindex(v->interface)};
	snprintf(mac.ifr_name, sizeof(mac.ifr_name), "%s", v->interface);
	snprintf(address.ifr_name, sizeof(address.ifr_name), "%s", v->interface);
	address.ifr_addr.sa_family = AF_INET;
	if (setsockopt(v->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &yes, sizeof(yes)) < 0 ||
	    setsockopt(v->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0 ||
	    bind(v->fd, &v->from.any, sizeof(v->from.link)) < 0 ||
	    ioctl(v->fd, SIOCGIFHWADDR, &mac) < 0)
		return -errno;
	memset(&from, 0, sizeof(from));
	if (ioctl(v->fd, SIOCGIFADDR, &address) == 0)
		memcpy(&from, &address.ifr_addr, sizeof(from));
	fill_head(v, (const uint8_t *)mac.ifr_hwaddr.sa_data, from.sin_addr);
	return 0;
}

static void fill_messages(struct volley *v)
{
	for (uint64_t i = 0; i < v->burst; i++) {
		struct msghdr *m = &v->messages[i].msg_hdr;

		v->pieces[i][0] = (struct iovec){&v->head, sizeof(v->head)};
		v->pieces[i][1] = (struct iovec){v->payload + i * v->bytes, v->bytes};
		m->msg_iov = v->how == FRAMES ? v->pieces[i] : v->pieces[i] + 1;
		m->msg_iovlen = v->how == FRAMES ? 2 : 1;
	}
}

/* How many went. */
static uint64_t send_some(struct volley *v, uint64_t count)
{
	ssize_t done;

	if (v->how == SENDTO) {
		done = sendto(v->fd, v->payload, v->bytes, 0, (struct sockaddr *)&v->to,
			      sizeof(v->to));
		return done < 0 ? 0 : 1;
	}
	if (v->how == GSO) {
		done = send(v->fd, v->payload, count * v->bytes, 0);
		return done < 0 ? 0 : count;
	}
	done = sendmmsg(v->fd, v->messages, (unsigned)count, 0);
	return done < 0 ? 0 : (uint64_t)done;
}

static void run(struct volley *v)
{
	uint64_t start = now_ns(), now = start, due = 0, asked = 0;
	uint64_t step = v->how == SENDTO ? 1 : v->burst;

	while (now - start < v->seconds * NS_PER_S) {
		uint64_t went, most = asked + max_u64(v->pps * PAUSE_NS / NS_PER_S, v->burst);

		due = (now - start) * v->pps / NS_PER_S - v->left_out;
		if (due > most) {
			v->left_out += due - most;
			due = most;
		}
		if (due - asked >= step) {
			went = send_some(v, step);
			asked += step;
			v->sent += went;
			v->refused += step - went;
		}
		now = now_ns();
	}
}

static int set_up(struct volley *v)
{
	if (!v->bytes || v->burst * v->bytes > DATAGRAM_MAX || !if_nametoindex(v->interface))
		return -EINVAL;
	v->payload = calloc(v->burst, v->bytes);
	if (!v->payload)
		return -ENOMEM;
	fill_messages(v);
	return v->how == FRAMES ? open_frames(v) : open_datagram(v);
}

static int parse(struct volley *v, char **words)
{
	uint64_t port;

	for (v->how = 0; v->how < HOWS && strcmp(words[0], how_names[v->how]) != 0; v->how++)
		;
	v->interface = words[3];
	if (v->how == HOWS || inet_pton(AF_INET, words[1], &v->to.sin_addr) != 1 ||
	    peer_number("port", words[2], 1, UINT16_MAX, &port) ||
	    peer_number("pps", words[4], 1, PPS_MAX, &v->pps) ||
	    peer_number("bytes", words[5], BYTES_MIN, BYTES_MAX, &v->bytes) ||
	    peer_number("seconds", words[6], 1, SECONDS_MAX, &v->seconds) ||
	    peer_number("burst", words[7], 1, BURST_MAX, &v->burst))
		return -EINVAL;
	v->to.sin_family = AF_INET;
	v->to.sin_port = htons((uint16_t)port);
	return 0;
}

int main(int argc, char **argv)
{
	static struct volley v = {.fd = -1};
	int err;

	if (argc != 9 || parse(&v, argv + 1)) {
		fprintf(stderr, "usage: volley sendto|sendmmsg|frames|gso GROUP PORT INTERFACE PPS "
				"BYTES SECONDS BURST\n");
		return PEER_USAGE;
	}
	err = set_up(&v);
	if (err) {
		fprintf(stderr, "volley: %s\n", strerror(-err));
		return PEER_FAILED;
	}
	run(&v);
	printf("{\"sent\": %" PRIu64 ", \"refused\": %" PRIu64 ", \"left_out\": %" PRIu64 "}\n",
	       v.sent, v.refused, v.left_out);
	free(v.payload);
	return PEER_FINE;
}
