/* What goes out: see sender.h. */
#include "mcast/generator/sender.h"

#include "common/base/clock.h"
#include "common/base/minmax.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <time.h>

void sender_push(struct sender *s, const struct sender_message *m)
{
	assert(!sender_is_full(s) && m->packets <= PLAN_SEGMENTS_MAX);
	s->waiting[s->waiting_count++] = *m;
	s->waiting_packets += m->packets;
}

static uint64_t realtime_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* The packet's pieces, at place `index`. */
static void compose_packet(struct sender *s, uint32_t index, const struct stamp *stamp)
{
	struct payload *p = &s->payload;
	struct iovec *pieces = &s->pieces[SENDER_PIECES * index];
	size_t head_bytes = payload_head_bytes(p->is_rtp);
	size_t given_bytes = payload_given_bytes(p, s->plan->size_bytes);

	payload_head(p, stamp, s->heads[index]);
	pieces[0] = (struct iovec){s->heads[index], head_bytes};
	pieces[1] = (struct iovec){p->given, given_bytes};
	/* sendmmsg does not write to it. */
	pieces[2] = (struct iovec){(void *)(uintptr_t)payload_pattern(p, stamp),
				   s->plan->size_bytes - head_bytes - given_bytes};
}

static void compose(struct sender *s)
{
	struct stamp stamp = {.run = s->run, .sent_ns = realtime_ns()};
	uint32_t index = 0;

	for (uint32_t i = 0; i < s->waiting_count; i++) {
		const struct sender_message *m = &s->waiting[i];

		s->headers[i].msg_hdr =
			(struct msghdr){.msg_name = &s->addresses[m->stream],
					.msg_namelen = s->address_len,
					.msg_iov = &s->pieces[SENDER_PIECES * index],
					.msg_iovlen = SENDER_PIECES * m->packets};
		stamp.stream = m->stream;
		for (uint32_t k = 0; k < m->packets; k++) {
			stamp.sequence = s->next[m->stream]++;
			compose_packet(s, index++, &stamp);
		}
	}
}

/* The first `count` messages leave the batch. */
static void remove_first(struct sender *s, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		s->waiting_packets -= s->waiting[i].packets;
	s->waiting_count -= count;
	memmove(s->waiting, s->waiting + count, s->waiting_count * sizeof(*s->waiting));
}

static void note_sent(struct sender *s, uint32_t count, uint64_t now_ns)
{
	struct tally *t = s->tally;

	for (uint32_t i = 0; i < count; i++) {
		const struct sender_message *m = &s->waiting[i];

		for (uint32_t k = 0; k < m->packets; k++)
			hist_add(&t->late_ns, now_ns - min_u64(m->due_ns, now_ns));
		t->packets += m->packets;
		t->bytes += (uint64_t)m->packets * s->plan->size_bytes;
		t->last_ns = now_ns;
	}
}

/* What was not sent has no numbers. */
static void take_back(struct sender *s, uint32_t sent)
{
	for (uint32_t i = sent; i < s->waiting_count; i++)
		s->next[s->waiting[i].stream] -= s->waiting[i].packets;
}

static bool is_transient(int number)
{
	return number == EAGAIN || number == ENOBUFS || number == ENOMEM || number == EINTR;
}

int sender_flush(struct sender *s)
{
	while (s->waiting_count > 0) {
		uint64_t now_ns = clock_now_ns();
		int count, number;

		compose(s);
		count = sendmmsg(s->fd, s->headers, s->waiting_count, MSG_DONTWAIT);
		number = errno;
		take_back(s, count < 0 ? 0 : (uint32_t)count);
		if (count >= 0) {
			note_sent(s, (uint32_t)count, now_ns);
			remove_first(s, (uint32_t)count);
			continue;
		}
		tally_error(s->tally, number);
		if (is_transient(number))
			return -EAGAIN;
		s->tally->unsent += s->waiting[0].packets;
		remove_first(s, 1);
	}
	return 0;
}
