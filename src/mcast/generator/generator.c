/* The loop: see generator.h.
 *
 * It sleeps in sigtimedwait(2): that is as exact as clock_nanosleep(2) with the timer slack of 1 ns
 * (ppoll(2) adds a thousandth of the time), and a signal cannot slip in between the look and the
 * sleep. Deadlines are absolute, so that the relative time of a sleep adds up to nothing. */
#include "mcast/generator/generator.h"

#include "common/base/clock.h"
#include "common/base/minmax.h"
#include "mcast/generator/pace.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>

/* A wake-up takes 5 to 50 us: with --spin it ends so much earlier, and the rest is waited out. */
#define SPIN_NS 50000u
/* How soon the kernel is asked again when it had no room. */
#define RETRY_NS 100000u
/* How often one looks for signals at a rate that leaves no time for sleep. */
#define LOOK_NS (10 * NS_PER_MS)

struct generator {
	struct sender *sender;
	const struct plan *plan;
	struct pace pace;
	uint64_t turn;
	uint64_t end_ns; /* NEVER_NS: when all are sent, if ever */
	uint64_t woken_ns, looked_ns;
	bool is_interrupted;
};

static void fill_signals(sigset_t *ret)
{
	sigemptyset(ret);
	sigaddset(ret, SIGINT);
	sigaddset(ret, SIGTERM);
}

void generator_block_signals(void)
{
	sigset_t set;

	fill_signals(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

/* Until `until_ns`, or a signal; in the past, just a look. */
static void rest(struct generator *g, uint64_t until_ns)
{
	uint64_t now_ns = clock_now_ns(), rest_ns = until_ns - min_u64(now_ns, until_ns);
	struct timespec time = {(time_t)(rest_ns / NS_PER_S), (long)(rest_ns % NS_PER_S)};
	sigset_t set;

	fill_signals(&set);
	if (sigtimedwait(&set, NULL, &time) > 0)
		g->is_interrupted = true;
	g->woken_ns = g->looked_ns = clock_now_ns();
}

static void await_spinning(struct generator *g, uint64_t due_ns)
{
	if (g->woken_ns + SPIN_NS < due_ns)
		rest(g, due_ns - SPIN_NS);
	do
		g->woken_ns = clock_now_ns();
	while (g->woken_ns < due_ns && !g->is_interrupted);
}

/* All that waits; it keeps trying until there is room. */
static void flush(struct generator *g)
{
	while (!g->is_interrupted && sender_flush(g->sender) == -EAGAIN)
		rest(g, clock_now_ns() + RETRY_NS);
}

static void await(struct generator *g, uint64_t due_ns)
{
	flush(g);
	if (g->is_interrupted)
		return;
	if (g->plan->is_spinning)
		await_spinning(g, due_ns);
	else
		rest(g, pace_wake_ns(due_ns, g->woken_ns));
}

/* One stream's burst. */
static void push_turn(struct generator *g, uint64_t due_ns)
{
	uint32_t packets = pace_packets(&g->pace, g->turn, g->plan->count);
	uint32_t at_once = g->plan->is_gso ? packets : 1;
	struct sender_message m = {pace_stream(&g->pace, g->turn), at_once, due_ns};

	for (; packets > 0 && !g->is_interrupted; packets -= at_once) {
		sender_push(g->sender, &m);
		if (sender_is_full(g->sender))
			flush(g);
	}
	g->turn++;
}

static bool is_over(const struct generator *g, uint64_t due_ns)
{
	return g->is_interrupted || due_ns >= g->end_ns ||
	       pace_packets(&g->pace, g->turn, g->plan->count) == 0;
}

static void run(struct generator *g)
{
	for (;;) {
		uint64_t now_ns = clock_now_ns(), due_ns;

		g->sender->tally->slipped_ns += pace_slip_ns(&g->pace, g->turn, now_ns);
		due_ns = pace_due_ns(&g->pace, g->turn);
		if (is_over(g, due_ns))
			return;
		if (due_ns > now_ns)
			await(g, due_ns);
		else
			push_turn(g, due_ns);
		if (now_ns > g->looked_ns + LOOK_NS)
			rest(g, now_ns);
	}
}

bool generator_run(struct sender *sender)
{
	const struct plan *plan = sender->plan;
	struct generator g = {.sender = sender,
			      .plan = plan,
			      .pace = {.start_ns = clock_now_ns(),
				       .rate_pps = plan->rate_pps,
				       .streams = plan->streams.count,
				       .burst = plan->burst,
				       .is_together = plan->is_together},
			      .end_ns = NEVER_NS};

	prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);
	sender->tally->start_ns = sender->tally->last_ns = g.pace.start_ns;
	g.woken_ns = g.looked_ns = g.pace.start_ns;
	if (plan->duration_ms > 0)
		g.end_ns = g.pace.start_ns + plan->duration_ms * NS_PER_MS;
	run(&g);
	flush(&g);
	/* The last packet stands for the time until the next one would be due. */
	sender->tally->last_ns += pace_gap_ns(&g.pace);
	return g.is_interrupted;
}
