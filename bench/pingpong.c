/* One message there and back at a time: `pingpong serve HOST PORT` echoes; `pingpong drive HOST
 * PORT COUNT BYTES [PAUSE_US]` measures COUNT round trips, each checked, and prints their number,
 * median, 99th percentile and maximum in microseconds as JSON. */
#include "peer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define COUNT_MAX 10000000u
/* Message: PEER_PING, the round's number, and zeros. */
#define MESSAGE_MIN 16u
#define MESSAGE_MAX 4096u
#define PAUSE_MAX_US 1000000u
#define WARM_UP 200u /* rounds before it counts: sessions open, caches fill */

struct plan {
	uint64_t count, size, pause_us;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void echo(int fd, const void *arg)
{
	(void)arg;
	peer_echo(fd);
}

static int serve(const char *host, uint16_t port)
{
	int listener = peer_listen(host, port);

	if (listener < 0) {
		fprintf(stderr, "pingpong: %s port %u: %s\n", host, port, strerror(-listener));
		return PEER_FAILED;
	}
	peer_serve(listener, echo, NULL);
}

/* 0, or -EILSEQ when what came back is not what was sent. */
static int round_trip(int fd, uint64_t number, size_t size, uint64_t *ret_ns)
{
	uint8_t sent[MESSAGE_MAX] = {0}, got[MESSAGE_MAX];
	uint64_t started_ns = now_ns();
	int err;

	memcpy(sent, PEER_PING, PEER_HELLO_BYTES);
	memcpy(sent + PEER_HELLO_BYTES, &number, sizeof(number));
	err = peer_send(fd, sent, size);
	if (!err)
		err = peer_receive(fd, got, size);
	if (err)
		return err;
	if (memcmp(sent, got, size) != 0)
		return -EILSEQ;
	*ret_ns = now_ns() - started_ns;
	return 0;
}

static int measure(int fd, const struct plan *plan, uint64_t *ns)
{
	for (uint64_t i = 0; i < WARM_UP + plan->count; i++) {
		uint64_t *one = &ns[i < WARM_UP ? 0 : i - WARM_UP];
		int err = round_trip(fd, i, plan->size, one);

		if (err)
			return err;
		if (plan->pause_us)
			usleep((useconds_t)plan->pause_us);
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Of sorted samples; 100 is the largest. */
static double percentile_us(const uint64_t *ns, uint64_t count, uint64_t percent)
{
	uint64_t index = count * percent / 100;

	return (double)ns[index < count ? index : count - 1] / 1e3;
}

static int drive(const char *host, uint16_t port, const struct plan *plan)
{
	uint64_t *ns = calloc(plan->count, sizeof(*ns));
	int fd = peer_connect(host, port);
	int err = fd < 0 ? fd : 0;

	if (!err)
		err = ns ? measure(fd, plan, ns) : -ENOMEM;
	if (err) {
		fprintf(stderr, "pingpong: %s port %u: %s\n", host, port,
			err == -EILSEQ ? "wrong bytes" : strerror(-err));
	} else {
		qsort(ns, plan->count, sizeof(*ns), compare);
		printf("{\"count\": %" PRIu64 ", \"p50_us\": %.3f, \"p99_us\": %.3f, "
		       "\"max_us\": %.3f}\n",
		       plan->count, percentile_us(ns, plan->count, 50),
		       percentile_us(ns, plan->count, 99), percentile_us(ns, plan->count, 100));
	}
	if (fd >= 0)
		close(fd);
	free(ns);
	if (!err)
		return PEER_FINE;
	return err == -EILSEQ ? PEER_WRONG_BYTES : PEER_FAILED;
}

static int complain(void)
{
	fprintf(stderr, "usage: pingpong serve HOST PORT | "
			"pingpong drive HOST PORT COUNT BYTES [PAUSE_US]\n");
	return PEER_USAGE;
}

int main(int argc, char **argv)
{
	struct plan plan = {0};
	uint64_t port;

	if (argc < 4 || peer_number("port", argv[3], 1, UINT16_MAX, &port) < 0)
		return complain();
	if (strcmp(argv[1], "serve") == 0 && argc == 4)
		return serve(argv[2], (uint16_t)port);
	if (strcmp(argv[1], "drive") != 0 || argc < 6 || argc > 7 ||
	    peer_number("count", argv[4], 1, COUNT_MAX, &plan.count) < 0 ||
	    peer_number("bytes", argv[5], MESSAGE_MIN, MESSAGE_MAX, &plan.size) < 0 ||
	    (argc == 7 && peer_number("pause", argv[6], 1, PAUSE_MAX_US, &plan.pause_us) < 0))
		return complain();
	return drive(argv[2], (uint16_t)port, &plan);
}
