/* By UDP sockets: recvmmsg into places that follow each other. What waits for its reader waits in
 * the socket, so that a stream moves with its descriptor. */
#include "mcast/relay/receive.h"

#include "common/base/limits.h"
#include "common/base/list.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

/* The longest datagram, or as many as the kernel puts together. */
#define PLACE_BYTES (64u * KIB)
/* Places begin at other cache sets than their neighbours: datagrams are mostly short, and would
 * all lie in the same few otherwise. */
#define PLACE_STRIDE (PLACE_BYTES + 4096u + 128u)

/* Reads of one input before others have their turn: a burst of the size that cameras and encoders
 * send, and the rest has its turn soon. */
#define READS_MAX 64u

union control {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint32_t))];
};

struct udp_receiver {
	struct receiver receiver;
	unsigned used;
	struct mmsghdr messages[RECEIVE_PLACES];
	struct iovec iovecs[RECEIVE_PLACES];
	struct arrival arrivals[RECEIVE_PLACES];
	union control controls[RECEIVE_PLACES];
	union address from[RECEIVE_PLACES];
	uint8_t *bytes;
};

static struct udp_receiver *udp_of(struct receiver *r)
{
	return container_of(r, struct udp_receiver, receiver);
}

/* ---- life ---- */

static struct receiver *udp_open(const struct receive_setting *with)
{
	struct udp_receiver *u = calloc(1, sizeof(*u));

	if (u)
		u->bytes = aligned_alloc(64, (size_t)RECEIVE_PLACES * PLACE_STRIDE);
	if (!u || !u->bytes)
		abort();
	u->receiver = (struct receiver){.ops = &receive_udp, .with = *with};
	for (unsigned i = 0; i < RECEIVE_PLACES; i++) {
		u->iovecs[i].iov_base = u->bytes + (size_t)i * PLACE_STRIDE;
		u->messages[i].msg_hdr.msg_iov = &u->iovecs[i];
		u->messages[i].msg_hdr.msg_iovlen = 1;
		u->messages[i].msg_hdr.msg_control = &u->controls[i];
		u->messages[i].msg_hdr.msg_name = &u->from[i];
		u->arrivals[i].bytes = &u->iovecs[i];
		u->arrivals[i].from = &u->from[i];
	}
	return &u->receiver;
}

static void udp_close(struct receiver *r)
{
	struct udp_receiver *u = udp_of(r);

	free(u->bytes);
	free(u);
}

static void udp_reset(struct receiver *r)
{
	udp_of(r)->used = 0;
}

/* ---- inputs ---- */

static void udp_watch(struct receiver *r, struct receive_input *in)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = in};

	if (in->fd >= 0)
		epoll_ctl(r->with.epoll_fd, EPOLL_CTL_ADD, in->fd, &event);
}

/* What has come waits in the socket, and is for the next one; so is what comes while one is
 * expected. */
static void udp_expect(struct receiver *r, struct receive_input *in)
{
	(void)r;
	(void)in;
}

/* The socket lives on elsewhere, so that closing ours does not do it. */
static void udp_unwatch(struct receiver *r, struct receive_input *in)
{
	if (in->fd >= 0)
		epoll_ctl(r->with.epoll_fd, EPOLL_CTL_DEL, in->fd, NULL);
}

static bool udp_is_drained(const struct receiver *r, const struct receive_input *in)
{
	(void)r;
	(void)in;
	return true;
}

static void udp_drain(struct receiver *r)
{
	(void)r;
}

/* ---- reading ---- */

static void prepare(struct udp_receiver *u, unsigned count)
{
	for (unsigned i = u->used; i < u->used + count; i++) {
		u->iovecs[i].iov_len = PLACE_BYTES;
		u->messages[i].msg_hdr.msg_controllen = sizeof(u->controls[i]);
		u->messages[i].msg_hdr.msg_namelen = sizeof(u->from[i]);
	}
}

static void read_controls(struct msghdr *m, struct arrival *a, uint32_t *ret_overflows)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		int segment;

		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
			memcpy(&segment, CMSG_DATA(c), sizeof(segment));
			a->segment_bytes = (uint32_t)segment;
		} else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
			memcpy(ret_overflows, CMSG_DATA(c), sizeof(*ret_overflows));
		}
	}
}

static void settle(struct udp_receiver *u, unsigned i, uint32_t *ret_overflows)
{
	struct msghdr *m = &u->messages[i].msg_hdr;
	struct arrival *a = &u->arrivals[i];
	uint32_t len = u->messages[i].msg_len;

	a->bytes->iov_len = len;
	a->segment_bytes = len;
	read_controls(m, a, ret_overflows);
	a->is_truncated = m->msg_flags & MSG_TRUNC;
	a->packets = receive_packets(len, a->segment_bytes);
}

/* The kernel's count has 32 bits, and wraps. Of another socket in the same place it begins anew. */
static uint32_t lost_since(uint32_t before, uint32_t now)
{
	return (int32_t)(now - before) < 0 ? now : now - before;
}

static bool udp_take(struct receiver *r, void *readable)
{
	struct udp_receiver *u = udp_of(r);
	struct receive_input *in = readable;
	unsigned room = RECEIVE_PLACES - u->used, first = u->used;
	uint32_t before = *in->overflows;
	int n;

	if (room == 0)
		return false;
	if (room > READS_MAX)
		room = READS_MAX;
	prepare(u, room);
	n = recvmmsg(in->fd, u->messages + first, room, MSG_DONTWAIT, NULL);
	if (n <= 0)
		return true;
	for (unsigned i = first; i < first + (unsigned)n; i++)
		settle(u, i, in->overflows);
	u->used += (unsigned)n;
	r->with.on_arrivals(r->with.user, in, &u->arrivals[first], (unsigned)n,
			    lost_since(before, *in->overflows));
	return true;
}

static bool udp_is_puzzled(struct receiver *r)
{
	(void)r;
	return false;
}

static bool udp_hear(struct receiver *r, const char *what, struct message *m)
{
	(void)r;
	(void)what;
	(void)m;
	return false;
}

static bool udp_tell(const struct receiver *r, unsigned i, json_t **ret,
		     int ret_fds[MESSAGE_FDS_MAX], size_t *ret_fd_count)
{
	(void)r;
	(void)i;
	(void)ret;
	(void)ret_fds;
	(void)ret_fd_count;
	return false;
}

const struct receive_ops receive_udp = {.name = "udp",
					.open = udp_open,
					.close = udp_close,
					.expect = udp_expect,
					.watch = udp_watch,
					.release = udp_unwatch,
					.is_drained = udp_is_drained,
					.unwatch = udp_unwatch,
					.drain = udp_drain,
					.take = udp_take,
					.reset = udp_reset,
					.is_puzzled = udp_is_puzzled,
					.hear = udp_hear,
					.tell = udp_tell};
