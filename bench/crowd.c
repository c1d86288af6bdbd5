/* Both ends of many sessions at once, every byte checked: connects to HOST PORT, accepts what comes
 * out of the chain from the non-blocking listener on standard input, and pairs the two by a number
 * that each client sends first. A connection that begins with PEER_PING is echoed beside them.
 *
 *	crowd exchange HOST PORT COUNT BYTES	BYTES both ways on each, then a clean end
 *	crowd stall HOST PORT COUNT STALLED	servers write small pieces, STALLED clients do not
 *						read, the others do; SIGTERM: all is read to the end
 *	crowd fair HOST PORT COUNT SECONDS	downloads without end: what each got in SECONDS
 *
 * Prints one JSON object when all sessions are open and one with the result. */
#include "peer.h"

#include "common/base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT_MAX 100000u
#define AMOUNT_MAX (1ull << 40)
#define EVENTS_MAX 256
#define SMALL_PIECE_BYTES 64u
/* What each reading session of `stall` is sent. */
#define PIECES_PER_S 10u
#define TICK_MS 1
#define FAIR_WARM_UP_US (1 * US_PER_S)

enum mode { MODE_EXCHANGE, MODE_STALL, MODE_FAIR };

struct end {
	int fd; /* -1: not there, or ended */
	bool is_reading, is_paced;
	bool has_eof, has_fin, has_failed;
	uint32_t events;
	uint64_t seed_in, seed_out;
	uint64_t sent, size;	  /* to be sent altogether */
	uint64_t got, got_before; /* got_before: what `fair` does not count */
	size_t piece;
};

struct crowd {
	enum mode mode;
	const char *host;
	uint16_t port;
	uint64_t count, amount; /* amount: BYTES, STALLED or SECONDS */
	const struct pattern *pattern;
	struct end *clients, *servers; /* session i is client i and server i */
	int epoll, listener, signals;
	uint64_t paired, ends_left;
	uint64_t started_us, open_us;
	uint64_t pieces;	 /* sent to readers of `stall` */
	bool is_open, is_ending; /* is_ending: who has sent all ends its stream */
	bool has_wrong_bytes;
};

/* ---- one end ---- */
static void end_init(struct end *e, uint64_t session, bool is_server)
{
	*e = (struct end){
		.fd = -1,
		.is_reading = true,
		.seed_in = 2 * session + !is_server,
		.seed_out = 2 * session + is_server,
		.piece = PEER_BLOCK_BYTES,
	};
}

static void end_close(struct crowd *c, struct end *e)
{
	close(e->fd);
	e->fd = -1;
	c->ends_left--;
}

static void end_fail(struct crowd *c, struct end *e, const char *why)
{
	fprintf(stderr, "crowd: %s %" PRIu64 ": %s after %" PRIu64 " bytes in, %" PRIu64 " out\n",
		e->seed_out % 2 ? "server" : "client", e->seed_out / 2, why, e->got, e->sent);
	e->has_failed = true;
	end_close(c, e);
}

/* Ends the stream where that is due, and tells epoll what this end waits for. */
static void end_watch(struct crowd *c, struct end *e)
{
	struct epoll_event event = {.data.ptr = e};

	if (c->is_ending && !e->has_fin && e->sent >= e->size) {
		shutdown(e->fd, SHUT_WR);
		e->has_fin = true;
	}
	if (e->has_eof && e->has_fin) {
		end_close(c, e);
		return;
	}
	if (e->is_reading && !e->has_eof)
		event.events |= EPOLLIN;
	if (e->sent < e->size && !e->is_paced)
		event.events |= EPOLLOUT;
	if (event.events == e->events)
		return;
	e->events = event.events;
	epoll_ctl(c->epoll, EPOLL_CTL_MOD, e->fd, &event);
}

/* False when the end is gone. */
static bool end_read(struct crowd *c, struct end *e)
{
	uint8_t block[PEER_BLOCK_BYTES];
	ssize_t n = recv(e->fd, block, sizeof(block), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return true;
	if (n < 0) {
		end_fail(c, e, strerror(errno));
		return false;
	}
	if (memcmp(block, pattern_at(c->pattern, e->seed_in, e->got), (size_t)n) != 0) {
		c->has_wrong_bytes = true;
		end_fail(c, e, "wrong bytes");
		return false;
	}
	e->got += (uint64_t)n;
	e->has_eof = n == 0;
	return true;
}

static bool end_write(struct crowd *c, struct end *e)
{
	uint64_t left = e->size - e->sent;
	ssize_t n = send(e->fd, pattern_at(c->pattern, e->seed_out, e->sent),
			 left < e->piece ? left : e->piece, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno == EAGAIN)
		return true;
	if (n < 0) {
		end_fail(c, e, strerror(errno));
		return false;
	}
	e->sent += (uint64_t)n;
	return true;
}

static void end_on_event(struct crowd *c, struct end *e, uint32_t events)
{
	if (e->fd < 0)
		return; /* ended by an event before this one */
	/* A reset that comes while nothing is read would be told for ever. */
	if (events & EPOLLERR)
		events |= EPOLLIN;
	if (events & EPOLLIN && !end_read(c, e))
		return;
	if (events & EPOLLOUT && e->sent < e->size && !end_write(c, e))
		return;
	end_watch(c, e);
}

/* ---- opening ---- */
static int crowd_add(struct crowd *c, int fd, void *tag, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = tag};

	return epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int crowd_connect(struct crowd *c, uint64_t i)
{
	int fd = peer_connect(c->host, c->port);
	int err;

	if (fd < 0)
		return fd;
	c->clients[i].fd = fd;
	err = peer_send(fd, &i, sizeof(i));
	return err ? err : crowd_add(c, fd, &c->clients[i], 0);
}

static void *echo_beside(void *user)
{
	peer_echo((int)(intptr_t)user);
	return NULL;
}

/* A ping-pong has a thread of its own, so that its time is not the crowd's. */
static int start_echo(int fd)
{
	pthread_t thread;
	int err = pthread_create(&thread, NULL, echo_beside, (void *)(intptr_t)fd);

	if (!err)
		pthread_detach(thread);
	return -err;
}

/* Takes `fd` when it is 0. The first bytes are already under way: the client sends at once. */
static int crowd_pair(struct crowd *c, int fd)
{
	uint64_t id;
	ssize_t n = recv(fd, &id, sizeof(id), MSG_PEEK | MSG_WAITALL);

	if (n != sizeof(id))
		return n < 0 ? -errno : -ENODATA;
	if (memcmp(&id, PEER_PING, PEER_HELLO_BYTES) == 0)
		return start_echo(fd);
	n = recv(fd, &id, sizeof(id), 0);
	if (n != sizeof(id) || id >= c->count || c->servers[id].fd >= 0)
		return -EILSEQ;
	c->servers[id].fd = fd;
	c->paired++;
	return crowd_add(c, fd, &c->servers[id], 0);
}

static void crowd_accept(struct crowd *c)
{
	int fd = peer_accept(c->listener);
	int err;

	if (fd < 0)
		return;
	err = crowd_pair(c, fd);
	if (!err)
		return;
	fprintf(stderr, "crowd: a connection that is no session: %s\n", strerror(-err));
	c->has_wrong_bytes |= err == -EILSEQ;
	close(fd);
}

/* ---- the three kinds of work ---- */
static void stall_begin(struct crowd *c, uint64_t i)
{
	struct end *client = &c->clients[i], *server = &c->servers[i];

	server->size = UINT64_MAX;
	server->piece = SMALL_PIECE_BYTES;
	client->is_reading = i >= c->amount;
	server->is_paced = client->is_reading;
}

/* So many sessions a millisecond, each in its turn: no burst that would be the measurement's. */
static void stall_tick(struct crowd *c, uint64_t now_us)
{
	uint64_t readers = c->count - c->amount;
	uint64_t due = (now_us - c->open_us) * readers * PIECES_PER_S / US_PER_S;

	for (; c->pieces < due; c->pieces++) {
		struct end *e = &c->servers[c->amount + c->pieces % readers];

		if (e->fd >= 0 && end_write(c, e))
			end_watch(c, e);
	}
}

static void crowd_watch_all(struct crowd *c)
{
	for (uint64_t i = 0; i < c->count; i++) {
		if (c->clients[i].fd >= 0)
			end_watch(c, &c->clients[i]);
		if (c->servers[i].fd >= 0)
			end_watch(c, &c->servers[i]);
	}
}

static void crowd_begin(struct crowd *c)
{
	c->is_open = true;
	c->open_us = clock_now_us();
	printf("{\"open\": %" PRIu64 ", \"seconds\": %.3f}\n", c->count,
	       (double)(c->open_us - c->started_us) / 1e6);
	fflush(stdout);
	for (uint64_t i = 0; i < c->count; i++) {
		switch (c->mode) {
		case MODE_EXCHANGE:
			c->clients[i].size = c->servers[i].size = c->amount;
			c->is_ending = true;
			break;
		case MODE_STALL:
			stall_begin(c, i);
			break;
		case MODE_FAIR:
			c->servers[i].size = UINT64_MAX;
			break;
		}
	}
	crowd_watch_all(c);
}

/* SIGTERM: nothing new is sent, and what was held back is read. */
static void crowd_end(struct crowd *c)
{
	c->is_ending = true;
	for (uint64_t i = 0; i < c->count; i++) {
		c->clients[i].is_reading = true;
		c->servers[i].size = c->servers[i].sent;
	}
	crowd_watch_all(c);
}

/* ---- the loop ---- */
static void crowd_turn(struct crowd *c, int timeout_ms)
{
	struct epoll_event events[EVENTS_MAX];
	int n = epoll_wait(c->epoll, events, EVENTS_MAX, timeout_ms);

	for (int i = 0; i < n; i++) {
		void *tag = events[i].data.ptr;

		if (tag == &c->listener)
			crowd_accept(c);
		else if (tag == &c->signals)
			crowd_end(c);
		else
			end_on_event(c, tag, events[i].events);
	}
	/* Once is enough: the signal stays pending, and would be told in every turn. */
	if (c->is_ending && c->signals >= 0) {
		close(c->signals);
		c->signals = -1;
	}
}

static int crowd_open_all(struct crowd *c)
{
	for (uint64_t i = 0; i < c->count; i++) {
		int err = crowd_connect(c, i);

		if (err) {
			fprintf(stderr, "crowd: client %" PRIu64 ": %s\n", i, strerror(-err));
			return err;
		}
		crowd_turn(c, 0);
	}
	while (c->paired < c->count && c->ends_left == 2 * c->count)
		crowd_turn(c, -1);
	return c->paired < c->count ? -ECONNRESET : 0;
}

/* Until all have ended, or the time of `fair` is over. */
static void crowd_run(struct crowd *c)
{
	uint64_t fair_us = c->open_us + FAIR_WARM_UP_US;
	bool is_counting = false;

	while (c->ends_left > 0) {
		uint64_t now_us;

		crowd_turn(c, TICK_MS);
		now_us = clock_now_us();
		if (c->mode == MODE_STALL && !c->is_ending && c->amount < c->count)
			stall_tick(c, now_us);
		if (c->mode != MODE_FAIR || now_us < fair_us)
			continue;
		if (is_counting)
			return;
		is_counting = true;
		fair_us = now_us + c->amount * US_PER_S;
		for (uint64_t i = 0; i < c->count; i++)
			c->clients[i].got_before = c->clients[i].got;
	}
}

/* Two clean ends around a stream that is too short are the worst that can be found. */
static bool session_is_exact(struct crowd *c, uint64_t i)
{
	const struct end *client = &c->clients[i], *server = &c->servers[i];

	if (client->has_failed || server->has_failed || !client->has_eof || !server->has_eof)
		return false;
	if (client->got == server->sent && server->got == client->sent)
		return true;
	c->has_wrong_bytes = true;
	return false;
}

static int crowd_report(struct crowd *c)
{
	double seconds = (double)(clock_now_us() - c->open_us) / 1e6;
	uint64_t exact = 0, bytes = 0, stalled = 0;

	printf("{\"got\": [");
	for (uint64_t i = 0; i < c->count; i++) {
		const struct end *client = &c->clients[i], *server = &c->servers[i];

		exact += session_is_exact(c, i);
		bytes += client->got + server->got;
		stalled += c->mode == MODE_STALL && i < c->amount ? server->sent : 0;
		if (c->mode == MODE_FAIR)
			printf("%s%" PRIu64, i ? ", " : "", client->got - client->got_before);
	}
	printf("], \"sessions\": %" PRIu64 ", \"exact\": %" PRIu64 ", \"seconds\": %.3f, "
	       "\"bytes\": %" PRIu64 ", \"stalled_bytes\": %" PRIu64 ", \"pieces\": %" PRIu64 "}\n",
	       c->count, exact, seconds, bytes, stalled, c->pieces);
	if (c->has_wrong_bytes)
		return PEER_WRONG_BYTES;
	return c->mode == MODE_FAIR || exact == c->count ? PEER_FINE : PEER_FAILED;
}

/* ---- start ---- */
static int crowd_init(struct crowd *c)
{
	sigset_t set;
	int err;

	c->clients = calloc(c->count, sizeof(*c->clients));
	c->servers = calloc(c->count, sizeof(*c->servers));
	if (!c->clients || !c->servers)
		return -ENOMEM;
	for (uint64_t i = 0; i < c->count; i++) {
		end_init(&c->clients[i], i, false);
		end_init(&c->servers[i], i, true);
	}
	c->ends_left = 2 * c->count;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	c->signals = signalfd(-1, &set, SFD_CLOEXEC);
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (c->signals < 0 || c->epoll < 0)
		return -errno;
	err = crowd_add(c, c->signals, &c->signals, EPOLLIN);
	return err ? err : crowd_add(c, c->listener, &c->listener, EPOLLIN);
}

static int crowd_main(struct crowd *c)
{
	int err = crowd_init(c);

	if (err) {
		fprintf(stderr, "crowd: %s\n", strerror(-err));
		return PEER_FAILED;
	}
	c->started_us = clock_now_us();
	if (crowd_open_all(c) < 0)
		return c->has_wrong_bytes ? PEER_WRONG_BYTES : PEER_FAILED;
	crowd_begin(c);
	crowd_run(c);
	return crowd_report(c);
}

static int parse_mode(const char *text, enum mode *ret)
{
	static const char *const names[] = {"exchange", "stall", "fair"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i]) == 0) {
			*ret = (enum mode)i;
			return 0;
		}
	}
	fprintf(stderr, "mode '%s': expected exchange, stall or fair\n", text);
	return -EINVAL;
}

int main(int argc, char **argv)
{
	struct pattern pattern;
	struct crowd c = {.pattern = &pattern, .listener = STDIN_FILENO};
	uint64_t port;
	int code;

	if (argc != 6 || parse_mode(argv[1], &c.mode) < 0 ||
	    peer_number("port", argv[3], 1, UINT16_MAX, &port) < 0 ||
	    peer_number("count", argv[4], 1, COUNT_MAX, &c.count) < 0 ||
	    peer_number("amount", argv[5], 0, c.mode == MODE_STALL ? c.count : AMOUNT_MAX,
			&c.amount) < 0) {
		fprintf(stderr, "usage: crowd exchange|stall|fair HOST PORT COUNT AMOUNT, "
				"a listener on standard input\n");
		return PEER_USAGE;
	}
	c.host = argv[2];
	c.port = (uint16_t)port;
	pattern_init(&pattern);
	peer_raise_descriptors();
	code = crowd_main(&c);
	free(c.clients);
	free(c.servers);
	return code;
}
