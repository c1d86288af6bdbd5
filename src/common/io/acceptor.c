/* Accepted connections that have not said HELLO yet: see acceptor.h. They wait in one list, the
 * oldest first, so that one timer is enough; the HELLO is read to its last byte and no further,
 * because what comes behind it belongs to the worker that takes the connection. */
#include "common/io/acceptor.h"

#include "common/base/hostport.h"
#include "common/base/line_limit.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/io/conn.h"
#include "common/io/listener.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct acceptor {
	struct listener *listener;
	uv_loop_t *loop;
	uv_timer_t timer; /* for the oldest of pending */
	struct list pending;
	size_t pending_count;
	size_t held; /* by the timer and by pending connections, until their close callbacks */
	uint32_t hello_wait_ms;
	acceptor_hello *on_hello;
	void *user;
	bool is_closed;

	uint64_t *rejected;
	struct line_limit lines; /* about rejections */
	char name[HOSTPORT_TEXT_MAX];
};

struct pending {
	struct list node;
	uv_poll_t poll;
	struct acceptor *acceptor;
	int fd;
	uint64_t deadline_ms; /* of the loop's time */
	struct sockaddr_storage from;
	struct frame frame; /* once the header is there */
	size_t have, need;
	uint8_t bytes[FRAME_HEADER_BYTES + HELLO_PAYLOAD_MAX];
};

static void unhold(struct acceptor *a)
{
	if (!--a->held)
		free(a);
}

static void on_pending_closed(uv_handle_t *handle)
{
	struct pending *p = handle->data;

	unhold(p->acceptor);
	free(p);
}

/* Forgets it; its descriptor is the caller's. */
static int pending_take_fd(struct pending *p)
{
	struct acceptor *a = p->acceptor;

	list_remove(&p->node);
	if (a->pending_count-- == HELLO_PENDING_MAX)
		listener_resume(a->listener);
	uv_close((uv_handle_t *)&p->poll, on_pending_closed);
	return p->fd;
}

/* At most REJECT_LINES_MAX lines a second; what was left out is counted in the next one. */
static bool may_log(struct acceptor *a)
{
	uint32_t dropped;
	bool may = line_limit_take(&a->lines, uv_now(a->loop), &dropped);

	if (dropped)
		log_warn("listener %s: rejected %u more connections", a->name, dropped);
	return may;
}

__attribute__((format(printf, 2, 3))) static void reject(struct pending *p, const char *fmt, ...)
{
	char from[ADDRESS_TEXT_MAX];
	char why[160];
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	sockaddr_text(&p->from, from);
	++*p->acceptor->rejected;
	if (may_log(p->acceptor))
		log_warn("listener %s: rejected %s: %s", p->acceptor->name, from, why);
	close(pending_take_fd(p));
}

/* 0, or -EPROTO after the connection was rejected. */
static int check_header(struct pending *p)
{
	if (p->bytes[0] != FRAME_HELLO) {
		reject(p, "it began with byte 0x%02x; expected HELLO (0x%02x)", p->bytes[0],
		       FRAME_HELLO);
		return -EPROTO;
	}
	if (p->have < FRAME_HEADER_BYTES || p->need > FRAME_HEADER_BYTES)
		return 0;
	if (frame_decode(p->bytes, FRAME_PAYLOAD_MAX, &p->frame) ||
	    p->frame.len > HELLO_PAYLOAD_MAX) {
		reject(p, "the header of its HELLO is malformed");
		return -EPROTO;
	}
	p->need = FRAME_HEADER_BYTES + p->frame.len;
	return 0;
}

static void take_hello(struct pending *p)
{
	struct acceptor *a = p->acceptor;
	struct sockaddr_storage from = p->from;
	struct hello hello;

	if (hello_decode(p->bytes + FRAME_HEADER_BYTES, p->frame.len, &hello)) {
		reject(p, "its HELLO is malformed");
	} else if (hello.version_min > FRAME_VERSION || hello.version_max < FRAME_VERSION) {
		reject(p, "it speaks versions %u to %u; expected %u", hello.version_min,
		       hello.version_max, FRAME_VERSION);
	} else if (!hello.hops_left) {
		reject(p, "its HELLO has crossed %u modules: the chain is a loop", HOP_LIMIT);
	} else {
		a->on_hello(a->user, pending_take_fd(p), &hello, &from);
	}
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct pending *p = poll->data;
	ssize_t n;

	(void)status; /* an error is found by reading */
	(void)events;
	do {
		n = recv(p->fd, p->bytes + p->have, p->need - p->have, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			reject(p, "%s before its HELLO", uv_strerror(-errno));
			return;
		}
		if (!n) {
			reject(p, "closed after %zu bytes; expected HELLO", p->have);
			return;
		}
		p->have += (size_t)n;
		if (check_header(p))
			return;
	} while (p->have < p->need);
	take_hello(p);
}

static void on_timeout(uv_timer_t *timer);

/* The timer is for the oldest; when that has gone early, the timer finds the next. */
static void start_timer(struct acceptor *a)
{
	const struct pending *oldest;
	uint64_t now_ms = uv_now(a->loop);

	if (list_is_empty(&a->pending) || uv_is_active((uv_handle_t *)&a->timer))
		return;
	oldest = list_first(&a->pending, struct pending, node);
	uv_timer_start(&a->timer, on_timeout,
		       oldest->deadline_ms > now_ms ? oldest->deadline_ms - now_ms : 0, 0);
}

static void on_timeout(uv_timer_t *timer)
{
	struct acceptor *a = timer->data;
	uint64_t now_ms = uv_now(a->loop);

	while (!list_is_empty(&a->pending)) {
		struct pending *p = list_first(&a->pending, struct pending, node);

		if (p->deadline_ms > now_ms)
			break;
		reject(p, "%zu bytes in %u ms; expected HELLO", p->have, a->hello_wait_ms);
	}
	start_timer(a);
}

static int pending_open_take(struct acceptor *a, int fd, const struct sockaddr_storage *from)
{
	struct pending *p = calloc(1, sizeof(*p));
	int err = -ENOMEM;

	if (!p)
		goto out_fd;
	*p = (struct pending){.acceptor = a, .fd = fd, .from = *from, .need = FRAME_HEADER_BYTES};
	err = uv_poll_init(a->loop, &p->poll, fd);
	if (err)
		goto out_memory;
	p->poll.data = p;
	p->deadline_ms = uv_now(a->loop) + a->hello_wait_ms;
	uv_poll_start(&p->poll, UV_READABLE, on_readable);
	list_push_back(&a->pending, &p->node);
	a->pending_count++;
	a->held++;
	return 0;

out_memory:
	free(p);
out_fd:
	close(fd);
	return err;
}

static bool on_accepted(void *user, int fd, const struct sockaddr_storage *from)
{
	struct acceptor *a = user;
	int err = pending_open_take(a, fd, from);

	if (err)
		log_warn("listener %s: cannot take a connection: %s", a->name, uv_strerror(err));
	start_timer(a);
	return a->pending_count < HELLO_PENDING_MAX;
}

int acceptor_open(uv_loop_t *loop, int listen_fd, const char *name, uint32_t hello_wait_ms,
		  acceptor_hello *on_hello, void *user, uint64_t *rejected, struct acceptor **ret)
{
	struct acceptor *a = calloc(1, sizeof(*a));
	int err;

	if (!a)
		return -ENOMEM;
	*a = (struct acceptor){.loop = loop,
			       .hello_wait_ms = hello_wait_ms,
			       .on_hello = on_hello,
			       .user = user,
			       .held = 1};
	a->rejected = rejected;
	list_init(&a->pending);
	snprintf(a->name, sizeof(a->name), "%s", name);
	err = listener_open(loop, listen_fd, name, on_accepted, a, &a->listener);
	if (err) {
		free(a);
		return err;
	}
	uv_timer_init(loop, &a->timer);
	a->timer.data = a;
	*ret = a;
	return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
	unhold(handle->data);
}

void acceptor_close(struct acceptor *a)
{
	if (!a || a->is_closed)
		return;
	a->is_closed = true;
	listener_close(a->listener);
	while (!list_is_empty(&a->pending))
		close(pending_take_fd(list_first(&a->pending, struct pending, node)));
	uv_close((uv_handle_t *)&a->timer, on_timer_closed);
}
