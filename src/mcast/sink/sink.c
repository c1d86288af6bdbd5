/* The loop: see sink.h.
 *
 * Between two rounds it rests, so that many packets come by one system call. That changes no
 * figure: the kernel stamps arrivals, and the sockets' buffers hold far more. */
#include "mcast/sink/sink.h"

#include "common/base/clock.h"
#include "common/base/minmax.h"
#include "mcast/sink/join.h"

#include <sys/epoll.h>
#include <time.h>

#define EVENTS_MAX 256
#define REST_NS NS_PER_MS
/* All have come: so long one waits for copies of the last ones. */
#define SETTLE_NS (200 * NS_PER_MS)
/* At the end, what lies in the sockets is read; packets that still come do not prolong that. */
#define DRAIN_NS (500 * NS_PER_MS)

const char *ending_name(enum ending e)
{
	static const char *const names[] = {[ENDING_NONE] = "none",
					    [ENDING_EXPECT] = "expect",
					    [ENDING_IDLE] = "idle",
					    [ENDING_DURATION] = "duration",
					    [ENDING_SIGNAL] = "signal"};

	return names[e];
}

static uint64_t end_ns(uint64_t since_ns, uint64_t ms)
{
	return ms > 0 ? since_ns + ms * NS_PER_MS : NEVER_NS;
}

/* When it ends if nothing comes, and why. */
static uint64_t next_ending(const struct sink *s, enum ending *ret_ending)
{
	uint64_t duration_ns = end_ns(s->start_ns, s->plan->duration_ms);
	uint64_t idle_ns = end_ns(s->last_ns, s->plan->idle_ms);
	uint64_t settled_ns = s->plan->expect > 0 && s->finished == s->plan->streams.count
				      ? s->last_ns + SETTLE_NS
				      : NEVER_NS;
	uint64_t first_ns = min_u64(min_u64(duration_ns, idle_ns), settled_ns);

	*ret_ending = first_ns == settled_ns ? ENDING_EXPECT
		      : first_ns == idle_ns  ? ENDING_IDLE
					     : ENDING_DURATION;
	return first_ns;
}

/* For epoll: rounded up, so that it is over when we look. */
static int timeout_ms(uint64_t until_ns, uint64_t now_ns)
{
	uint64_t ms;

	if (until_ns == NEVER_NS)
		return -1;
	ms = (until_ns - min_u64(until_ns, now_ns) + NS_PER_MS - 1) / NS_PER_MS;
	return (int)min_u64(ms, WAIT_CEILING_MS);
}

static bool receive(struct sink *s, struct flow *f)
{
	uint64_t before = f->received;
	unsigned count = intake_receive(s->intake, f);

	s->packets += f->received - before;
	if (s->plan->expect > 0 && !f->is_over && account_is_over(&f->account, s->plan->expect)) {
		f->is_over = true;
		s->finished++;
	}
	return count == INTAKE_BATCH;
}

/* One round: true when some socket may have more. */
static bool receive_all(struct sink *s, const struct epoll_event *events, int count)
{
	bool has_more = count == EVENTS_MAX;

	for (int i = 0; i < count; i++) {
		if (events[i].data.ptr)
			has_more |= receive(s, events[i].data.ptr);
		else
			s->ending = ENDING_SIGNAL;
	}
	return has_more;
}

static void rest(void)
{
	struct timespec time = {0, REST_NS};

	nanosleep(&time, NULL);
}

static void turn(struct sink *s)
{
	struct epoll_event events[EVENTS_MAX];
	enum ending ending;
	uint64_t now_ns = clock_now_ns(), until_ns = next_ending(s, &ending);
	uint64_t packets = s->packets;
	bool has_more;
	int count;

	count = epoll_wait(s->epoll_fd, events, EVENTS_MAX, timeout_ms(until_ns, now_ns));
	has_more = receive_all(s, events, count);
	now_ns = clock_now_ns();
	if (s->packets > packets)
		s->last_ns = now_ns;
	else if (s->ending == ENDING_NONE && now_ns >= until_ns)
		s->ending = ending;
	if (s->ending == ENDING_NONE && s->plan->duration_ms > 0 &&
	    now_ns >= end_ns(s->start_ns, s->plan->duration_ms))
		s->ending = ENDING_DURATION;
	if (!has_more && s->ending == ENDING_NONE && count > 0)
		rest();
}

static void drain(struct sink *s)
{
	uint64_t until_ns = clock_now_ns() + DRAIN_NS;
	struct epoll_event events[EVENTS_MAX];
	int count;

	epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, s->signal_fd, NULL);
	while ((count = epoll_wait(s->epoll_fd, events, EVENTS_MAX, 0)) > 0 &&
	       clock_now_ns() < until_ns)
		receive_all(s, events, count);
}

void sink_run(struct sink *s)
{
	s->start_ns = s->last_ns = clock_now_ns();
	while (s->ending == ENDING_NONE)
		turn(s);
	drain(s);
	for (uint32_t i = 0; i < s->opened; i++)
		s->flows[i].dropped_here = join_dropped(s->flows[i].fd);
}
