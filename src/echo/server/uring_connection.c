/* What was read is sent at once from the buffer that the kernel put it in, by a plain send(2) that
 * does not wait: a request with its completion costs as much, and so the buffer is free again
 * before the next bytes are looked at, and a connection never has more than one request under way.
 * What the kernel did not take is copied and sent by a request that waits; the client is not read
 * until it is gone. */
#include "echo/server/uring_connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A copy of bytes that could not be sent at once. */
struct rest {
	size_t len, sent;
	char bytes[];
};

struct connection {
	struct connection *next_hungry;
	struct rest *rest; /* being sent; NULL: it is receiving, or waits for a buffer to do so */
	int fd;
};

static struct counters *counters_of(const struct uring *u)
{
	return u->admission.worker->counters;
}

/* ---- requests ---- */

/* `is_waited_for`: nothing is there to be read yet, so the kernel need not try. */
static void receive(struct uring *u, struct connection *c, bool is_waited_for)
{
	struct io_uring_sqe *sqe = uring_request(u);

	io_uring_prep_recv(sqe, c->fd, NULL, BUFFER_BYTES, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = BUFFERS_GROUP;
	sqe->ioprio = is_waited_for ? IORING_RECVSEND_POLL_FIRST : 0;
	uring_label(sqe, OPERATION_RECEIVE, c);
}

static void send_rest(struct uring *u, struct connection *c)
{
	struct io_uring_sqe *sqe = uring_request(u);
	struct rest *r = c->rest;

	io_uring_prep_send(sqe, c->fd, r->bytes + r->sent, r->len - r->sent,
			   MSG_WAITALL | MSG_NOSIGNAL);
	sqe->ioprio = IORING_RECVSEND_POLL_FIRST; /* there was no room a moment ago */
	uring_label(sqe, OPERATION_SEND, c);
}

static void end(struct uring *u, struct connection *c, enum counter why)
{
	counters_add(counters_of(u), why, 1);
	close(c->fd);
	free(c->rest);
	free(c);
	admission_leave(&u->admission);
}

/* ---- what came ---- */

/* 0, or a positive errno. */
static int keep_rest(struct connection *c, const char *bytes, size_t len)
{
	c->rest = malloc(sizeof(*c->rest) + len);
	if (!c->rest)
		return ENOMEM;
	*c->rest = (struct rest){.len = len};
	memcpy(c->rest->bytes, bytes, len);
	return 0;
}

/* Sends what the socket takes and keeps the rest; 0, or a positive errno. */
static int echo(struct uring *u, struct connection *c, const char *bytes, size_t len)
{
	ssize_t n = send(c->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	size_t sent = n > 0 ? (size_t)n : 0;

	counters_add(counters_of(u), COUNTER_READS, 1);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return errno;
	counters_add(counters_of(u), COUNTER_BYTES, sent);
	if (sent == len)
		return 0;
	counters_add(counters_of(u), COUNTER_STALLED, 1);
	return keep_rest(c, bytes + sent, len - sent);
}

static void on_bytes(struct uring *u, struct connection *c, const struct io_uring_cqe *cqe)
{
	unsigned buffer = buffers_id(cqe);
	int err = echo(u, c, buffers_at(&u->buffers, buffer), (size_t)cqe->res);

	buffers_give(&u->buffers, buffer);
	if (err)
		end(u, c, counter_of_error(err));
	else if (c->rest)
		send_rest(u, c);
	else
		receive(u, c, !(cqe->flags & IORING_CQE_F_SOCK_NONEMPTY));
}

static void become_hungry(struct uring *u, struct connection *c)
{
	c->next_hungry = NULL;
	if (u->hungry_first)
		u->hungry_last->next_hungry = c;
	else
		u->hungry_first = c;
	u->hungry_last = c;
}

void connection_on_receive(struct uring *u, struct connection *c, const struct io_uring_cqe *cqe)
{
	if (cqe->res > 0) {
		on_bytes(u, c, cqe);
		return;
	}
	if (cqe->flags & IORING_CQE_F_BUFFER)
		buffers_give(&u->buffers, buffers_id(cqe));
	if (cqe->res == 0)
		end(u, c, COUNTER_ENDED);
	else if (cqe->res == -ENOBUFS)
		become_hungry(u, c);
	else if (cqe->res == -EINTR)
		receive(u, c, true);
	else
		end(u, c, counter_of_error(-cqe->res));
}

void connection_feed(struct uring *u)
{
	/* Between turns all buffers are the kernel's. */
	for (unsigned i = 0; i < BUFFERS_COUNT && u->hungry_first && uring_space(u) > 0; i++) {
		struct connection *c = u->hungry_first;

		u->hungry_first = c->next_hungry;
		receive(u, c, false);
	}
}

/* ---- what went ---- */

void connection_on_send(struct uring *u, struct connection *c, const struct io_uring_cqe *cqe)
{
	struct rest *r = c->rest;

	if (cqe->res < 0 && cqe->res != -EINTR) {
		end(u, c, counter_of_error(-cqe->res));
		return;
	}
	if (cqe->res > 0) {
		counters_add(counters_of(u), COUNTER_BYTES, (uint64_t)cqe->res);
		r->sent += (size_t)cqe->res;
	}
	if (r->sent < r->len) {
		send_rest(u, c); /* older kernels send a part in spite of MSG_WAITALL */
		return;
	}
	free(r);
	c->rest = NULL;
	receive(u, c, false);
}

void connection_begin_take(struct uring *u, int fd)
{
	struct connection *c = calloc(1, sizeof(*c));

	admission_enter(&u->admission);
	if (!c) {
		counters_add(counters_of(u), COUNTER_NO_MEMORY, 1);
		admission_abort(fd);
		admission_leave(&u->admission);
		return;
	}
	c->fd = fd;
	receive(u, c, true);
}
