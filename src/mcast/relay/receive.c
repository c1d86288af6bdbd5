/* recvmmsg into places that follow each other: see receive.h. */
#include "mcast/relay/receive.h"

#include "common/base/limits.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>

/* The longest datagram, or as many as the kernel puts together. */
#define PLACE_BYTES (64u * KIB)
/* Places begin at other cache sets than their neighbours: datagrams are mostly short, and would
 * all lie in the same few otherwise. */
#define PLACE_STRIDE (PLACE_BYTES + 4096u + 128u)

union control {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint32_t))];
};

struct receiver {
	unsigned used;
	struct mmsghdr messages[RECEIVE_PLACES];
	struct iovec iovecs[RECEIVE_PLACES];
	struct arrival arrivals[RECEIVE_PLACES];
	union control controls[RECEIVE_PLACES];
	union address from[RECEIVE_PLACES];
	uint8_t *bytes;
};

struct receiver *receiver_new(void)
{
	struct receiver *r = calloc(1, sizeof(*r));

	if (r)
		r->bytes = aligned_alloc(64, (size_t)RECEIVE_PLACES * PLACE_STRIDE);
	if (!r || !r->bytes)
		abort();
	for (unsigned i = 0; i < RECEIVE_PLACES; i++) {
		r->iovecs[i].iov_base = r->bytes + (size_t)i * PLACE_STRIDE;
		r->messages[i].msg_hdr.msg_iov = &r->iovecs[i];
		r->messages[i].msg_hdr.msg_iovlen = 1;
		r->messages[i].msg_hdr.msg_control = &r->controls[i];
		r->messages[i].msg_hdr.msg_name = &r->from[i];
		r->arrivals[i].bytes = &r->iovecs[i];
		r->arrivals[i].from = &r->from[i];
	}
	return r;
}

void receiver_free(struct receiver *r)
{
	if (!r)
		return;
	free(r->bytes);
	free(r);
}

unsigned receiver_room(const struct receiver *r)
{
	return RECEIVE_PLACES - r->used;
}

void receiver_reset(struct receiver *r)
{
	r->used = 0;
}

static void prepare(struct receiver *r, unsigned count)
{
	for (unsigned i = r->used; i < r->used + count; i++) {
		r->iovecs[i].iov_len = PLACE_BYTES;
		r->messages[i].msg_hdr.msg_controllen = sizeof(r->controls[i]);
		r->messages[i].msg_hdr.msg_namelen = sizeof(r->from[i]);
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

static void settle(struct receiver *r, unsigned i, uint32_t *ret_overflows)
{
	struct msghdr *m = &r->messages[i].msg_hdr;
	struct arrival *a = &r->arrivals[i];
	uint32_t len = r->messages[i].msg_len;

	a->bytes->iov_len = len;
	a->segment_bytes = len;
	read_controls(m, a, ret_overflows);
	a->is_truncated = m->msg_flags & MSG_TRUNC;
	a->packets = len > a->segment_bytes ? (len + a->segment_bytes - 1) / a->segment_bytes : 1;
}

int receiver_take(struct receiver *r, int fd, unsigned max, struct arrival **ret,
		  uint32_t *ret_overflows)
{
	unsigned room = receiver_room(r), first = r->used;
	int n;

	if (max > room)
		max = room;
	prepare(r, max);
	n = recvmmsg(fd, r->messages + first, max, MSG_DONTWAIT, NULL);
	if (n < 0)
		return -errno;
	for (unsigned i = first; i < first + (unsigned)n; i++)
		settle(r, i, ret_overflows);
	r->used += (unsigned)n;
	*ret = &r->arrivals[first];
	return n;
}
