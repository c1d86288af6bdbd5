/* Name look-up and non-blocking connects, one address after the other: see dialer.h. The
 * addresses that are left share the time that is left evenly, so that one which swallows
 * packets does not use it all up. */
#include "common/io/dialer.h"

#include "common/base/clock.h"
#include "common/io/conn.h"
#include "common/io/descriptors.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One connect under way. The poll handle outlives it by a turn, and so does this. */
struct attempt {
	uv_poll_t poll;
	struct dialer *dialer;
	int fd;
};

struct dialer {
	struct worker *worker;
	dialer_done *done;
	void *user;
	uv_timer_t timer;
	uv_getaddrinfo_t lookup;
	struct deferred start;
	struct addrinfo *addresses, *next; /* what getaddrinfo gave; the next one to try */
	struct sockaddr_storage address;   /* of the attempt */
	struct attempt *attempt;
	uint64_t deadline_us;
	unsigned int held; /* by the timer's close and the look-up: it is freed at 0 */
	bool is_over;
	char host[256], service[8];
	int err; /* the last failure; `why` tells of it */
	char why[384];
};

static void unhold(struct dialer *d)
{
	if (--d->held)
		return;
	if (d->addresses)
		freeaddrinfo(d->addresses);
	free(d);
}

static void on_attempt_closed(uv_handle_t *handle)
{
	free(container_of(handle, struct attempt, poll));
}

/* Ends the attempt; its descriptor is the caller's. */
static int attempt_take_fd(struct dialer *d)
{
	int fd = d->attempt->fd;

	uv_close((uv_handle_t *)&d->attempt->poll, on_attempt_closed);
	d->attempt = NULL;
	return fd;
}

static void on_timer_closed(uv_handle_t *handle)
{
	unhold(handle->data);
}

void dialer_cancel(struct dialer *d)
{
	d->is_over = true;
	deferred_cancel(&d->start);
	if (d->attempt)
		close(attempt_take_fd(d));
	uv_cancel((uv_req_t *)&d->lookup); /* harmless when there is none */
	uv_close((uv_handle_t *)&d->timer, on_timer_closed);
}

/* The memory lives until libuv lets go of the timer, and so does `why`. */
static void finish(struct dialer *d, int fd)
{
	dialer_cancel(d);
	d->done(d->user, fd, fd >= 0 ? 0 : d->err, d->why);
}

static void note_failure(struct dialer *d, int err)
{
	char text[ADDRESS_TEXT_MAX];

	sockaddr_text(&d->address, text);
	d->err = err;
	snprintf(d->why, sizeof(d->why), "%s: %s", text, uv_strerror(err));
}

/* A connect to a local port that nobody listens on may meet itself: TCP's simultaneous open. */
static bool is_self_connected(int fd)
{
	struct sockaddr_storage here = {0}, there = {0};
	socklen_t here_len = sizeof(here), there_len = sizeof(there);

	return !getsockname(fd, (struct sockaddr *)&here, &here_len) &&
	       !getpeername(fd, (struct sockaddr *)&there, &there_len) && here_len == there_len &&
	       !memcmp(&here, &there, here_len);
}

static int connect_result(int fd)
{
	int err;
	socklen_t len = sizeof(err);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		return -errno;
	if (!err && is_self_connected(fd))
		return -ECONNREFUSED;
	return -err;
}

static void try_next(struct dialer *d);

static void on_connect(uv_poll_t *poll, int status, int events)
{
	struct dialer *d = container_of(poll, struct attempt, poll)->dialer;
	int fd = attempt_take_fd(d);
	int err = connect_result(fd);

	(void)status; /* libuv knows only that there is an error; the socket knows which */
	(void)events;
	if (!err) {
		finish(d, fd);
		return;
	}
	close(fd);
	note_failure(d, err);
	try_next(d);
}

static void on_timeout(uv_timer_t *timer)
{
	struct dialer *d = timer->data;

	if (!d->attempt) {
		d->err = -ETIMEDOUT;
		snprintf(d->why, sizeof(d->why), "%s: the name look-up took too long", d->host);
		finish(d, -1);
		return;
	}
	close(attempt_take_fd(d));
	note_failure(d, -ETIMEDOUT);
	try_next(d);
}

static void start_timer(struct dialer *d)
{
	uint64_t now_us = clock_now_us();
	uint64_t left_ms = d->deadline_us > now_us ? (d->deadline_us - now_us) / US_PER_MS : 0;
	uint64_t addresses = 1;

	for (const struct addrinfo *ai = d->next; ai; ai = ai->ai_next)
		addresses++;
	uv_timer_start(&d->timer, on_timeout, left_ms / addresses, 0);
}

/* 0: on_connect or on_timeout follows. */
static int attempt_start(struct dialer *d, const struct addrinfo *ai)
{
	struct attempt *a;
	int err;
	int fd;

	if (descriptors_are_short())
		return -EMFILE;
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	err = -ENOMEM;
	a = calloc(1, sizeof(*a));
	if (!a)
		goto out_fd;
	*a = (struct attempt){.dialer = d, .fd = fd};
	err = 0;
	if (connect(fd, ai->ai_addr, ai->ai_addrlen) < 0 && errno != EINPROGRESS)
		err = -errno;
	if (!err)
		err = uv_poll_init(&d->worker->loop, &a->poll, fd);
	if (err)
		goto out_attempt;
	uv_poll_start(&a->poll, UV_WRITABLE, on_connect);
	d->attempt = a;
	start_timer(d);
	return 0;

out_attempt:
	free(a);
out_fd:
	close(fd);
	return err;
}

static void try_next(struct dialer *d)
{
	while (d->next) {
		const struct addrinfo *ai = d->next;
		int err;

		d->next = ai->ai_next;
		memcpy(&d->address, ai->ai_addr, ai->ai_addrlen);
		err = attempt_start(d, ai);
		if (!err)
			return;
		note_failure(d, err);
	}
	finish(d, -1);
}

static void on_lookup(uv_getaddrinfo_t *lookup, int status, struct addrinfo *addresses)
{
	struct dialer *d = lookup->data;
	bool is_over = d->is_over;

	if (!status)
		d->addresses = d->next = addresses;
	unhold(d); /* unless it is over, the timer holds it still */
	if (is_over)
		return;
	if (status) {
		d->err = status;
		snprintf(d->why, sizeof(d->why), "%s: %s", d->host, uv_strerror(status));
		finish(d, -1);
		return;
	}
	try_next(d);
}

static void on_start(struct deferred *start)
{
	struct dialer *d = container_of(start, struct dialer, start);
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	int err;

	start_timer(d);
	if (!getaddrinfo(d->host, d->service, &hints, &d->addresses)) {
		d->next = d->addresses;
		try_next(d);
		return;
	}
	hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
	err = uv_getaddrinfo(&d->worker->loop, &d->lookup, on_lookup, d->host, d->service, &hints);
	if (err) {
		d->err = err;
		snprintf(d->why, sizeof(d->why), "%s: %s", d->host, uv_strerror(err));
		finish(d, -1);
		return;
	}
	d->held++;
}

struct dialer *dialer_start(struct worker *w, const char *host, uint16_t port, uint32_t timeout_ms,
			    dialer_done *done, void *user)
{
	struct dialer *d = calloc(1, sizeof(*d));

	if (!d)
		abort();
	*d = (struct dialer){.worker = w, .done = done, .user = user, .held = 1};
	d->deadline_us = clock_now_us() + timeout_ms * US_PER_MS;
	snprintf(d->host, sizeof(d->host), "%s", host);
	snprintf(d->service, sizeof(d->service), "%u", port);
	uv_timer_init(&w->loop, &d->timer);
	d->timer.data = d->lookup.data = d;
	deferred_init(&d->start, on_start);
	worker_defer(w, TURN_DELIVER, &d->start);
	return d;
}
