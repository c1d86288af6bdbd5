/* From the first check to the last line: see supervisor.h. */
#include "echo/server/supervisor.h"

#include "common/base/clock.h"
#include "common/base/files.h"
#include "common/base/minmax.h"
#include "echo/common/capacity.h"
#include "echo/common/net.h"
#include "echo/common/process.h"
#include "echo/server/report.h"
#include "echo/server/staff.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Below it a worker has next to no room: 16 that are reserved and as many again. */
#define FILES_MIN 32u

struct supervisor {
	const struct options *options;
	union address address;
	struct staff staff;
	int signals;
	uint64_t begun_us, report_us; /* NEVER_US: no reports */
	bool is_ending;
};

/* ---- the beginning ---- */

/* All that can be known before there are processes. */
static enum exit_code check(struct supervisor *s)
{
	const struct options *o = s->options;
	char why[WHY_BYTES_MAX];
	unsigned files = files_raise_limit();
	int err;

	if (files < FILES_MIN)
		return fail_exit("open files are limited to %u (ulimit -n): expected at least %u",
				 files, FILES_MIN);
	if (o->model->probe && o->model->probe(why))
		return fail_exit("--model %s: %s", o->model->name, why);
	if (net_resolve(o->host, o->port, &s->address, why))
		return fail_exit("--listen %s", why);
	err = net_probe_port(&s->address);
	if (err)
		return fail_exit("cannot listen on \"%s\", port %u: %s", o->host, (unsigned)o->port,
				 strerror(-err));
	return EXIT_DONE;
}

/* The children of workers that die become ours: the end waits for them, too. */
static int watch_signals(struct supervisor *s)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGUSR1, SIGCHLD};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		sigaddset(&set, signals[i]);
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	prctl(PR_SET_CHILD_SUBREAPER, 1ul);
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signals < 0 ? -errno : 0;
}

static enum exit_code add_slots(struct supervisor *s)
{
	const struct options *o = s->options;

	/* Somebody else of this user may have come since the port was tried, and shares it then. */
	for (unsigned i = 0; i < s->staff.slots_wanted; i++) {
		int fd = net_listen(&s->address, o->backlog);
		int err;

		if (fd < 0)
			return fail_exit("cannot listen on \"%s\", port %u: %s", o->host,
					 (unsigned)address_port(&s->address), strerror(-fd));
		net_nodelay(fd); /* what is accepted from it inherits both */
		net_keepalive(fd);
		err = staff_add_slot_take(&s->staff, fd);
		if (err)
			return fail_exit("cannot start worker %u: %s", i + 1, strerror(-err));
	}
	return EXIT_DONE;
}

/* ---- while it serves ---- */

static void report(struct supervisor *s, bool with_memory)
{
	struct report r = {
		.model = s->options->model->name,
		.workers = staff_size(&s->staff),
		.seconds = (double)(clock_now_us() - s->begun_us) / (double)US_PER_S,
		.memory_bytes = with_memory ? process_tree_memory(getpid()) : 0,
		.is_json = s->options->is_json,
	};

	if (s->is_ending)
		staff_end(&s->staff); /* so that nothing counts any more */
	report_counters(&r, s->staff.counters, s->staff.post_count);
}

static void on_signals(struct supervisor *s)
{
	struct signalfd_siginfo info;
	bool has_child = false, is_asked = false;

	while (read(s->signals, &info, sizeof(info)) == sizeof(info)) {
		s->is_ending |= info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT;
		has_child |= info.ssi_signo == SIGCHLD;
		is_asked |= info.ssi_signo == SIGUSR1;
	}
	if (has_child && !s->is_ending)
		staff_on_child(&s->staff);
	if (is_asked && !s->is_ending)
		report(s, true);
}

static void on_time(struct supervisor *s)
{
	uint64_t interval_us = s->options->report_s * US_PER_S, now = clock_now_us();

	staff_fill(&s->staff, now);
	if (now < s->report_us)
		return;
	/* After a suspension once, not once for each interval of it. */
	s->report_us += ((now - s->report_us) / interval_us + 1) * interval_us;
	report(s, false);
}

static int wait_ms(const struct supervisor *s)
{
	uint64_t next = min_u64(staff_next_us(&s->staff), s->report_us);
	uint64_t now = clock_now_us();

	if (next == NEVER_US)
		return -1;
	return next <= now ? 0 : (int)min_u64((next - now) / US_PER_MS + 1, INT32_MAX);
}

/* 0 when a signal ended it, or a negative errno. */
static int keep_serving(struct supervisor *s)
{
	struct pollfd fds[WORKERS_LIMIT + 1];

	while (!s->is_ending) {
		unsigned count = s->staff.post_count; /* news may add some */

		for (unsigned i = 0; i < count; i++)
			fds[i] = (struct pollfd){.fd = s->staff.posts[i].channel, .events = POLLIN};
		fds[count] = (struct pollfd){.fd = s->signals, .events = POLLIN};
		if (poll(fds, count + 1, wait_ms(s)) < 0 && errno != EINTR)
			return -errno;
		for (unsigned i = 0; i < count; i++)
			if (fds[i].revents)
				staff_on_news(&s->staff, i);
		if (fds[count].revents)
			on_signals(s);
		if (!s->is_ending)
			on_time(s);
	}
	return 0;
}

/* ---- all of it ---- */

static enum exit_code serve(struct supervisor *s)
{
	enum exit_code code = add_slots(s);
	int err;

	if (code != EXIT_DONE) {
		staff_end(&s->staff);
		return code;
	}
	report_ready(s->options->model->name, &s->address, s->options->is_json);
	s->begun_us = clock_now_us();
	if (s->options->report_s)
		s->report_us = s->begun_us + s->options->report_s * US_PER_S;
	err = keep_serving(s);
	s->is_ending = true;
	report(s, true);
	return err ? fail_exit("poll: %s", strerror(-err)) : EXIT_DONE;
}

enum exit_code supervisor_run(const struct options *options)
{
	struct supervisor s = {.options = options, .report_us = NEVER_US};
	enum exit_code code = check(&s);
	unsigned workers;
	int err;

	if (code != EXIT_DONE)
		return code;
	err = watch_signals(&s);
	if (err)
		return fail_exit("signals: %s", strerror(-err));
	workers = options->workers ? options->workers : min_u32(processors(), WORKERS_LIMIT);
	err = staff_init(&s.staff, options->model, s.signals, workers, options->workers == 0);
	if (err)
		return fail_exit("%s", strerror(-err));
	code = serve(&s);
	close(s.signals);
	return code;
}
