/* Where a stream stands still: one end sends the pattern for as long as the other wants it, the
 * other checks every byte and keeps when the next ones came. `gap serve HOST PORT` and `gap feed
 * HOST PORT` send, `gap watch HOST PORT SECONDS [BYTES]` and `gap take ...` receive; the first of
 * each pair connects in `watch` and `feed`, listens in `serve` and `take`.
 *
 * The receiver ends after SECONDS or BYTES, or at SIGTERM, and prints JSON. Times are seconds of
 * CLOCK_MONOTONIC, those of Python's time.monotonic(). Exit code 3 means wrong bytes. */
#include "peer.h"

#include "common/base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SECONDS_MAX 7200u
#define BYTES_MAX (1ull << 40)
#define SEED 1u
#define BIN_US 10000u
#define BINS_MAX (SECONDS_MAX * 100u)
/* Shorter ones are how a link of 10 Mbit/s looks. */
#define GAP_MIN_US 2000u
#define GAPS_MAX 100000u

struct gap {
	uint64_t at_us, len_us; /* from the last byte before it */
};

struct record {
	uint64_t started_us, last_us, bytes;
	uint64_t end_us, bytes_max; /* when it is over */
	const char *end;
	uint32_t gap_count, bin_count;
	struct gap gaps[GAPS_MAX];
	uint32_t bins[BINS_MAX];
};

static volatile sig_atomic_t is_told; /* to end; by a signal, so it cannot be anywhere else */

static void on_signal(int number)
{
	(void)number;
	is_told = 1;
}

/* ---- sending ---- */

/* The one of all our links. Kernel MPTCP takes the machine's own for the subflows that join,
 * whatever the route says. */
static void set_congestion_control(int fd)
{
	static const char name[] = "cubic";

	if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, sizeof(name) - 1) < 0)
		perror("gap: congestion control cubic");
}

static void send_stream(int fd, const void *arg)
{
	const struct pattern *p = arg;
	uint64_t sent = 0;
	ssize_t n;

	set_congestion_control(fd);
	do {
		n = send(fd, pattern_at(p, SEED, sent), PEER_BLOCK_BYTES, MSG_NOSIGNAL);
		sent += n > 0 ? (uint64_t)n : 0;
	} while (n > 0);
	close(fd);
}

/* ---- receiving ---- */

static void record_gap(struct record *r, uint64_t now_us)
{
	uint64_t len_us = now_us - r->last_us;

	if (len_us >= GAP_MIN_US && r->gap_count < GAPS_MAX)
		r->gaps[r->gap_count++] = (struct gap){.at_us = r->last_us, .len_us = len_us};
}

static void record_bytes(struct record *r, uint32_t len, uint64_t now_us)
{
	uint64_t bin = (now_us - r->started_us) / BIN_US;

	record_gap(r, now_us);
	r->last_us = now_us;
	r->bytes += len;
	if (bin < BINS_MAX) {
		r->bins[bin] += len;
		r->bin_count = (uint32_t)bin + 1;
	}
}

/* What is there; true while more is wanted. Wrong bytes are told by `end` NULL. */
static bool receive_some(int fd, const struct pattern *p, struct record *r)
{
	static uint8_t block[PEER_BLOCK_BYTES];
	uint64_t left = r->bytes_max - r->bytes;
	ssize_t n = recv(fd, block, left < sizeof(block) ? left : sizeof(block), 0);

	if (n < 0) {
		r->end = errno == ECONNRESET ? "reset" : strerror(errno);
		return false;
	}
	if (n == 0) {
		r->end = "closed";
		return false;
	}
	if (memcmp(block, pattern_at(p, SEED, r->bytes), (size_t)n) != 0) {
		r->end = NULL;
		return false;
	}
	record_bytes(r, (uint32_t)n, clock_now_us());
	r->end = "bytes";
	return r->bytes < r->bytes_max;
}

static void receive_stream(int fd, const struct pattern *p, struct record *r)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	sigset_t none;

	sigemptyset(&none);
	for (;;) {
		uint64_t now_us = clock_now_us();
		uint64_t left_us = now_us < r->end_us ? r->end_us - now_us : 0;
		struct timespec left = {.tv_sec = (time_t)(left_us / US_PER_S),
					.tv_nsec = (long)(left_us % US_PER_S * 1000)};

		r->end = "time";
		if (left_us == 0)
			break;
		r->end = "told";
		if (is_told)
			break;
		if (ppoll(&readable, 1, &left, &none) > 0 && !receive_some(fd, p, r))
			break;
	}
	record_gap(r, clock_now_us()); /* one that has not ended */
}

static void print_record(const struct record *r)
{
	printf("{\"started\": %.6f, \"last\": %.6f, \"bytes\": %" PRIu64 ", \"end\": \"%s\", ",
	       (double)r->started_us / 1e6, (double)r->last_us / 1e6, r->bytes, r->end);
	printf("\"bin_s\": %.3f,\n\"gaps\": [", BIN_US / 1e6);
	for (uint32_t i = 0; i < r->gap_count; i++)
		printf("%s[%.6f, %.6f]", i ? ", " : "", (double)r->gaps[i].at_us / 1e6,
		       (double)r->gaps[i].len_us / 1e6);
	printf("],\n\"bins\": [");
	for (uint32_t i = 0; i < r->bin_count; i++)
		printf("%s%" PRIu32, i ? ", " : "", r->bins[i]);
	printf("]}\n");
}

static int receive(int fd, const struct pattern *p, uint64_t seconds, uint64_t bytes)
{
	static struct record r;

	r.started_us = r.last_us = clock_now_us();
	r.end_us = r.started_us + seconds * US_PER_S;
	r.bytes_max = bytes;
	receive_stream(fd, p, &r);
	if (!r.end) {
		fprintf(stderr, "gap: wrong bytes behind %" PRIu64 "\n", r.bytes);
		return PEER_WRONG_BYTES;
	}
	print_record(&r);
	return PEER_FINE;
}

/* It may come at any time, but is only seen while the receiver waits. */
static void await_signal(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	sigset_t term;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	sigaction(SIGTERM, &action, NULL);
}

/* ---- the command line ---- */

static int complain(void)
{
	fprintf(stderr,
		"usage: gap serve|feed HOST PORT | gap watch|take HOST PORT SECONDS [BYTES]\n");
	return PEER_USAGE;
}

/* A connection, or a listener; accepts for who takes one. The listener stays: MPTCP joins there. */
static int open_end(const char *verb, const char *host, uint16_t port)
{
	bool is_dialled = strcmp(verb, "feed") == 0 || strcmp(verb, "watch") == 0;
	int fd = is_dialled ? peer_connect(host, port) : peer_listen(host, port);

	if (fd < 0)
		fprintf(stderr, "gap: %s port %u: %s\n", host, port, strerror(-fd));
	if (fd < 0 || strcmp(verb, "take") != 0)
		return fd;
	return peer_accept(fd);
}

static int run(const char *verb, int fd, uint64_t seconds, uint64_t bytes)
{
	static struct pattern pattern;

	pattern_init(&pattern);
	if (strcmp(verb, "serve") == 0)
		peer_serve(fd, send_stream, &pattern);
	if (strcmp(verb, "feed") != 0)
		return receive(fd, &pattern, seconds, bytes);
	send_stream(fd, &pattern);
	return PEER_FINE;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	bool is_sender = strcmp(verb, "serve") == 0 || strcmp(verb, "feed") == 0;
	bool is_receiver = strcmp(verb, "watch") == 0 || strcmp(verb, "take") == 0;
	uint64_t port, seconds = 0, bytes = BYTES_MAX;
	int fd;

	if ((is_sender && argc != 4) || (is_receiver && (argc < 5 || argc > 6)) ||
	    (!is_sender && !is_receiver))
		return complain();
	if (peer_number("port", argv[3], 1, UINT16_MAX, &port) < 0 ||
	    (argc > 4 && peer_number("seconds", argv[4], 1, SECONDS_MAX, &seconds) < 0) ||
	    (argc > 5 && peer_number("bytes", argv[5], 1, BYTES_MAX, &bytes) < 0))
		return complain();
	if (is_receiver)
		await_signal();
	fd = open_end(verb, argv[2], (uint16_t)port);
	return fd < 0 ? PEER_FAILED : run(verb, fd, seconds, bytes);
}
