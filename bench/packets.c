/* UDP packets through a link, paced and stamped: `packets NETNS_A NETNS_B ADDRESS_B PPS BYTES
 * SECONDS` sends from one namespace to the other and prints how many came, how long each took (from
 * just before the send to the kernel's stamp at the receiver) and at what rate they came. */
#include "peer.h"

#include "common/base/minmax.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000ull
#define PORT 9999u
#define PPS_MAX 2000000u
#define BYTES_MIN (HEADERS + sizeof(struct stamp))
#define BYTES_MAX 1514u
#define HEADERS 42u /* Ethernet, IPv4, UDP: `BYTES` are those of the whole frame */
#define SECONDS_MAX 60u
#define BATCH 64
#define SOCKET_BYTES (64 << 20)
#define DRAIN_NS NS_PER_S /* after the last was sent: longer than any delay that is measured */

struct stamp {
	uint64_t sent_ns; /* CLOCK_REALTIME, as the kernel stamps */
	uint64_t number;
};

struct run {
	int from_fd, to_fd;
	uint64_t pps, count;
	size_t payload_bytes;
	uint64_t sent, refused, received, swapped, last_number;
	uint64_t first_ns, last_ns; /* arrivals */
	uint64_t *delays_ns;
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* A UDP socket of a namespace; the thread stays in it, which harms nothing. */
static int open_there(const char *netns)
{
	char path[300];
	int yes = 1, size = SOCKET_BYTES, fd;

	snprintf(path, sizeof(path), "/run/netns/%s", netns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		return -errno;
	close(fd);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof(yes)) < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	return fd;
}

static int open_both(struct run *r, char **words)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};

	if (inet_pton(AF_INET, words[2], &address.sin_addr) != 1)
		return -EINVAL;
	r->to_fd = open_there(words[1]);
	if (r->to_fd < 0 || bind(r->to_fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return r->to_fd < 0 ? r->to_fd : -errno;
	r->from_fd = open_there(words[0]);
	if (r->from_fd < 0 || connect(r->from_fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return r->from_fd < 0 ? r->from_fd : -errno;
	return 0;
}

static void send_one(struct run *r)
{
	uint8_t bytes[BYTES_MAX] = {0};
	struct stamp stamp = {clock_ns(CLOCK_REALTIME), r->sent++};

	memcpy(bytes, &stamp, sizeof(stamp));
	if (send(r->from_fd, bytes, r->payload_bytes, MSG_DONTWAIT) < 0)
		r->refused++;
}

static void note(struct run *r, struct msghdr *message, const struct stamp *stamp)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(message);
	struct timespec at;

	if (!c || c->cmsg_type != SO_TIMESTAMPNS || r->received == r->count)
		return;
	memcpy(&at, CMSG_DATA(c), sizeof(at));
	r->last_ns = (uint64_t)at.tv_sec * NS_PER_S + (uint64_t)at.tv_nsec;
	if (r->received == 0)
		r->first_ns = r->last_ns;
	r->swapped += stamp->number < r->last_number;
	r->last_number = stamp->number;
	r->delays_ns[r->received++] = r->last_ns - stamp->sent_ns;
}

static void receive_some(struct run *r)
{
	static struct stamp stamps[BATCH];
	static uint8_t controls[BATCH][CMSG_SPACE(sizeof(struct timespec))]
		__attribute__((aligned(8)));
	struct mmsghdr messages[BATCH];
	struct iovec pieces[BATCH];
	int count;

	for (int i = 0; i < BATCH; i++) {
		pieces[i] = (struct iovec){&stamps[i], sizeof(stamps[i])};
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &pieces[i],
						      .msg_iovlen = 1,
						      .msg_control = controls[i],
						      .msg_controllen = sizeof(controls[i])};
	}
	count = recvmmsg(r->to_fd, messages, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < count; i++)
		note(r, &messages[i].msg_hdr, &stamps[i]);
}

static void measure(struct run *r)
{
	uint64_t start_ns = clock_ns(CLOCK_MONOTONIC), now_ns = start_ns;
	uint64_t end_ns = start_ns + r->count * NS_PER_S / r->pps + DRAIN_NS;

	while (now_ns < end_ns && r->received < r->count) {
		uint64_t due = min_u64((now_ns - start_ns) * r->pps / NS_PER_S, r->count);

		for (int i = 0; i < BATCH && r->sent < due; i++)
			send_one(r);
		receive_some(r);
		now_ns = clock_ns(CLOCK_MONOTONIC);
	}
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void print_delays(const struct run *r)
{
	static const double shares[] = {0, .01, .5, .99, .999, 1};

	printf(", \"delays_us\": [");
	for (size_t i = 0; i < sizeof(shares) / sizeof(*shares); i++)
		printf("%s%.3f", i ? ", " : "",
		       (double)r->delays_ns[(size_t)(shares[i] * (double)(r->received - 1))] / 1e3);
	puts("]}");
}

/* delays_us: least, 1 %, median, 99 %, 99.9 %, largest. */
static void print(struct run *r)
{
	double seconds = (double)(r->last_ns - r->first_ns) / 1e9;
	double bits = 8.0 * (double)(r->payload_bytes + HEADERS) * (double)(r->received - 1);

	qsort(r->delays_ns, r->received, sizeof(*r->delays_ns), compare);
	printf("{\"sent\": %" PRIu64 ", \"refused\": %" PRIu64 ", \"received\": %" PRIu64
	       ", \"swapped\": %" PRIu64 ", \"rate_bps\": %.0f",
	       r->sent, r->refused, r->received, r->swapped, bits / seconds);
	print_delays(r);
}

int main(int argc, char **argv)
{
	struct run run = {.from_fd = -1};
	uint64_t bytes, seconds;
	int err;

	if (argc != 7 || peer_number("pps", argv[4], 1, PPS_MAX, &run.pps) ||
	    peer_number("bytes", argv[5], BYTES_MIN, BYTES_MAX, &bytes) ||
	    peer_number("seconds", argv[6], 1, SECONDS_MAX, &seconds)) {
		fprintf(stderr, "usage: packets NETNS_A NETNS_B ADDRESS_B PPS BYTES SECONDS\n");
		return PEER_USAGE;
	}
	run.payload_bytes = bytes - HEADERS;
	run.count = run.pps * seconds;
	run.delays_ns = calloc(run.count, sizeof(*run.delays_ns));
	err = run.delays_ns ? open_both(&run, argv + 1) : -ENOMEM;
	if (err) {
		fprintf(stderr, "packets: %s\n", strerror(-err));
		return PEER_FAILED;
	}
	memset(run.delays_ns, 1, run.count * sizeof(*run.delays_ns)); /* no page faults later */
	measure(&run);
	if (run.received < 2) {
		fprintf(stderr, "packets: %" PRIu64 " of %" PRIu64 " came\n", run.received,
			run.sent);
		return PEER_FAILED;
	}
	print(&run);
	free(run.delays_ns);
	return PEER_FINE;
}
