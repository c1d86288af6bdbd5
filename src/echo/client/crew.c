/* Workers from their fork to their end: see crew.h. */
#include "echo/client/crew.h"

#include "common/base/clock.h"
#include "common/base/minmax.h"
#include "echo/client/rtaddr.h"
#include "echo/common/process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Closing 20,000 connections takes a second, 20,000 processes several. Who takes longer is killed.
 */
#define DISMISS_WAIT_NS (20 * NS_PER_S)
#define DISMISS_LOOK_NS (5 * NS_PER_MS)

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int crew_open(struct crew *c, const struct plan *plan, const struct pattern *pattern)
{
	*c = (struct crew){.plan = plan, .pattern = pattern, .board = board_new()};
	c->signal_fd = open_signals();
	c->refresh_ns = clock_now_ns() + RTADDR_REFRESH_S * NS_PER_S;
	if (c->signal_fd < 0)
		return -errno;
	return c->board ? 0 : -ENOMEM;
}

typedef int address_action(unsigned interface, const union address *a);

/* On all addresses that workers have added. */
static void for_added_sources(const struct crew *c, address_action *action)
{
	uint32_t taken = c->board ? atomic_load(&c->board->source_next) : 0;

	if (c->plan->source_interface == 0)
		return;
	for (uint32_t i = 0; i < taken && i < BOARD_SOURCES_MAX; i++) {
		union address source = sources_nth(&c->plan->sources, i);

		if (atomic_load(&c->board->source_is_ours[i]))
			action(c->plan->source_interface, &source);
	}
}

void crew_close(struct crew *c)
{
	crew_dismiss(c);
	for_added_sources(c, rtaddr_remove);
	if (c->signal_fd >= 0)
		close(c->signal_fd);
}

/* In the child. It keeps nothing of the supervisor's but the shared memory. */
static void __attribute__((noreturn)) work(struct crew *c, uint32_t index, int channel)
{
	struct worker worker = {.plan = c->plan,
				.pattern = c->pattern,
				.board = c->board,
				.result = &c->board->results[index],
				.index = index,
				.channel = channel};

	close(c->signal_fd);
	for (uint32_t i = 0; i < index; i++)
		if (c->members[i].channel >= 0)
			close(c->members[i].channel);
	_exit(worker_run(&worker) ? EXIT_FAILED : EXIT_DONE);
}

int crew_hire(struct crew *c)
{
	struct member *m = &c->members[c->count];
	int err = result_init(&c->board->results[c->count]);

	if (err)
		return err;
	*m = (struct member){.channel = -1};
	err = process_fork(&m->pid, &m->channel);
	if (err < 0)
		return err;
	if (err == 1)
		work(c, c->count, m->channel);
	c->count++;
	return 0;
}

void crew_order(struct crew *c, struct member *m, enum stage stage, uint32_t count)
{
	const struct order order = {stage, count};

	if (m->channel < 0)
		return;
	/* If it fails the worker is gone, which its channel will tell. */
	(void)!send(m->channel, &order, sizeof(order), MSG_NOSIGNAL);
	m->answer = (struct answer){stage, CAUSE_NONE};
	c->working += !m->is_working;
	m->is_working = true;
}

void crew_order_all(struct crew *c, enum stage stage, uint32_t count)
{
	for (uint32_t i = 0; i < c->count; i++)
		crew_order(c, &c->members[i], stage, count);
}

static void stop_waiting_for(struct crew *c, struct member *m)
{
	c->working -= m->is_working;
	m->is_working = false;
}

static void lose(struct crew *c, struct member *m)
{
	close(m->channel);
	m->channel = -1;
	m->answer.cause = CAUSE_WORKER_LOST;
	c->lost++;
	stop_waiting_for(c, m);
}

static void hear(struct crew *c, struct member *m)
{
	struct answer answer;
	ssize_t n = recv(m->channel, &answer, sizeof(answer), 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != (ssize_t)sizeof(answer)) {
		lose(c, m);
		return;
	}
	m->answer = answer;
	stop_waiting_for(c, m);
}

static void take_signal(struct crew *c)
{
	struct signalfd_siginfo info;

	if (read(c->signal_fd, &info, sizeof(info)) < 0)
		return;
	c->is_interrupted = true;
	atomic_store(&c->board->stop, CAUSE_INTERRUPTED);
}

static int wait_ms(const struct crew *c, uint64_t until_ns)
{
	uint64_t now = clock_now_ns();
	uint64_t next = c->plan->source_interface ? min_u64(until_ns, c->refresh_ns) : until_ns;

	if (next == NEVER_NS)
		return -1;
	/* Rounded up: not to turn in circles in the last millisecond. */
	return next <= now ? 0 : (int)min_u64((next - now + NS_PER_MS - 1) / NS_PER_MS, INT32_MAX);
}

void crew_wait(struct crew *c, uint64_t until_ns)
{
	struct pollfd fds[PLAN_WORKERS_MAX + 1];

	for (uint32_t i = 0; i < c->count; i++) /* poll(2) passes over those below 0 */
		fds[i] = (struct pollfd){.fd = c->members[i].channel, .events = POLLIN};
	fds[c->count] = (struct pollfd){.fd = c->signal_fd, .events = POLLIN};
	if (poll(fds, c->count + 1, wait_ms(c, until_ns)) < 0)
		return;
	for (uint32_t i = 0; i < c->count; i++)
		if (fds[i].revents && fds[i].fd >= 0)
			hear(c, &c->members[i]);
	if (fds[c->count].revents)
		take_signal(c);
	if (clock_now_ns() >= c->refresh_ns) {
		for_added_sources(c, rtaddr_refresh);
		c->refresh_ns = clock_now_ns() + RTADDR_REFRESH_S * NS_PER_S;
	}
}

void crew_wait_all(struct crew *c)
{
	while (c->working > 0 && !c->is_interrupted)
		crew_wait(c, NEVER_NS);
}

void crew_sleep(struct crew *c, uint64_t until_ns)
{
	while (clock_now_ns() < until_ns && !c->is_interrupted)
		crew_wait(c, until_ns);
}

/* True when it has ended. */
static bool has_ended(struct member *m)
{
	if (m->pid > 0 && waitpid(m->pid, NULL, WNOHANG) != 0)
		m->pid = 0;
	return m->pid == 0;
}

static bool have_all_ended(struct crew *c)
{
	bool all = true;

	for (uint32_t i = 0; i < c->count; i++)
		all &= has_ended(&c->members[i]);
	return all;
}

void crew_dismiss(struct crew *c)
{
	const struct timespec pause = {.tv_nsec = DISMISS_LOOK_NS};
	uint64_t until = clock_now_ns() + DISMISS_WAIT_NS;

	crew_order_all(c, STAGE_END, 0);
	while (!have_all_ended(c) && clock_now_ns() < until)
		nanosleep(&pause, NULL);
	for (uint32_t i = 0; i < c->count; i++) {
		struct member *m = &c->members[i];

		if (!has_ended(m)) {
			kill(m->pid, SIGKILL);
			waitpid(m->pid, NULL, 0);
			m->pid = 0;
		}
		if (m->channel >= 0)
			close(m->channel);
		m->channel = -1;
	}
}
