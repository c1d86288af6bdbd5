/* The worker's loop: inputs that are readable, one after the other, then one sendmmsg for each
 * socket that has got something to send; between the turns what the supervisor has to say. */
#include "mcast/relay/worker.h"

#include "common/base/clock.h"
#include "common/base/idmap.h"
#include "common/base/log.h"
#include "mcast/common/board.h"
#include "mcast/common/rule_json.h"
#include "mcast/relay/message.h"
#include "mcast/relay/owned.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Inputs that one turn looks at; the next turn has the others. */
#define EVENTS_MAX 256
/* How long a turn may listen: inputs hold more than comes meanwhile. */
#define LISTEN_NS (2 * NS_PER_MS)
/* Streams that a new supervisor is told of in one turn: 2 ms. */
#define TELLINGS_MAX 64
/* How often a worker without supervisor looks for one. */
#define ALONE_MS 200
/* How long after the last one's end it may say that a stream's old owner is done. */
#define EXPECT_MS 1000

struct worker {
	const struct worker_options *options;
	struct board *board;
	struct board_worker *counters;
	struct receiver *receiver;
	struct own own;
	struct senders senders;
	struct list streams;
	struct list
		owing; /* those that are to be let go, and the supervisor does not know it yet */
	struct idmap by_slot;
	int epoll_fd;
	int channel;	   /* -1: the supervisor is gone */
	uint64_t gone_ns;  /* since when it is, */
	uint64_t alone_ns; /* and when to look for another one */
	bool has_stopped_expecting;
	struct list *telling; /* the next stream to tell it of; NULL: it knows all */
	unsigned told;	      /* of what the receiver has to tell, before the streams */
	uint64_t now_ns;      /* when this turn began */
	bool is_ending;
};

/* ---- talking ---- */

/* 0, or -EAGAIN: not now. When the supervisor is gone, reading its channel tells. */
static int try_to_say(struct worker *w, json_t *body_take, const int *fds, size_t fd_count)
{
	char *text = json_dumps(body_take, JSON_COMPACT);
	int err = text ? message_send(w->channel, text, fds, fd_count) : -ENOMEM;

	free(text);
	json_decref(body_take);
	return err == -EAGAIN ? err : 0;
}

static int say_hello(struct worker *w)
{
	return try_to_say(w,
			  json_pack("{s:s, s:i, s:i, s:i, s:i, s:s}", "say", "hello", "format",
				    MESSAGE_FORMAT, "pid", (int)getpid(), "index",
				    (int)w->options->index, "seat", (int)w->options->seat, "rx",
				    w->options->rx->name),
			  &w->options->board, 1);
}

static int say_have(struct worker *w, const struct owned *o)
{
	json_t *body = json_pack("{s:s, s:i, s:o, s:b, s:b}", "say", "have", "slot", (int)o->slot,
				 "rule", rule_to_json(&o->rule), "released", o->is_released,
				 "expected", o->is_expected);
	struct message_inputs in = {.dedup_fd = o->dedup_fd};
	int fds[MESSAGE_FDS_MAX];
	size_t count;

	for (unsigned i = 0; i < RULE_INPUTS_MAX; i++) {
		in.fds[i] = o->inputs[i].fd;
		in.interfaces[i] = o->inputs[i].interface;
	}
	count = message_put_inputs(body, &in, fds);
	return try_to_say(w, body, fds, count);
}

/* What the receiver has. False: not all was told. */
static bool tell_of_receiver(struct worker *w)
{
	int fds[MESSAGE_FDS_MAX];
	size_t count = 0;
	json_t *body;

	while (w->receiver->ops->tell(w->receiver, w->told, &body, fds, &count)) {
		if (try_to_say(w, body, fds, count) < 0)
			return false;
		w->told++;
	}
	return true;
}

/* A new supervisor is told of all streams, some in each turn, so that they go on meanwhile. */
static void tell(struct worker *w)
{
	if (w->telling && !tell_of_receiver(w))
		return;
	for (int i = 0; i < TELLINGS_MAX && w->telling; i++) {
		struct list *next = w->telling->next;

		if (w->telling != &w->streams) {
			if (say_have(w, container_of(w->telling, struct owned, node)) < 0)
				return;
			w->telling = next;
		} else if (try_to_say(w, json_pack("{s:s}", "say", "complete"), NULL, 0) == 0) {
			w->telling = NULL;
		}
	}
}

/* ---- streams ---- */

static void flush(struct worker *w, uint64_t now_ns)
{
	senders_flush(&w->senders, now_ns);
	w->receiver->ops->reset(w->receiver);
}

static void watch(struct worker *w, struct owned *o)
{
	for (unsigned i = 0; i < o->rule.input_count; i++) {
		if (o->is_expected)
			w->receiver->ops->expect(w->receiver, &o->inputs[i]);
		else
			w->receiver->ops->watch(w->receiver, &o->inputs[i]);
	}
}

static void unwatch(struct worker *w, struct owned *o)
{
	for (unsigned i = 0; i < o->rule.input_count; i++)
		w->receiver->ops->unwatch(w->receiver, &o->inputs[i]);
}

static void forget(struct worker *w, uint32_t slot)
{
	struct owned *o = idmap_get(&w->by_slot, slot + 1);

	if (!o)
		return;
	if (!o->is_released)
		unwatch(w, o);
	if (w->telling == &o->node)
		w->telling = o->node.next;
	idmap_remove(&w->by_slot, slot + 1);
	owned_free(o);
}

/* Its own, or NULL when the supervisor speaks nonsense. */
static struct owned *owned_from(struct worker *w, uint32_t slot, struct message *m)
{
	struct rule rule = {0};
	struct message_inputs in;
	char why[WHY_BYTES_MAX];

	if (slot >= BOARD_SLOTS_MAX ||
	    rule_from_json(json_object_get(m->body, "rule"), &rule, why) < 0) {
		log_error("the supervisor speaks of a rule that is none");
		return NULL;
	}
	message_take_inputs(m, &in);
	return owned_new(slot, &rule, &in, &w->senders, &w->board->streams[slot]);
}

static void enter(struct worker *w, struct owned *o)
{
	list_push_back(&w->streams, &o->node);
	idmap_put(&w->by_slot, o->slot + 1, o);
	watch(w, o);
}

/* What is there already stays as it is. */
static void expect(struct worker *w, struct message *m)
{
	uint32_t slot = message_number(m, "slot");
	struct owned *o;

	if (idmap_get(&w->by_slot, slot + 1))
		return;
	o = owned_from(w, slot, m);
	if (!o)
		return;
	o->is_expected = true;
	enter(w, o);
}

static void own(struct worker *w, struct message *m)
{
	uint32_t slot = message_number(m, "slot");
	struct owned *o = owned_from(w, slot, m), *old = idmap_get(&w->by_slot, slot + 1);
	struct park park = {0};

	if (!o)
		return;
	if (old) {
		park = old->park;
		old->park = (struct park){0};
		forget(w, slot);
	}
	if (o->dedup)
		dedup_repair(o->dedup);
	enter(w, o);
	owned_unpark(o, &park, w->now_ns);
	senders_flush(&w->senders, w->now_ns);
	park_done(&park);
}

/* It is soon: what has come until now is sent first. */
static void release(struct worker *w, const struct message *m)
{
	struct owned *o = idmap_get(&w->by_slot, message_number(m, "slot") + 1);

	if (!o)
		return;
	o->is_unwanted = json_is_true(json_object_get(m->body, "ends"));
	if (list_is_linked(&o->owing_node))
		return;
	for (unsigned i = 0; i < o->rule.input_count && !o->is_released; i++)
		w->receiver->ops->release(w->receiver, &o->inputs[i]);
	list_push_back(&w->owing, &o->owing_node);
}

static bool is_drained(const struct worker *w, const struct owned *o)
{
	for (unsigned i = 0; i < o->rule.input_count && !o->is_released; i++)
		if (!w->receiver->ops->is_drained(w->receiver, &o->inputs[i]))
			return false;
	return true;
}

static void let_go(struct worker *w, struct owned *o)
{
	if (!o->is_released)
		unwatch(w, o);
	o->is_released = true;
}

/* Of those of which all has been sent, as fast as the supervisor hears it. */
static void tell_of_releases(struct worker *w)
{
	if (list_is_empty(&w->owing))
		return;
	/* Where an interface is down, nobody says that its packets are there. */
	w->receiver->ops->drain(w->receiver);
	flush(w, w->now_ns);
	list_for_each_safe(node, &w->owing) {
		struct owned *o = container_of(node, struct owned, owing_node);

		if (!is_drained(w, o))
			continue;
		let_go(w, o);
		if (try_to_say(w, json_pack("{s:s, s:i}", "say", "released", "slot", (int)o->slot),
			       NULL, 0) < 0)
			return;
		list_remove(&o->owing_node);
	}
}

/* The next supervisor is told what they are; but not of those whose rules are gone. */
static void stop_owing(struct worker *w)
{
	list_for_each_safe(node, &w->owing) {
		struct owned *o = container_of(node, struct owned, owing_node);

		if (is_drained(w, o))
			let_go(w, o);
		list_remove(&o->owing_node);
	}
	list_for_each_safe(other, &w->streams)
		if (container_of(other, struct owned, node)->is_unwanted)
			forget(w, container_of(other, struct owned, node)->slot);
}

/* Nobody will say when the old owner is done, which takes some milliseconds. */
static void stop_expecting(struct worker *w)
{
	w->has_stopped_expecting = true;
	list_for_each(node, &w->streams) {
		struct owned *o = container_of(node, struct owned, node);

		if (!o->is_expected)
			continue;
		o->is_expected = false;
		watch(w, o);
		owned_unpark(o, &o->park, w->now_ns);
		senders_flush(&w->senders, w->now_ns);
		park_done(&o->park);
	}
}

static void obey(struct worker *w, struct message *m)
{
	const char *what = json_string_value(json_object_get(m->body, "do"));

	if (!what)
		return;
	if (strcmp(what, "own") == 0)
		own(w, m);
	else if (strcmp(what, "expect") == 0)
		expect(w, m);
	else if (strcmp(what, "release") == 0)
		release(w, m);
	else if (strcmp(what, "forget") == 0)
		forget(w, message_number(m, "slot"));
	else if (strcmp(what, "end") == 0)
		w->is_ending = true;
	else
		w->receiver->ops->hear(w->receiver, what, m);
	w->counters->streams = w->by_slot.count;
}

/* ---- the supervisor ---- */

static void on_supervisor_gone(struct worker *w)
{
	log_warn("the supervisor is gone; the streams go on");
	close(w->channel);
	w->channel = -1;
	w->telling = NULL;
	stop_owing(w);
	w->alone_ns = 0;
	w->gone_ns = w->now_ns;
	w->has_stopped_expecting = false;
}

static void listen_to(struct worker *w, uint64_t ns_max)
{
	uint64_t begin_ns = clock_now_ns();

	while (!w->is_ending && clock_now_ns() - begin_ns < ns_max) {
		struct message m;
		int err = message_receive(w->channel, &m);

		if (err == -EAGAIN)
			return;
		if (err == -EPROTO) {
			log_error("what the supervisor said was cut off: too many open files?");
			continue;
		}
		if (err) {
			on_supervisor_gone(w);
			return;
		}
		obey(w, &m);
		message_done(&m);
	}
}

static void watch_channel(struct worker *w)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

	message_prepare(w->channel);
	epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->channel, &event);
}

/* To one that has come up meanwhile. */
static void look_for_supervisor(struct worker *w, uint64_t now_ns)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd;

	if (now_ns < w->alone_ns)
		return;
	w->alone_ns = now_ns + ALONE_MS * NS_PER_MS;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	strncpy(to.sun_path, w->options->rendezvous, sizeof(to.sun_path) - 1);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		close(fd);
		return;
	}
	w->channel = fd;
	watch_channel(w);
	w->told = 0;
	if (say_hello(w) == 0)
		w->telling = w->streams.next;
}

/* ---- the loop ---- */

static void on_arrivals(void *user, struct receive_input *in, struct arrival *arrivals,
			unsigned count, uint32_t lost)
{
	struct worker *w = user;
	struct owned *o = owned_of(in);

	o->counters->queue_drops += lost;
	owned_relay(o, in, arrivals, count, w->now_ns);
}

static void relay(struct worker *w, void *readable)
{
	if (w->receiver->ops->take(w->receiver, readable))
		return;
	flush(w, w->now_ns);
	w->receiver->ops->take(w->receiver, readable);
}

static int patience_ms(const struct worker *w)
{
	if (w->telling || !list_is_empty(&w->owing))
		return 1;
	return w->channel < 0 ? ALONE_MS : -1;
}

static void on_alone(struct worker *w)
{
	if (!w->has_stopped_expecting && w->now_ns - w->gone_ns > EXPECT_MS * NS_PER_MS)
		stop_expecting(w);
	look_for_supervisor(w, w->now_ns);
}

static void hear(struct worker *w, bool is_spoken_to)
{
	if (w->channel >= 0 && w->receiver->ops->is_puzzled(w->receiver))
		listen_to(w, UINT64_MAX);
	else if (is_spoken_to)
		listen_to(w, LISTEN_NS);
	if (w->channel < 0)
		on_alone(w);
	tell(w);
	tell_of_releases(w);
}

/* What the supervisor says may free a stream that is among the events: it is heard last. */
static void turn(struct worker *w)
{
	struct epoll_event events[EVENTS_MAX];
	int n = epoll_wait(w->epoll_fd, events, EVENTS_MAX, patience_ms(w));
	bool is_spoken_to = false;

	w->now_ns = w->senders.now_ns = clock_now_ns();
	for (int i = 0; i < n; i++) {
		if (events[i].data.ptr)
			relay(w, events[i].data.ptr);
		else
			is_spoken_to = true;
	}
	flush(w, w->now_ns);
	hear(w, is_spoken_to);
	w->counters->turns++;
	w->counters->busy_ns += clock_now_ns() - w->now_ns;
}

static void clean_up(struct worker *w)
{
	list_for_each_safe(node, &w->streams)
		forget(w, container_of(node, struct owned, node)->slot);
	idmap_done(&w->by_slot);
	senders_done(&w->senders);
	own_done(&w->own);
	w->receiver->ops->close(w->receiver);
	close(w->epoll_fd);
	if (w->channel >= 0)
		close(w->channel);
	board_unmap(w->board);
}

static void open_receiver(struct worker *w)
{
	struct receive_setting with = {.epoll_fd = w->epoll_fd,
				       .board = w->board,
				       .seat = w->options->seat,
				       .on_arrivals = on_arrivals,
				       .user = w};

	w->receiver = w->options->rx->open(&with);
}

enum exit_code worker_run(const struct worker_options *options)
{
	struct worker w = {.options = options, .channel = options->channel};
	const char *why;

	signal(SIGINT, SIG_IGN); /* of the terminal: the supervisor says what to do */
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	w.board = board_map(options->board, &why);
	if (!w.board)
		return fail_exit("--board: %s", why);
	w.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (w.epoll_fd < 0)
		return fail_exit("epoll: %s", strerror(errno));
	w.counters = &w.board->workers[options->seat];
	board_clear_seat(w.board, options->seat);
	w.counters->pid = getpid();
	open_receiver(&w);
	own_init(&w.own, w.board, options->seat);
	senders_init(&w.senders, &w.own);
	list_init(&w.streams);
	list_init(&w.owing);
	idmap_init(&w.by_slot);
	watch_channel(&w);
	while (!w.is_ending)
		turn(&w);
	clean_up(&w);
	return EXIT_DONE;
}
