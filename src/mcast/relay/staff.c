/* Processes and their channels: see staff.h. */
#include "mcast/relay/staff.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "mcast/common/rule_json.h"
#include "mcast/relay/receive.h"
#include "mcast/relay/ring.h"
#include "mcast/relay/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* How long who was killed may take to die. */
#define DEAD_MS 200

static const struct channel_ops channel_ops;

/* ---- seats ---- */

/* `wanted`, if it is free. */
static uint32_t take_seat(struct supervisor *s, uint32_t wanted)
{
	if (wanted < BOARD_WORKERS_MAX && !(s->seats & 1ull << wanted)) {
		s->seats |= 1ull << wanted;
		return wanted;
	}
	for (uint32_t seat = 0; seat < BOARD_WORKERS_MAX; seat++) {
		if (s->seats & 1ull << seat)
			continue;
		s->seats |= 1ull << seat;
		return seat;
	}
	return BOARD_WORKERS_MAX;
}

static struct process *process_new(struct supervisor *s, uint32_t index, uint32_t seat, pid_t pid)
{
	struct process *p = calloc(1, sizeof(*p));

	if (!p)
		abort();
	p->supervisor = s;
	p->index = index;
	p->seat = seat;
	p->pid = pid;
	p->since_ns = clock_now_ns();
	list_push_back(&s->processes, &p->node);
	return p;
}

/* ---- starting ---- */

/* The processor of an index, of those that this process may use. */
static void pin(uint32_t index)
{
	cpu_set_t all, one;
	int wanted, cpu = -1;

	if (sched_getaffinity(0, sizeof(all), &all) < 0 || CPU_COUNT(&all) == 0)
		return;
	wanted = (int)index % CPU_COUNT(&all);
	for (int seen = -1; seen < wanted;)
		seen += CPU_ISSET(++cpu, &all) ? 1 : 0;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

/* Packets do not wait: behind fifty busy processes of usual priority a worker would get its turn
 * after its inputs are full. It uses what packets need and no more, so others lose nothing by it.
 */
#define WORKER_NICE (-20)

/* Where sessions share a processor alike (sched(7), autogroup), a process is nice to those of its
 * own session only: so it gets one, which is preferred as a whole. Where we may not, all stays as
 * it is. */
static void be_preferred(void)
{
	char text[8];
	int fd;

	setsid();
	setpriority(PRIO_PROCESS, 0, WORKER_NICE);
	fd = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	snprintf(text, sizeof(text), "%d", WORKER_NICE);
	if (write(fd, text, strlen(text)) < 0)
		log_debug("autogroup: %s", strerror(errno));
	close(fd);
}

static const struct receive_ops *path_of(const struct supervisor *s)
{
	const struct ring_kind *kind = rings_kind(s->rings);

	return kind ? receive_find(kind->name) : &receive_udp;
}

/* In the child. The two descriptors are the only ones that it inherits beside the standard ones. */
static void become_worker(struct supervisor *s, uint32_t index, uint32_t seat, int channel)
{
	char texts[4][16];
	char *arguments[] = {"multicast_relay",
			     "worker",
			     "--channel",
			     texts[0],
			     "--board",
			     texts[1],
			     "--index",
			     texts[2],
			     "--seat",
			     texts[3],
			     "--rendezvous",
			     s->rendezvous_path,
			     "--rx",
			     (char *)(uintptr_t)path_of(s)->name,
			     "--log-level",
			     (char *)(uintptr_t)s->options->log_texts[0],
			     "--log-format",
			     (char *)(uintptr_t)s->options->log_texts[1],
			     NULL};
	sigset_t none;

	snprintf(texts[0], sizeof(texts[0]), "%d", channel);
	snprintf(texts[1], sizeof(texts[1]), "%d", s->board_fd);
	snprintf(texts[2], sizeof(texts[2]), "%u", index);
	snprintf(texts[3], sizeof(texts[3]), "%u", seat);
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	pin(index);
	be_preferred();
	fcntl(channel, F_SETFD, 0);
	fcntl(s->board_fd, F_SETFD, 0);
	execv("/proc/self/exe", arguments);
	_exit(127);
}

/* It must be told of its streams, and then to begin. NULL when the machine has no room for it. */
static struct process *start(struct supervisor *s, uint32_t index, uint32_t wanted_seat)
{
	uint32_t seat = take_seat(s, wanted_seat);
	int ends[2] = {-1, -1};
	struct process *p;
	pid_t pid = -1;

	if (seat == BOARD_WORKERS_MAX)
		return NULL;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0)
		pid = fork();
	if (pid == 0)
		become_worker(s, index, seat, ends[1]);
	if (pid < 0)
		log_error("worker %u cannot be started: %s", index, strerror(errno));
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		s->seats &= ~(1ull << seat);
		return NULL;
	}
	p = process_new(s, index, seat, pid);
	p->state = PROCESS_USABLE;
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	channel_open(&p->channel, &s->loop, ends[0], &channel_ops);
	log_info("worker %u is process %d", index, (int)pid);
	rings_tell(s->rings, p);
	return p;
}

struct process *staff_at(const struct supervisor *s, uint32_t index)
{
	list_for_each(node, &s->processes) {
		struct process *p = container_of(node, struct process, node);

		if (p->index == index && p->state == PROCESS_USABLE)
			return p;
	}
	return NULL;
}

static bool is_to_rest(const struct supervisor *s, uint32_t index)
{
	return s->deaths[index] >= DEATHS_MAX &&
	       clock_now_ns() - s->died_ns[index] < DEATH_MS * NS_PER_MS;
}

void staff_fill(struct supervisor *s)
{
	for (uint32_t i = 0; i < s->options->worker_count; i++) {
		struct process *p = NULL;

		if (!staff_at(s, i) && !is_to_rest(s, i))
			p = start(s, i, BOARD_WORKERS_MAX);
		if (p)
			rings_begin(s->rings, p);
	}
}

/* ---- giving streams ---- */

static bool has_less_to_do(const struct process *p, const struct process *than)
{
	if (p->load_pps < than->load_pps)
		return true;
	return p->load_pps <= than->load_pps && p->stream_count < than->stream_count;
}

struct process *staff_place(const struct supervisor *s)
{
	struct process *best = NULL;

	for (uint32_t i = 0; i < s->options->worker_count; i++) {
		struct process *p = staff_at(s, i);

		if (p && (!best || has_less_to_do(p, best)))
			best = p;
	}
	return best;
}

int staff_replace(struct supervisor *s, struct process *old)
{
	struct process *fresh;

	old->state = PROCESS_RETIRING; /* so that its index is free */
	fresh = start(s, old->index, BOARD_WORKERS_MAX);
	if (!fresh) {
		old->state = PROCESS_USABLE;
		return -EAGAIN;
	}
	rings_begin(s->rings, fresh);
	list_for_each_safe(node, &s->streams) {
		struct stream *st = container_of(node, struct stream, node);

		/* One that is on its way to another worker goes there. */
		if (st->owner == old && (st->state == STREAM_OWNED || st->next == old))
			stream_move(st, fresh);
	}
	process_check_end(old);
	return 0;
}

bool process_is_usable(const struct process *p)
{
	return p->state == PROCESS_USABLE;
}

void process_send(struct process *p, json_t *body_take, const int *fds, size_t fd_count)
{
	process_send_of(p, body_take, fds, fd_count, CHANNEL_NO_SLOT);
}

void process_send_of(struct process *p, json_t *body_take, const int *fds, size_t fd_count,
		     uint32_t slot)
{
	channel_send(&p->channel, body_take, fds, fd_count, slot);
}

void process_forget(struct process *p, uint32_t slot)
{
	process_send(p, json_pack("{s:s, s:i}", "do", "forget", "slot", (int)slot), NULL, 0);
}

static void tell_to_end(struct process *p)
{
	p->state = PROCESS_ENDING;
	process_send(p, json_pack("{s:s}", "do", "end"), NULL, 0);
}

void process_leave(struct process *p)
{
	p->stream_count--;
	process_check_end(p);
}

void process_check_end(struct process *p)
{
	if (p->state == PROCESS_RETIRING && p->stream_count == 0)
		tell_to_end(p);
}

void staff_end(struct supervisor *s)
{
	list_for_each_safe(node, &s->processes)
		tell_to_end(container_of(node, struct process, node));
}

void staff_leave(struct supervisor *s)
{
	list_for_each_safe(node, &s->processes)
		channel_close(&container_of(node, struct process, node)->channel);
}

/* ---- what they say ---- */

static bool take_board(struct supervisor *s, int fd)
{
	struct stat ours, theirs;
	const char *why;

	if (s->board)
		return fstat(s->board_fd, &ours) == 0 && fstat(fd, &theirs) == 0 &&
		       ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev;
	s->board = board_map(fd, &why);
	if (!s->board) {
		log_warn("a worker's counters cannot be taken over: %s", why);
		return false;
	}
	s->board_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return true;
}

/* Workers that go on do it by the path that they have. */
static void take_path(struct supervisor *s, const struct message *m)
{
	const char *name = json_string_value(json_object_get(m->body, "rx"));
	const struct receive_ops *rx = receive_find(name ? name : "udp");

	if (!rx || rx == path_of(s))
		return;
	log_warn("--rx: the workers that are there have \"%s\", and stay with it", rx->name);
	rings_done(s->rings);
	s->rings = rings_new(s, rx->rings);
}

static void on_hello(struct process *p, struct message *m)
{
	struct supervisor *s = p->supervisor;
	uint32_t seat = message_number(m, "seat");

	p->index = message_number(m, "index");
	if (!s->is_adopting || p->state != PROCESS_NEW) {
		log_warn("process %d is not taken over: it came too late", (int)p->pid);
		tell_to_end(p);
		return;
	}
	if (message_number(m, "format") != MESSAGE_FORMAT || m->fd_count != 1 ||
	    !take_board(s, m->fds[0])) {
		/* It goes on, and what is to become of it is for people to say. */
		s->has_strangers = true;
		channel_close(&p->channel);
		return;
	}
	if (seat >= BOARD_WORKERS_MAX || s->seats & 1ull << seat) {
		log_warn("process %d is not taken over: its seat is taken", (int)p->pid);
		tell_to_end(p);
		return;
	}
	take_path(s, m);
	p->seat = seat;
	p->busy_before_ns = s->board->workers[seat].busy_ns;
	s->seats |= 1ull << seat;
	log_info("process %d is taken over as worker %u", (int)p->pid, p->index);
}

static bool enter_rule(struct supervisor *s, const struct rule *rule)
{
	struct rule_batch batch = {0};
	char why[WHY_BYTES_MAX];
	int err;

	rule_batch_push(&batch, RULE_ADD, rule);
	err = ruleset_apply(s->rules, &batch, why);
	rule_batch_done(&batch);
	if (err)
		log_warn("a worker's rule is not taken over: %s", why);
	return !err;
}

static void on_have(struct process *p, struct message *m)
{
	struct supervisor *s = p->supervisor;
	bool is_released = json_is_true(json_object_get(m->body, "released"));
	bool is_expected = json_is_true(json_object_get(m->body, "expected"));
	uint32_t slot = message_number(m, "slot");
	struct message_inputs in;
	struct rule rule = {0};
	char why[WHY_BYTES_MAX];
	struct stream *st = slot < BOARD_SLOTS_MAX ? s->slots[slot] : NULL;

	if (p->state != PROCESS_NEW || slot >= BOARD_SLOTS_MAX ||
	    rule_from_json(json_object_get(m->body, "rule"), &rule, why) < 0)
		return;
	if (!st && enter_rule(s, &rule)) {
		message_take_inputs(m, &in);
		if (is_expected)
			stream_adopt_expected(s, slot, &rule, &in, p);
		else
			stream_adopt(s, slot, &rule, &in, p, is_released);
	} else if (st) {
		stream_adopt_again(st, p, is_released, is_expected);
	} else {
		process_forget(p, slot);
	}
	rule_done(&rule);
}

static void on_complete(struct process *p)
{
	if (p->state != PROCESS_NEW)
		return;
	p->state = PROCESS_RETIRING;
	if (p->index < p->supervisor->options->worker_count && !staff_at(p->supervisor, p->index))
		p->state = PROCESS_USABLE;
}

static void on_heard(struct channel *c, struct message *m)
{
	struct process *p = container_of(c, struct process, channel);
	const char *what = json_string_value(json_object_get(m->body, "say"));
	uint32_t slot = message_number(m, "slot");

	if (!what || p->supervisor->is_ending)
		return;
	if (strcmp(what, "hello") == 0) {
		on_hello(p, m);
	} else if (strcmp(what, "ring") == 0) {
		if (p->state == PROCESS_NEW && p->seat < BOARD_WORKERS_MAX)
			rings_adopt(p->supervisor->rings, m);
	} else if (strcmp(what, "have") == 0) {
		on_have(p, m);
	} else if (strcmp(what, "complete") == 0) {
		on_complete(p);
	} else if (strcmp(what, "released") == 0) {
		struct stream *st = slot < BOARD_SLOTS_MAX ? p->supervisor->slots[slot] : NULL;

		if (st && st->owner == p &&
		    (st->state == STREAM_RELEASING || st->state == STREAM_LEAVING))
			stream_on_released(st);
	}
}

static void on_sent(struct channel *c, uint32_t slot)
{
	struct process *p = container_of(c, struct process, channel);

	if (p->supervisor->slots[slot] && !p->supervisor->is_ending)
		stream_on_told(p->supervisor->slots[slot], p);
}

/* ---- the end of one ---- */

/* What waits in the rings of its seat is for who sits there next. */
static struct process *start_heir(struct supervisor *s, const struct process *dead, uint32_t seat,
				  bool was_retiring)
{
	struct process *heir = NULL;

	if (s->rings && !s->is_adopting && dead->stream_count > 0 && seat < BOARD_WORKERS_MAX &&
	    dead->index < BOARD_WORKERS_MAX && !is_to_rest(s, dead->index))
		heir = start(s, dead->index, seat);
	if (heir && was_retiring)
		heir->state = PROCESS_RETIRING;
	return heir;
}

static void leave_seat(struct process *p)
{
	struct supervisor *s = p->supervisor;

	if (p->seat >= BOARD_WORKERS_MAX)
		return;
	s->seats &= ~(1ull << p->seat);
	if (!s->is_leaving)
		board_clear_seat(s->board, p->seat);
	p->seat = BOARD_WORKERS_MAX;
}

static void replace_dead(struct process *p, bool was_retiring)
{
	struct supervisor *s = p->supervisor;
	uint32_t seat = p->seat;
	struct process *heir;

	leave_seat(p);
	heir = start_heir(s, p, seat, was_retiring);
	if (!s->is_adopting)
		staff_fill(s);
	list_for_each_safe(node, &s->streams)
		stream_on_death(container_of(node, struct stream, node), p, heir);
	if (heir)
		rings_begin(s->rings, heir);
}

static void note_death(struct process *p)
{
	struct supervisor *s = p->supervisor;
	uint64_t now_ns = clock_now_ns();
	bool was_quick = now_ns - p->since_ns < DEATH_MS * NS_PER_MS;

	log_error("worker %u, process %d, has died; another one takes its %zu streams", p->index,
		  (int)p->pid, p->stream_count);
	if (p->index >= BOARD_WORKERS_MAX || p->seat >= BOARD_WORKERS_MAX)
		return; /* it never said who it is */
	s->deaths[p->index] = was_quick ? s->deaths[p->index] + 1 : 0;
	s->died_ns[p->index] = now_ns;
}

/* It would go on with what others get now. */
static void make_dead(const struct process *p)
{
	if (p->pid <= 0)
		return; /* of another namespace */
	kill(p->pid, SIGKILL);
	for (int i = 0; i < DEAD_MS && kill(p->pid, 0) == 0; i++)
		usleep(1000);
}

static void on_gone(struct channel *c)
{
	struct process *p = container_of(c, struct process, channel);
	struct supervisor *s = p->supervisor;
	bool was_told = p->state == PROCESS_ENDING, was_retiring = p->state == PROCESS_RETIRING;

	if (!was_told)
		note_death(p);
	if (c->is_broken)
		make_dead(p);
	p->state = PROCESS_GONE;
	if (!s->is_ending && !s->is_leaving)
		replace_dead(p, was_retiring);
	channel_close(c);
}

static void on_closed(struct channel *c)
{
	struct process *p = container_of(c, struct process, channel);
	struct supervisor *s = p->supervisor;

	leave_seat(p);
	list_remove(&p->node);
	free(p);
	supervisor_check_end(s);
}

static const struct channel_ops channel_ops = {.heard = on_heard,
					       .sent = on_sent,
					       .gone = on_gone,
					       .closed = on_closed};

/* Those that have nowhere to stay, and streams that were on their way. */
void staff_settle(struct supervisor *s)
{
	/* The earlier supervisor may have died before all had heard it. */
	list_for_each(node, &s->processes) {
		struct process *p = container_of(node, struct process, node);

		rings_tell(s->rings, p);
		rings_begin(s->rings, p);
	}
	staff_fill(s);
	list_for_each_safe(node, &s->streams)
		stream_settle(container_of(node, struct stream, node));
	list_for_each_safe(other, &s->processes)
		process_check_end(container_of(other, struct process, node));
}

void staff_adopt(struct supervisor *s, int fd_take, pid_t pid)
{
	struct process *p = process_new(s, 0, BOARD_WORKERS_MAX, pid);

	p->state = PROCESS_NEW;
	channel_open(&p->channel, &s->loop, fd_take, &channel_ops);
}
