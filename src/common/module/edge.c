/* Clients and servers: sockets on the outer side of sessions. */
#include "common/module/edge.h"

#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/log.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

/* Buffers in one write: 30 frames that came in halves. */
#define EDGE_IOV_MAX 64

/* ---- closing ---- */

static void on_conn_closed(struct conn *c)
{
	free(c->user);
}

static void edge_free(struct edge *edge)
{
	deferred_cancel(&edge->deliver);
	list_remove(&edge->node);
	if (edge->dialer)
		dialer_cancel(edge->dialer);
	if (edge->is_open)
		conn_close(&edge->conn);
	else
		free(edge);
}

/* Everything that was written has left for the peer, who may read it before the reset. */
static bool is_all_sent(const struct edge *edge)
{
	int queued = 0;

	return ioctl(edge->conn.fd, SIOCOUTQ, &queued) < 0 || queued == 0;
}

static void edge_close_when_sent(struct edge *edge)
{
	struct worker *w = edge->end->worker;

	if (worker_now(w) >= edge->close_us || is_all_sent(edge))
		edge_free(edge);
}

void edge_look_at_closing(struct end *e)
{
	list_for_each_safe(node, &e->closing)
		edge_close_when_sent(container_of(node, struct edge, node));
}

void edge_abort_all(struct end *e)
{
	list_for_each_safe(node, &e->closing)
		edge_free(container_of(node, struct edge, node));
}

void edge_ended(struct session *s, uint32_t code, const char *reason)
{
	struct edge *edge = s->user;
	struct end *e = edge->end;

	edge->session = NULL;
	if (code == RESET_FINISHED) {
		conn_set_abortive(&edge->conn, false);
		edge_free(edge);
		return;
	}
	log_info("session %llu of %s is reset: %s (%s)", (unsigned long long)s->id, edge->peer,
		 reason, reset_code_name(code));
	if (!edge->is_open || reset_code_is_immediate(code)) {
		edge_free(edge);
		return;
	}
	deferred_cancel(&edge->deliver);
	conn_want_read(&edge->conn, false);
	edge->close_us = worker_now(e->worker) + e->conf->reset_wait_ms * US_PER_MS;
	list_remove(&edge->node);
	list_push_back(&e->closing, &edge->node);
	edge_close_when_sent(edge);
	end_wake(e);
}

/* Our side gives up: the socket failed. */
static void edge_fail(struct edge *edge, enum reset_code code, const char *why)
{
	struct session *s = edge->session;
	struct end *e = edge->end;

	log_info("session %llu of %s: %s", (unsigned long long)s->id, edge->peer, why);
	edge->session = NULL;
	session_reset(s, code, why, worker_now(e->worker));
	edge_free(edge);
	end_wake(e);
}

/* ---- from the tunnel to the socket ---- */

/* The peer takes no more. What it said before that is still read, and passed on. */
static void on_sink_error(struct edge *edge, int err)
{
	edge->sink_error = err;
	if (edge->session->source == SESSION_SOURCE_ENDED) {
		edge_fail(edge, RESET_BY_PEER, "reset while we wrote");
		return;
	}
	session_source_ready(edge->session);
	end_wake(edge->end);
}

/* False when the socket takes no more now. */
static bool write_once(struct edge *edge)
{
	struct iovec iov[EDGE_IOV_MAX];
	int count = session_peek(edge->session, iov, EDGE_IOV_MAX);
	size_t size = 0;
	ssize_t n;

	if (count == 0)
		return false;
	for (int i = 0; i < count; i++)
		size += iov[i].iov_len;
	n = conn_writev(&edge->conn, iov, count);
	if (n >= 0)
		session_consume(edge->session, (uint64_t)n, worker_now(edge->end->worker));
	if (n == (ssize_t)size)
		return true;
	if (n >= 0 || n == -EAGAIN) {
		edge->is_sink_full = true;
		conn_want_write(&edge->conn);
	} else {
		on_sink_error(edge, (int)n);
	}
	return false;
}

static void run_deliver(struct deferred *d)
{
	struct edge *edge = container_of(d, struct edge, deliver);
	struct end *e = edge->end;
	struct session *s = edge->session;

	if (!s || !edge->is_open || edge->is_sink_full)
		return;
	end_wake(e);
	if (edge->sink_error) {
		if (s->source == SESSION_SOURCE_ENDED)
			edge_fail(edge, RESET_BY_PEER, "reset while we wrote");
		return;
	}
	while (write_once(edge))
		;
	if (edge->session && !edge->sink_error && session_is_at_end(s)) {
		conn_shutdown(&edge->conn);
		session_end_delivered(s);
	}
}

void edge_deliverable(struct session *s)
{
	struct edge *edge = s->user;

	worker_defer(edge->end->worker, TURN_DELIVER, &edge->deliver);
}

static void on_writable(struct conn *c)
{
	struct edge *edge = c->user;

	edge->is_sink_full = false;
	worker_defer(edge->end->worker, TURN_DELIVER, &edge->deliver);
}

/* ---- from the socket to the tunnel ---- */

/* The tunnel takes bytes when it has room for them; until then the loop does not ask. */
static void on_readable(struct conn *c)
{
	struct edge *edge = c->user;

	if (!edge->session || edge->session->source != SESSION_SOURCE_IDLE) {
		conn_want_read(c, false);
		return;
	}
	session_source_ready(edge->session);
	end_wake(edge->end);
}

/* Nobody reads now, because the other end takes no more. */
static void on_lost(struct conn *c)
{
	struct edge *edge = c->user;

	if (edge->session)
		session_source_lost(edge->session, worker_now(edge->end->worker));
	end_wake(edge->end);
}

ssize_t edge_pull(struct session *s, uint8_t *buf, size_t size)
{
	struct edge *edge = s->user;
	ssize_t n = conn_read(&edge->conn, buf, size);

	/* The writer has taken the socket's error; the end behind it is not a clean one. */
	if (n == 0 && edge->sink_error && edge->sink_error != -EPIPE)
		n = -ECONNRESET;
	if (n > 0 || n == -EAGAIN) {
		if (n < (ssize_t)size)
			conn_want_read(&edge->conn, true);
		return n;
	}
	if (n == 0) {
		conn_want_read(&edge->conn, false);
		if (edge->sink_error)
			worker_defer(edge->end->worker, TURN_DELIVER, &edge->deliver);
		return 0;
	}
	log_info("session %llu of %s: %s", (unsigned long long)s->id, edge->peer,
		 strerror((int)-n));
	edge->session = NULL;
	edge_free(edge);
	return n;
}

static const struct conn_ops conn_ops = {
	.readable = on_readable,
	.writable = on_writable,
	.closed = on_conn_closed,
	.lost = on_lost,
};

/* ---- beginning ---- */

static struct edge *edge_new(struct end *e)
{
	struct edge *edge = calloc(1, sizeof(*edge));

	if (!edge)
		abort();
	edge->end = e;
	list_push_back(&e->edges, &edge->node);
	deferred_init(&edge->deliver, run_deliver);
	return edge;
}

static bool edge_open_take(struct edge *edge, int fd)
{
	if (conn_open_take(&edge->conn, edge->end->worker, fd, &conn_ops, edge) < 0)
		return false;
	edge->is_open = true;
	conn_set_abortive(&edge->conn, true);
	return true;
}

static void address_from_sockaddr(const struct sockaddr_storage *from, struct address *ret)
{
	*ret = (struct address){.kind = ADDRESS_NONE};
	if (from->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)from;

		ret->kind = ADDRESS_IPV4;
		ret->port = ntohs(in->sin_port);
		memcpy(ret->ip, &in->sin_addr, 4);
	} else if (from->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from;

		ret->kind = ADDRESS_IPV6;
		ret->port = ntohs(in6->sin6_port);
		memcpy(ret->ip, &in6->sin6_addr, 16);
	}
}

bool edge_accept_take(struct end *e, int fd, const struct sockaddr_storage *from)
{
	struct edge *edge = edge_new(e);
	struct open_info info = {.target = {.kind = ADDRESS_NONE}};

	sockaddr_text(from, edge->peer);
	address_from_sockaddr(from, &info.client);
	if (!edge_open_take(edge, fd)) {
		edge_free(edge);
		return false;
	}
	edge->session = tunnel_open(e->tunnel, &info, edge, worker_now(e->worker));
	if (!edge->session) {
		e->tunnel->counters.refused++;
		edge_free(edge);
		return false;
	}
	conn_want_read(&edge->conn, true);
	end_wake(e);
	return true;
}

static void on_connected(void *user, int fd, int err, const char *why)
{
	struct edge *edge = user;

	edge->dialer = NULL;
	if (edge->on_result)
		edge->on_result(edge->result_user, err, why);
	if (fd < 0) {
		edge_fail(edge, RESET_REFUSED, why);
		return;
	}
	if (!edge_open_take(edge, fd)) {
		edge_fail(edge, RESET_REFUSED, "cannot watch the server's socket");
		return;
	}
	conn_want_read(&edge->conn, true);
	worker_defer(edge->end->worker, TURN_DELIVER, &edge->deliver);
}

void edge_connect(struct end *e, struct session *s, const char *host, uint16_t port,
		  edge_result *on_result, void *user)
{
	struct edge *edge = edge_new(e);

	edge->session = s;
	edge->on_result = on_result;
	edge->result_user = user;
	s->user = edge;
	hostport_text(host, port, edge->peer);
	edge->dialer = dialer_start(e->worker, host, port, CONNECT_WAIT_MS, on_connected, edge);
}
