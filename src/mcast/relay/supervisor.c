/* Beginning, changing and ending: see supervisor.h. */
#include "mcast/relay/supervisor.h"

#include "common/base/clock.h"
#include "common/base/files.h"
#include "common/base/log.h"
#include "mcast/common/rule_conf.h"
#include "mcast/core/balance.h"
#include "mcast/relay/receive.h"
#include "mcast/relay/steer.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Loads are measured, and streams balanced, so often. */
#define ROUND_MS 1000
/* Workers without a supervisor look for one five times a second. */
#define ADOPT_MS 700
/* Streams that are moved together wait for the kernel together. */
#define TURN_MS 1
/* Moves in one round: a stream rests while it is moved. */
#define MOVES_MAX 4
/* Who leaves waits so long for workers to have heard all, and looks so often. */
#define LEAVE_MS 2000
#define LOOK_MS 5
/* How long workers may take to send what they have, and to end. */
#define END_MS 5000
/* Workers that the board names, and which live, may be so late: the machine stood still. */
#define ADOPT_LATE_MS 10000

/* ---- changes ---- */

static void begin_stream(struct supervisor *s, const struct rule *rule)
{
	/* There are as many slots as rules, but those of streams that leave may still be taken. */
	if (!stream_new(s, rule))
		s->has_unplaced = true;
}

static void carry_out(struct supervisor *s, const struct rule_change *c)
{
	struct stream *st = stream_find(s, c->rule.name);

	switch (c->kind) {
	case RULE_ADD:
		begin_stream(s, &c->rule);
		break;
	case RULE_CHANGE:
		if (st)
			stream_change(st, &c->rule);
		break;
	case RULE_REMOVE:
		if (st)
			stream_end(st);
		break;
	}
}

/* Who gets packets of our own by intent: own.h. */
static void note_feeding(struct supervisor *s)
{
	list_for_each(node, &s->streams) {
		struct stream *st = container_of(node, struct stream, node);

		uint64_t *is_fed = &s->board->streams[st->slot].is_fed;
		bool now = ruleset_is_fed(s->rules, &st->rule);

		if (st->state != STREAM_LEAVING && *is_fed != now)
			*is_fed = now; /* what stays is in the caches of workers */
	}
}

int supervisor_apply(struct supervisor *s, const struct rule_batch *b, char ret_why[WHY_BYTES_MAX])
{
	int err = ruleset_apply(s->rules, b, ret_why);

	if (err)
		return err;
	for (size_t i = 0; i < b->count; i++)
		carry_out(s, &b->changes[i]);
	/* What came to a rule that is gone may be what another one gets now. */
	for (size_t i = 0; s->rings && i < b->count; i++) {
		struct stream *st = stream_find(s, b->changes[i].rule.name);

		if (st)
			stream_point_again(st);
	}
	note_feeding(s);
	return 0;
}

int supervisor_load(struct supervisor *s, const char *path, struct rule_batch *ret_batch,
		    char ret_why[WHY_BYTES_MAX])
{
	struct ruleset *wanted;
	int err = rule_conf_read(path, &wanted, ret_why);

	if (err)
		return err;
	ruleset_diff(s->rules, wanted, ret_batch);
	ruleset_free(wanted);
	return supervisor_apply(s, ret_batch, ret_why);
}

static void on_turning(uv_timer_t *timer)
{
	struct supervisor *s = timer->data;

	steer_settle();
	list_for_each_safe(node, &s->streams)
		stream_on_turned(container_of(node, struct stream, node));
}

void supervisor_turn_soon(struct supervisor *s)
{
	if (!uv_is_active((uv_handle_t *)&s->turning))
		uv_timer_start(&s->turning, on_turning, TURN_MS, 0);
}

/* ---- loads ---- */

static void measure(struct supervisor *s, double seconds)
{
	double sum_pps = 0;
	size_t count = 0;

	list_for_each(node, &s->processes)
		container_of(node, struct process, node)->load_pps = 0;
	list_for_each(node, &s->streams) {
		struct stream *st = container_of(node, struct stream, node);
		uint64_t packets = s->board->streams[st->slot].received_packets;

		st->load_pps += ((double)(packets - st->seen_packets) / seconds - st->load_pps) / 2;
		st->seen_packets = packets;
		st->is_measured = true;
		sum_pps += st->load_pps;
		count++;
		if (st->owner)
			st->owner->load_pps += st->load_pps;
	}
	s->mean_pps = count ? sum_pps / (double)count : 0;
}

static size_t list_streams(struct supervisor *s, struct stream **ret, struct balance_stream *loads)
{
	size_t count = 0;

	list_for_each(node, &s->streams) {
		struct stream *st = container_of(node, struct stream, node);

		if (st->state != STREAM_OWNED || !process_is_usable(st->owner))
			continue;
		loads[count] = (struct balance_stream){.load = st->load_pps,
						       .worker = st->owner->index,
						       .rest_rounds = st->rest_rounds};
		ret[count++] = st;
	}
	return count;
}

static void balance(struct supervisor *s)
{
	size_t room = ruleset_count(s->rules) + 1, count, moves_count;
	struct balance_stream *loads = calloc(room, sizeof(*loads));
	struct stream **streams = calloc(room, sizeof(struct stream *));
	struct balance_move moves[MOVES_MAX];
	uint8_t is_usable[BOARD_WORKERS_MAX];

	if (!loads || !streams)
		abort();
	for (uint32_t i = 0; i < s->options->worker_count; i++)
		is_usable[i] = staff_at(s, i) != NULL;
	count = list_streams(s, streams, loads);
	moves_count =
		balance_round(loads, count, is_usable, s->options->worker_count, moves, MOVES_MAX);
	for (size_t i = 0; i < count; i++)
		streams[i]->rest_rounds = loads[i].rest_rounds;
	for (size_t i = 0; i < moves_count; i++)
		stream_move(streams[moves[i].stream], staff_at(s, moves[i].to));
	free(streams);
	free(loads);
}

/* Those that found no slot. */
static void begin_unplaced(struct supervisor *s)
{
	if (!s->has_unplaced)
		return;
	s->has_unplaced = false;
	for (size_t i = 0; i < ruleset_count(s->rules); i++) {
		const struct rule *rule = ruleset_at(s->rules, i);

		if (!stream_find(s, rule->name))
			begin_stream(s, rule);
	}
	note_feeding(s);
}

/* What could not be had before: a worker that died too often, a slot, a socket. */
static void try_again(struct supervisor *s)
{
	staff_fill(s);
	begin_unplaced(s);
	if (rings_try_again(s->rings))
		links_look(s);
	list_for_each_safe(node, &s->streams) {
		struct stream *st = container_of(node, struct stream, node);

		if (st->state != STREAM_LEAVING && !stream_is_live(st, NULL))
			stream_look_at_inputs(st);
		if (st->state == STREAM_HOMELESS)
			stream_place(st);
		else if (st->state == STREAM_OWNED && !process_is_usable(st->owner))
			stream_move(st, staff_place(s));
	}
}

static void on_tick(uv_timer_t *timer)
{
	struct supervisor *s = timer->data;
	uint64_t now_ns = clock_now_ns();

	measure(s, (double)(now_ns - s->measured_ns) / (double)NS_PER_S);
	s->measured_ns = now_ns;
	try_again(s);
	execute_tick(s);
	if (s->options->worker_count > 1)
		balance(s);
}

/* ---- the end ---- */

/* It may have ended before it had begun. */
static void close_handle(void *handle)
{
	uv_handle_t *h = handle;

	if (h->type != UV_UNKNOWN_HANDLE)
		uv_close(h, NULL);
}

static void close_handles(struct supervisor *s)
{
	for (size_t i = 0; i < 3; i++)
		close_handle(&s->signals[i]);
	close_handle(&s->tick);
	close_handle(&s->turning);
	close_handle(&s->leaving);
	close_handle(&s->links);
	close_handle(&s->links_settle);
	close_handle(&s->rendezvous);
	/* Before another one may have the control socket, and then this. */
	if (s->rendezvous_fd >= 0 && !s->is_leaving)
		unlink(s->rendezvous_path);
	if (s->control)
		control_close(s->control, NULL, NULL);
	s->control = NULL;
}

void supervisor_check_end(struct supervisor *s)
{
	if (!s->is_ending || !list_is_empty(&s->processes) ||
	    uv_is_closing((uv_handle_t *)&s->tick))
		return;
	if (s->ending_request)
		control_reply_ok(s->ending_request, NULL);
	s->ending_request = NULL;
	close_handles(s);
}

static void on_late(uv_timer_t *timer)
{
	struct supervisor *s = timer->data;

	list_for_each_safe(node, &s->processes) {
		struct process *p = container_of(node, struct process, node);

		if (s->is_leaving) {
			channel_close(&p->channel);
			continue;
		}
		log_error("worker %u, process %d, does not end: it is killed", p->index,
			  (int)p->pid);
		kill(p->pid, SIGKILL);
	}
}

/* Nothing is begun any more. */
static void stop_working(struct supervisor *s)
{
	uv_timer_stop(&s->turning);
	uv_timer_stop(&s->leaving);
	if (s->links_fd >= 0) {
		uv_timer_stop(&s->links_settle);
		uv_poll_stop(&s->links);
	}
	uv_timer_start(&s->tick, on_late, END_MS, 0);
}

void supervisor_stay(struct supervisor *s, const char *why)
{
	if (!uv_is_active((uv_handle_t *)&s->leaving))
		return;
	uv_timer_stop(&s->leaving);
	control_reply_error(s->ending_request, "busy", "%s", why);
	s->ending_request = NULL;
}

void supervisor_end(struct supervisor *s, bool is_leaving)
{
	if (s->is_ending)
		return;
	if (!is_leaving)
		supervisor_stay(s, "all of it ends");
	s->is_ending = true;
	s->is_leaving = is_leaving;
	stop_working(s);
	if (is_leaving)
		staff_leave(s);
	else
		staff_end(s);
	supervisor_check_end(s);
}

/* Nothing is on its way to a worker, or from one to another. */
static bool is_quiet(const struct supervisor *s)
{
	list_for_each(node, &s->processes)
		if (!list_is_empty(&container_of(node, struct process, node)->channel.waiting))
			return false;
	list_for_each(other, &s->streams)
		if (container_of(other, struct stream, node)->state != STREAM_OWNED)
			return false;
	return !s->has_unplaced;
}

static void on_leaving(uv_timer_t *timer)
{
	struct supervisor *s = timer->data;

	if (is_quiet(s)) {
		supervisor_end(s, true);
	} else if (clock_now_ns() - s->leave_ns > LEAVE_MS * NS_PER_MS) {
		supervisor_stay(s, "workers do not have all rules yet; expected that they have "
				   "them within 2 s");
	}
}

void supervisor_leave(struct supervisor *s, struct control_request *req)
{
	s->ending_request = req;
	s->leave_ns = clock_now_ns();
	uv_timer_start(&s->leaving, on_leaving, 0, LOOK_MS);
}

static void clean_up(struct supervisor *s)
{
	execute_done(s);
	list_for_each_safe(node, &s->streams) {
		struct stream *st = container_of(node, struct stream, node);

		stream_free(st);
	}
	idmap_done(&s->by_name);
	ruleset_free(s->rules);
	rings_done(s->rings);
	board_unmap(s->board);
	close(s->board_fd);
	close(s->links_fd);
	close(s->rendezvous_fd);
	uv_loop_close(&s->loop);
	free(s);
}

static void obey_signal(struct supervisor *s, int number)
{
	struct rule_batch batch = {0};
	char why[WHY_BYTES_MAX];

	if (s->is_adopting) {
		s->noted_signal = s->noted_signal && number == SIGHUP ? s->noted_signal : number;
	} else if (number != SIGHUP) {
		supervisor_end(s, false);
	} else if (s->is_ending) {
		log_warn("SIGHUP: it is ending");
	} else if (!s->options->config) {
		log_warn("SIGHUP: there is no --config to read again");
	} else if (supervisor_load(s, s->options->config, &batch, why) < 0) {
		log_error("nothing has changed: %s", why);
	} else {
		log_info("%s was read again: %zu changes", s->options->config, batch.count);
	}
	rule_batch_done(&batch);
}

static void on_signal(uv_signal_t *signal, int number)
{
	obey_signal(signal->data, number);
}

/* ---- the beginning ---- */

static void open_signals(struct supervisor *s)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};

	for (size_t i = 0; i < 3; i++) {
		uv_signal_init(&s->loop, &s->signals[i]);
		s->signals[i].data = s;
		uv_signal_start(&s->signals[i], on_signal, numbers[i]);
	}
	/* The dead are buried without us. */
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
}

static bool is_somebody_new(const struct supervisor *s)
{
	list_for_each(node, &s->processes)
		if (container_of(node, struct process, node)->state == PROCESS_NEW)
			return true;
	return false;
}

/* The board names a worker that has not come, and it lives. */
static bool is_somebody_late(const struct supervisor *s)
{
	for (uint32_t seat = 0; s->board && seat < BOARD_WORKERS_MAX; seat++) {
		pid_t pid = (pid_t)s->board->workers[seat].pid;

		if (!(s->seats & 1ull << seat) && pid > 0 && kill(pid, 0) == 0)
			return true;
	}
	return false;
}

/* The loop turns. */
static void on_adopting_tick(uv_timer_t *timer)
{
	(void)timer;
}

/* Workers of an earlier supervisor come, say what they have, and keep it. */
static void adopt(struct supervisor *s)
{
	uint64_t begin_ns = clock_now_ns(), waited_ns = 0;

	s->is_adopting = true;
	log_info("workers of an earlier supervisor are awaited");
	uv_timer_start(&s->tick, on_adopting_tick, 10, 10);
	while (!s->has_strangers && (waited_ns < ADOPT_MS * NS_PER_MS ||
				     (waited_ns < ADOPT_LATE_MS * NS_PER_MS &&
				      (is_somebody_new(s) || is_somebody_late(s))))) {
		uv_run(&s->loop, UV_RUN_ONCE);
		waited_ns = clock_now_ns() - begin_ns;
	}
	uv_timer_stop(&s->tick);
	s->is_adopting = false;
}

static int make_board(struct supervisor *s, char ret_why[WHY_BYTES_MAX])
{
	const char *why;

	if (s->board)
		return 0;
	s->board_fd = board_create();
	if (s->board_fd < 0)
		return fail_why(ret_why, "counters: %s", strerror(-s->board_fd));
	s->board = board_map(s->board_fd, &why);
	return s->board ? 0 : fail_why(ret_why, "counters: %s", why);
}

static struct supervisor *supervisor_new(const struct options *options)
{
	struct supervisor *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	s->options = options;
	s->rules = ruleset_new();
	s->board_fd = s->links_fd = s->rendezvous_fd = -1;
	list_init(&s->streams);
	list_init(&s->processes);
	list_init(&s->batches);
	idmap_init(&s->by_name);
	uv_loop_init(&s->loop);
	uv_timer_init(&s->loop, &s->tick);
	uv_timer_init(&s->loop, &s->turning);
	uv_timer_init(&s->loop, &s->leaving);
	s->tick.data = s->turning.data = s->leaving.data = s;
	s->rings = rings_new(s, options->worker.rx->rings);
	s->began_ns = s->measured_ns = clock_now_ns();
	return s;
}

/* Rules that are taken over are newer than the file. */
static int load_config(struct supervisor *s, char ret_why[WHY_BYTES_MAX])
{
	struct rule_batch batch = {0};
	int err = 0;

	if (s->options->config && ruleset_count(s->rules) == 0)
		err = supervisor_load(s, s->options->config, &batch, ret_why);
	else if (s->options->config)
		log_info("%s is not read: there are rules that were taken over",
			 s->options->config);
	rule_batch_done(&batch);
	return err;
}

static int begin(struct supervisor *s, char ret_why[WHY_BYTES_MAX])
{
	bool was_left;
	int err;

	/* Last comes what others see: when it answers, all is there. But who has the socket is the
	 * one, so it is also first. */
	err = control_open_unix(&s->loop, s->options->control_socket, execute, s, &s->control,
				ret_why);
	if (err)
		return err;
	err = rendezvous_open(s, &was_left, ret_why);
	if (err)
		return err;
	if (was_left)
		adopt(s);
	if (s->has_strangers)
		return fail_why(ret_why, "workers of another version are running, and go on; "
					 "expected that their own version takes them over "
					 "(save, shutdown)");
	err = make_board(s, ret_why);
	if (!err)
		err = rings_open(s->rings, ret_why);
	if (err)
		return err;
	if (was_left) {
		staff_settle(s);
		log_info("%zu rules were taken over", ruleset_count(s->rules));
	}
	err = links_watch(s);
	if (err)
		return fail_why(ret_why, "rtnetlink: %s", strerror(-err));
	links_look(s); /* at what has changed while nobody watched */
	control_own_metrics(s->control);
	staff_fill(s);
	return load_config(s, ret_why);
}

enum exit_code supervisor_run(const struct options *options)
{
	struct supervisor *s = supervisor_new(options);
	enum exit_code code = EXIT_DONE;
	char why[WHY_BYTES_MAX];

	files_raise_limit(); /* an input is a descriptor */
	open_signals(s);
	if (begin(s, why) < 0) {
		code = fail_exit("%s", why);
		/* Workers that were found go on without it. */
		supervisor_end(s, ruleset_count(s->rules) > 0 || s->has_strangers);
	} else if (s->noted_signal && s->noted_signal != SIGHUP) {
		supervisor_end(s, false);
	} else {
		uv_timer_start(&s->tick, on_tick, ROUND_MS, ROUND_MS);
		log_info("multicast_relay %s is running: %zu rules, %u workers, control socket %s",
			 MPP_VERSION, ruleset_count(s->rules), options->worker_count,
			 options->control_socket);
		if (s->noted_signal)
			obey_signal(s, s->noted_signal);
	}
	uv_run(&s->loop, UV_RUN_DEFAULT);
	if (code == EXIT_DONE && !s->is_leaving)
		report_final(s);
	clean_up(s);
	return code;
}
