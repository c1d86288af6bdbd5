/* Workers: see staff.h. */
#include "echo/server/staff.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "echo/common/process.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Between two replacements in a slot, and before another attempt to fork: a worker that dies at
 * once must not become a busy loop. */
#define REPLACE_EVERY_US (1 * US_PER_S)

int staff_init(struct staff *s, const struct model *model, int private_fd, unsigned slots_wanted,
	       bool grows)
{
	*s = (struct staff){.model = model,
			    .private_fd = private_fd,
			    .slots_wanted = slots_wanted,
			    .grows = grows};
	s->counters = process_share(WORKERS_LIMIT * sizeof(*s->counters));
	return s->counters ? 0 : -ENOMEM;
}

/* ---- in the worker ---- */

/* Keys of a terminal, and what is sent to the whole group, are for the supervisor, which ends its
 * workers itself. */
static void ignore_signals(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGUSR1, SIGPIPE};

	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		signal(signals[i], SIG_IGN);
}

static void close_others(const struct staff *s, const struct post *own)
{
	close(s->private_fd);
	for (unsigned i = 0; i < s->slot_count; i++)
		if (i != own->slot)
			close(s->slots[i].listener);
	for (unsigned i = 0; i < s->post_count; i++)
		if (s->posts[i].channel >= 0)
			close(s->posts[i].channel);
}

static _Noreturn void work(const struct staff *s, const struct post *p, int channel)
{
	struct worker worker = {.listener = s->slots[p->slot].listener,
				.channel = channel,
				.counters = &s->counters[p - s->posts]};
	unsigned sharers = s->post_count > s->slots_wanted ? s->post_count : s->slots_wanted;
	int err;

	ignore_signals();
	close_others(s, p);
	worker.capacity = capacity_of_process(s->model->capacity, sharers);
	err = s->model->serve(&worker);
	log_error("worker %d: %s", (int)getpid(), strerror(-err));
	_exit(EXIT_FAILED);
}

/* ---- in the supervisor ---- */

/* A worker for a post that has none. */
static int occupy(struct staff *s, struct post *p)
{
	pid_t pid = 0;
	int channel = -1;
	int got = process_fork(&pid, &channel);

	if (got > 0)
		work(s, p, channel);
	if (got < 0)
		return got;
	p->pid = pid;
	p->channel = channel;
	p->is_full = false;
	p->due_us = NEVER_US;
	return 0;
}

/* NULL when there are WORKERS_LIMIT. */
static struct post *add_post(struct staff *s, unsigned slot)
{
	struct post *p = &s->posts[s->post_count];

	if (s->post_count == WORKERS_LIMIT)
		return NULL;
	s->post_count++;
	*p = (struct post){.channel = -1, .slot = slot};
	return p;
}

int staff_add_slot_take(struct staff *s, int listener)
{
	unsigned slot = s->slot_count++;

	s->slots[slot] = (struct slot){.listener = listener};
	return occupy(s, add_post(s, slot));
}

static bool slot_is_full(const struct staff *s, unsigned slot)
{
	for (unsigned i = 0; i < s->post_count; i++)
		if (s->posts[i].slot == slot && !s->posts[i].is_full)
			return false;
	return true;
}

static void grow(struct staff *s, unsigned slot)
{
	if (add_post(s, slot) || s->has_said_full)
		return;
	s->has_said_full = true;
	log_warn("%u workers are the most: further connections wait", s->post_count);
}

void staff_on_news(struct staff *s, unsigned i)
{
	struct post *p = &s->posts[i];
	ssize_t n = 0;
	char news;

	while (p->channel >= 0 && (n = recv(p->channel, &news, 1, 0)) > 0)
		p->is_full = news == WORKER_FULL;
	if (n == 0 && p->channel >= 0) {
		close(p->channel); /* it is ending: SIGCHLD will tell */
		p->channel = -1;
		p->is_full = false;
	}
	if (p->is_full && s->grows && slot_is_full(s, p->slot))
		grow(s, p->slot);
}

static void log_death(const struct post *p, int status)
{
	if (WIFSIGNALED(status))
		log_warn("worker %d: ended by signal %d (%s); it will be replaced", (int)p->pid,
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		log_warn("worker %d: ended with exit code %d; it will be replaced", (int)p->pid,
			 WEXITSTATUS(status));
}

static void vacate(struct staff *s, struct post *p)
{
	struct counters *counters = &s->counters[p - s->posts];
	struct slot *slot = &s->slots[p->slot];
	uint64_t now = clock_now_us(), lost;

	if (p->channel >= 0)
		close(p->channel);
	/* Its connections ended with it. */
	lost = counters_get(counters, COUNTER_OPEN);
	counters_subtract(counters, COUNTER_OPEN, lost);
	counters_add(counters, COUNTER_FAILED, lost);
	p->due_us = now;
	if (slot->replaced_us && slot->replaced_us + REPLACE_EVERY_US > now)
		p->due_us = slot->replaced_us + REPLACE_EVERY_US;
	slot->replaced_us = p->due_us;
	p->pid = 0;
	p->channel = -1;
	p->is_full = false;
}

void staff_on_child(struct staff *s)
{
	int status;
	pid_t pid;

	/* Also of dead workers' children, which become ours. */
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (unsigned i = 0; i < s->post_count; i++) {
			if (s->posts[i].pid != pid)
				continue;
			log_death(&s->posts[i], status);
			vacate(s, &s->posts[i]);
		}
	}
}

void staff_fill(struct staff *s, uint64_t now_us)
{
	for (unsigned i = 0; i < s->post_count; i++) {
		struct post *p = &s->posts[i];
		int err;

		if (p->due_us > now_us)
			continue;
		err = occupy(s, p);
		if (err)
			p->due_us = now_us + REPLACE_EVERY_US;
		if (err && err != s->said_err)
			log_warn("no new worker: %s; it is tried again", strerror(-err));
		s->said_err = err;
	}
}

uint64_t staff_next_us(const struct staff *s)
{
	uint64_t next = NEVER_US;

	for (unsigned i = 0; i < s->post_count; i++)
		if (s->posts[i].due_us < next)
			next = s->posts[i].due_us;
	return next;
}

unsigned staff_size(const struct staff *s)
{
	unsigned count = 0;

	for (unsigned i = 0; i < s->post_count; i++)
		count += s->posts[i].pid != 0;
	return count;
}

void staff_end(struct staff *s)
{
	/* An io_uring holds its files for a while after its process has ended: without this the
	 * port would still be taken then, and clients would wait for nobody. */
	for (unsigned i = 0; i < s->slot_count; i++)
		shutdown(s->slots[i].listener, SHUT_RDWR);
	for (unsigned i = 0; i < s->post_count; i++) {
		if (s->posts[i].pid)
			kill(s->posts[i].pid, SIGKILL);
		if (s->posts[i].channel >= 0)
			close(s->posts[i].channel);
	}
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	for (unsigned i = 0; i < s->slot_count; i++)
		close(s->slots[i].listener);
}
