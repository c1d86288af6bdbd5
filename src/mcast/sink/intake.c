/* Packets of a socket: see intake.h. */
#include "mcast/sink/intake.h"

#include "common/base/clock.h"
#include "common/base/fail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The largest packet, and some: places a power of two apart would share a few lines of the cache.
 */
#define INTAKE_PLACE_BYTES (PATTERN_PIECE_MAX + 1088u)

int intake_init(struct intake *in, bool is_rtp, const char *payload, char ret_why[WHY_BYTES_MAX])
{
	in->bytes = malloc((size_t)INTAKE_BATCH * INTAKE_PLACE_BYTES);
	if (!in->bytes)
		return fail_why(ret_why, "%s", strerror(ENOMEM));
	payload_init(&in->payload, is_rtp);
	return payload ? payload_load(&in->payload, payload, ret_why) : 0;
}

void intake_done(struct intake *in)
{
	free(in->bytes);
}

static void prepare(struct intake *in)
{
	for (unsigned i = 0; i < INTAKE_BATCH; i++) {
		in->pieces[i] = (struct iovec){in->bytes + (size_t)i * INTAKE_PLACE_BYTES,
					       INTAKE_PLACE_BYTES};
		in->headers[i].msg_hdr = (struct msghdr){.msg_iov = &in->pieces[i],
							 .msg_iovlen = 1,
							 .msg_control = in->controls[i],
							 .msg_controllen = sizeof(in->controls[i])};
	}
}

/* The kernel's stamp; the first packets after a socket was opened may have none. */
static uint64_t arrival_ns(struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	struct timespec at;

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS)
		memcpy(&at, CMSG_DATA(c), sizeof(at));
	else
		clock_gettime(CLOCK_REALTIME, &at);
	return (uint64_t)at.tv_sec * NS_PER_S + (uint64_t)at.tv_nsec;
}

unsigned intake_receive(struct intake *in, struct flow *f)
{
	int count;

	prepare(in);
	count = recvmmsg(f->fd, in->headers, INTAKE_BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < count; i++)
		flow_take(f, &in->payload, in->pieces[i].iov_base, in->headers[i].msg_len,
			  arrival_ns(&in->headers[i].msg_hdr));
	return count < 0 ? 0 : (unsigned)count;
}
