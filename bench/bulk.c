/* One bulk stream as fast as it goes, or at a set rate, every byte checked: `bulk serve HOST PORT`
 * sends or takes what clients ask for; `bulk get|put HOST PORT BYTES [MBIT]` is the client and
 * prints {"bytes", "seconds"}. Exit code 3 means wrong bytes. */
#include "peer.h"

#include "common/base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A paced sender writes pieces of this size, so that its bursts are those of an application and
 * not of a queue: 0.9 ms at 150 Mbit/s. */
#define PACED_BYTES 16384u
#define BYTES_MAX (1ull << 40)
#define MBIT_MAX 1000000u
#define SEED 1u

struct request {
	uint64_t is_put; /* the client sends */
	uint64_t bytes;
	uint64_t mbit; /* of the sender; 0: as fast as it goes */
};

static void wait_until(uint64_t at_us)
{
	struct timespec at = {.tv_sec = (time_t)(at_us / US_PER_S),
			      .tv_nsec = (long)(at_us % US_PER_S * 1000)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
		;
}

static int send_stream(int fd, const struct pattern *p, const struct request *r)
{
	uint64_t started_us = clock_now_us();
	uint64_t block = r->mbit ? PACED_BYTES : PEER_BLOCK_BYTES;

	for (uint64_t sent = 0; sent < r->bytes;) {
		uint64_t left = r->bytes - sent;
		ssize_t n;

		if (r->mbit)
			wait_until(started_us + sent * 8 / r->mbit);
		n = send(fd, pattern_at(p, SEED, sent), left < block ? left : block, MSG_NOSIGNAL);
		if (n < 0)
			return -errno;
		sent += (uint64_t)n;
	}
	return 0;
}

/* 0, -EILSEQ for wrong bytes, -ENODATA for too few, or another negative errno. */
static int receive_stream(int fd, const struct pattern *p, uint64_t bytes)
{
	uint8_t block[PEER_BLOCK_BYTES];

	for (uint64_t got = 0; got < bytes;) {
		uint64_t left = bytes - got;
		ssize_t n = recv(fd, block, left < sizeof(block) ? left : sizeof(block), 0);

		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		if (memcmp(block, pattern_at(p, SEED, got), (size_t)n) != 0)
			return -EILSEQ;
		got += (uint64_t)n;
	}
	return 0;
}

/* Until the end of the stream: who still sends then gets to read the result. */
static void drain(int fd)
{
	uint8_t block[PEER_BLOCK_BYTES];

	while (recv(fd, block, sizeof(block), 0) > 0)
		;
}

/* The server's result goes back behind a put, so that the client's time ends with the last byte
 * at the server. */
static void serve_one(int fd, const void *arg)
{
	const struct pattern *p = arg;
	struct request r;
	int64_t result;

	if (peer_receive(fd, &r, sizeof(r)) < 0)
		return;
	if (!r.is_put) {
		send_stream(fd, p, &r);
		return;
	}
	result = receive_stream(fd, p, r.bytes);
	if (result == -EILSEQ)
		drain(fd);
	peer_send(fd, &result, sizeof(result));
}

static int serve(const char *host, uint16_t port, const struct pattern *p)
{
	int listener = peer_listen(host, port);

	if (listener < 0) {
		fprintf(stderr, "bulk: %s port %u: %s\n", host, port, strerror(-listener));
		return PEER_FAILED;
	}
	peer_serve(listener, serve_one, p);
}

static int get_stream(int fd, const struct pattern *p, const struct request *r,
		      uint64_t *ret_done_us)
{
	int err = receive_stream(fd, p, r->bytes);
	uint64_t done_us = clock_now_us();
	char more;

	if (err)
		return err;
	if (recv(fd, &more, 1, 0) != 0) /* nothing but a clean end is due */
		return -EILSEQ;
	*ret_done_us = done_us;
	return 0;
}

static int put_stream(int fd, const struct pattern *p, const struct request *r,
		      uint64_t *ret_done_us)
{
	int64_t result;
	int err = send_stream(fd, p, r);

	if (!err && shutdown(fd, SHUT_WR) < 0) /* the server then sees what is missing */
		err = -errno;
	if (!err)
		err = peer_receive(fd, &result, sizeof(result));
	if (err || result)
		return err ? err : (int)result;
	*ret_done_us = clock_now_us();
	return 0;
}

static int drive(const char *host, uint16_t port, const struct pattern *p, const struct request *r)
{
	uint64_t started_us, done_us;
	int fd = peer_connect(host, port);
	int err = fd < 0 ? fd : 0;

	started_us = clock_now_us();
	if (!err)
		err = peer_send(fd, r, sizeof(*r));
	if (!err)
		err = (r->is_put ? put_stream : get_stream)(fd, p, r, &done_us);
	if (err) {
		fprintf(stderr, "bulk: %s port %u: %s\n", host, port,
			err == -EILSEQ ? "wrong bytes" : strerror(-err));
		return err == -EILSEQ || err == -ENODATA ? PEER_WRONG_BYTES : PEER_FAILED;
	}
	printf("{\"bytes\": %" PRIu64 ", \"seconds\": %.6f}\n", r->bytes,
	       (double)(done_us - started_us) / 1e6);
	return PEER_FINE;
}

static int complain(void)
{
	fprintf(stderr, "usage: bulk serve HOST PORT | bulk get|put HOST PORT BYTES [MBIT]\n");
	return PEER_USAGE;
}

int main(int argc, char **argv)
{
	struct request r = {0};
	struct pattern pattern;
	uint64_t port;

	if (argc < 4 || peer_number("port", argv[3], 1, UINT16_MAX, &port) < 0)
		return complain();
	pattern_init(&pattern);
	if (strcmp(argv[1], "serve") == 0 && argc == 4)
		return serve(argv[2], (uint16_t)port, &pattern);
	r.is_put = strcmp(argv[1], "put") == 0;
	if ((!r.is_put && strcmp(argv[1], "get") != 0) || argc < 5 || argc > 6 ||
	    peer_number("bytes", argv[4], 1, BYTES_MAX, &r.bytes) < 0 ||
	    (argc == 6 && peer_number("Mbit/s", argv[5], 1, MBIT_MAX, &r.mbit) < 0))
		return complain();
	return drive(argv[2], (uint16_t)port, &pattern, &r);
}
