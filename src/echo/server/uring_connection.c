/* What was read is sent from the buffer that the kernel put it in, without waiting, and the next
 * receive request goes along in the same system call. A send that does not wait is over when that
 * call returns, so buffers come back at once whatever clients do. What the kernel did not take is
 * copied and sent by a request that waits; what comes meanwhile, one buffer at the most, is copied,
 * too, and then the client is not read any more until both are gone. */
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
	struct rest *rest;  /* being sent; NULL: a buffer is, or nothing */
	struct rest *later; /* to be sent behind it */
	int fd;
	unsigned buffer, len; /* of it, while it is being sent */
	bool is_receiving;    /* or waits for a buffer to do so */
	bool is_sending;
	bool has_ended; /* the client's side: what it sent is still sent back */
	bool is_over;	/* by an error, which was counted */
};

static struct counters *counters_of(const struct uring *u)
{
	return u->gate.worker->counters;
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
	c->is_receiving = true;
}

static void send_buffer(struct uring *u, struct connection *c, unsigned buffer, unsigned len)
{
	struct io_uring_sqe *sqe = uring_request(u);

	io_uring_prep_send(sqe, c->fd, buffers_at(&u->buffers, buffer), len,
			   MSG_DONTWAIT | MSG_NOSIGNAL);
	uring_label(sqe, OPERATION_SEND, c);
	c->buffer = buffer;
	c->len = len;
	c->is_sending = true;
}

static void send_rest(struct uring *u, struct connection *c)
{
	struct io_uring_sqe *sqe = uring_request(u);
	struct rest *r = c->rest;

	io_uring_prep_send(sqe, c->fd, r->bytes + r->sent, r->len - r->sent,
			   MSG_WAITALL | MSG_NOSIGNAL);
	uring_label(sqe, OPERATION_SEND, c);
	c->is_sending = true;
}

/* ---- the end ---- */

static void fail(struct uring *u, struct connection *c, int err)
{
	if (c->is_over)
		return;
	c->is_over = true;
	counters_add(counters_of(u), counter_of_error(err), 1);
	shutdown(c->fd, SHUT_RDWR); /* so that the other request ends, too */
}

static void close_connection(struct uring *u, struct connection *c)
{
	if (!c->is_over)
		counters_add(counters_of(u), COUNTER_ENDED, 1);
	close(c->fd);
	free(c->rest);
	free(c->later);
	free(c);
	gate_leave(&u->gate, 1);
}

/* After each completion: what is to be done next, or the end. */
static void go_on(struct uring *u, struct connection *c, bool is_waited_for)
{
	if (c->is_sending)
		return;
	if (!c->is_over && !c->rest) {
		c->rest = c->later;
		c->later = NULL;
	}
	if (!c->is_over && c->rest)
		send_rest(u, c);
	else if (c->is_receiving)
		return;
	else if (c->is_over || c->has_ended)
		close_connection(u, c);
	else
		receive(u, c, is_waited_for);
}

/* ---- what came ---- */

static void keep(struct uring *u, struct connection *c, struct rest **ret, const char *bytes,
		 size_t len)
{
	struct rest *r = malloc(sizeof(*r) + len);

	if (!r) {
		fail(u, c, ENOMEM);
		return;
	}
	*r = (struct rest){.len = len};
	memcpy(r->bytes, bytes, len);
	*ret = r;
}

static void on_bytes(struct uring *u, struct connection *c, const struct io_uring_cqe *cqe)
{
	unsigned buffer = buffers_take(&u->buffers, cqe);
	unsigned len = (unsigned)cqe->res;

	counters_add(counters_of(u), COUNTER_READS, 1);
	if (!c->is_sending && !c->is_over) {
		send_buffer(u, c, buffer, len);
		receive(u, c, !(cqe->flags & IORING_CQE_F_SOCK_NONEMPTY));
		return;
	}
	if (!c->is_over)
		keep(u, c, &c->later, buffers_at(&u->buffers, buffer), len);
	buffers_give(&u->buffers, buffer);
}

static void become_hungry(struct uring *u, struct connection *c)
{
	c->is_receiving = true;
	c->next_hungry = NULL;
	if (u->hungry_first)
		u->hungry_last->next_hungry = c;
	else
		u->hungry_first = c;
	u->hungry_last = c;
}

void connection_on_receive(struct uring *u, struct connection *c, const struct io_uring_cqe *cqe)
{
	c->is_receiving = false;
	if (cqe->res > 0) {
		on_bytes(u, c, cqe);
		if (c->is_receiving)
			return; /* the usual way */
	} else {
		if (cqe->flags & IORING_CQE_F_BUFFER)
			buffers_give(&u->buffers, buffers_take(&u->buffers, cqe));
		if (cqe->res == 0)
			c->has_ended = true;
		else if (cqe->res == -ENOBUFS && !c->is_over)
			become_hungry(u, c);
		else if (cqe->res != -EINTR)
			fail(u, c, -cqe->res);
	}
	go_on(u, c, true);
}

void connection_feed(struct uring *u)
{
	unsigned count = BUFFERS_COUNT - u->buffers.used;

	for (; count > 0 && u->hungry_first && uring_space(u) > 0; count--) {
		struct connection *c = u->hungry_first;

		u->hungry_first = c->next_hungry;
		c->is_receiving = false;
		go_on(u, c, false);
	}
}

/* ---- what went ---- */

/* Of a buffer, which is free afterwards. */
static void on_buffer_sent(struct uring *u, struct connection *c, int res)
{
	unsigned sent = res > 0 ? (unsigned)res : 0;

	counters_add(counters_of(u), COUNTER_BYTES, sent);
	if (res < 0 && res != -EAGAIN && res != -EINTR) {
		fail(u, c, -res);
	} else if (sent < c->len && !c->is_over) {
		counters_add(counters_of(u), COUNTER_STALLED, 1);
		keep(u, c, &c->rest, buffers_at(&u->buffers, c->buffer) + sent, c->len - sent);
	}
	buffers_give(&u->buffers, c->buffer);
}

static void on_rest_sent(struct uring *u, struct connection *c, int res)
{
	struct rest *r = c->rest;

	if (res < 0 && res != -EINTR) {
		fail(u, c, -res);
		return;
	}
	if (res > 0) {
		counters_add(counters_of(u), COUNTER_BYTES, (uint64_t)res);
		r->sent += (size_t)res;
	}
	if (r->sent < r->len)
		return; /* older kernels send a part in spite of MSG_WAITALL */
	free(r);
	c->rest = NULL;
}

void connection_on_send(struct uring *u, struct connection *c, const struct io_uring_cqe *cqe)
{
	c->is_sending = false;
	if (c->rest)
		on_rest_sent(u, c, cqe->res);
	else
		on_buffer_sent(u, c, cqe->res);
	go_on(u, c, true);
}

void connection_begin_take(struct uring *u, int fd)
{
	struct connection *c = calloc(1, sizeof(*c));

	gate_enter(&u->gate);
	if (!c) {
		counters_add(counters_of(u), COUNTER_NO_MEMORY, 1);
		gate_abort(fd);
		gate_leave(&u->gate, 1);
		return;
	}
	c->fd = fd;
	receive(u, c, true);
}
