/* The comm socket's listener, and the daemon's side of a request: see control.h. Connections
 * live in control_conn.c; all are closed before the listener is forgotten. */
#include "common/io/control.h"

#include "common/base/fail.h"
#include "common/base/log.h"
#include "common/io/control_conn.h"
#include "common/io/listener.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 64

/* ---- requests ---- */

const char *control_op(const struct control_request *req)
{
	return req->op;
}

const json_t *control_args(const struct control_request *req)
{
	return req->args;
}

static void reply_take(struct control_request *req, json_t *reply)
{
	struct control_conn *conn = container_of(req, struct control_conn, request);

	json_decref(req->args);
	*req = (struct control_request){0};
	assert(conn->state == CONTROL_CONN_ASKED || conn->state == CONTROL_CONN_CLOSING);
	if (conn->state == CONTROL_CONN_ASKED)
		conn->dialect->answer(conn, reply);
	json_decref(reply);
}

void control_reply_ok(struct control_request *req, json_t *body_take)
{
	json_t *reply = json_pack("{s:b}", "ok", 1);

	if (body_take)
		json_object_update_missing(reply, body_take);
	json_decref(body_take);
	reply_take(req, reply);
}

/* JSON is UTF-8: text that quotes the caller's bytes, or cuts a character, is made ASCII. */
static json_t *text_to_json(char *text)
{
	json_t *s = json_string(text);

	if (s)
		return s;
	for (char *at = text; *at; at++)
		if ((unsigned char)*at >= 0x80)
			*at = '?';
	return json_string(text);
}

void control_reply_error(struct control_request *req, const char *code, const char *fmt, ...)
{
	char *text;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (len < 0)
		abort();
	reply_take(req, json_pack("{s:b, s:s, s:o}", "ok", 0, "code", code, "error",
				  text_to_json(text)));
	free(text);
}

/* ---- the listener ---- */

static void on_connection(uv_stream_t *listener, int status)
{
	if (status < 0)
		log_warn("comm: cannot accept a connection: %s", uv_strerror(status));
	else
		control_conn_accept(listener->data);
}

static struct control *control_new(uv_loop_t *loop, const struct control_transport *transport,
				   control_handle *handle, void *user)
{
	struct control *c = calloc(1, sizeof(*c));

	if (!c)
		abort();
	c->transport = transport;
	c->handle = handle;
	c->user = user;
	c->wait_ms = CONTROL_WAIT_MS;
	list_init(&c->conns);
	transport->init(loop, &c->listener);
	uv_timer_init(loop, &c->deadline);
	c->listener.handle.data = c->deadline.data = c;
	c->parts = 2;
	return c;
}

/* Accepts from `fd_take`, which is bound; on failure `c` is closed. */
static int control_listen(struct control *c, int fd_take)
{
	int err = c->transport->open(&c->listener, fd_take);

	if (err)
		close(fd_take);
	else
		err = uv_listen(&c->listener.stream, BACKLOG, on_connection);
	if (err)
		control_close(c, NULL, NULL);
	return err;
}

int control_open(uv_loop_t *loop, const char *host, uint16_t port, control_handle *handle,
		 void *user, struct control **ret, char ret_why[256])
{
	struct control *c;
	char why[256];
	int fd;
	int err = listener_bind(host, port, &fd, why);

	if (err) {
		snprintf(ret_why, 256, "comm socket: %.240s", why);
		return err;
	}
	c = control_new(loop, &control_tcp, handle, user);
	err = control_listen(c, fd);
	if (err) {
		snprintf(ret_why, 256, "comm socket: cannot accept on %.128s port %u: %s", host,
			 port, uv_strerror(err));
		return err;
	}
	*ret = c;
	return 0;
}

int control_open_unix(uv_loop_t *loop, const char *path, control_handle *handle, void *user,
		      struct control **ret, char ret_why[WHY_BYTES_MAX])
{
	struct control_file file;
	struct control *c;
	int fd;
	int err = control_unix_bind(path, &fd, &file, ret_why);

	if (err)
		return err;
	c = control_new(loop, &control_unix, handle, user);
	c->file = file;
	err = control_listen(c, fd);
	if (err) {
		fail_why(ret_why, "control socket %s: cannot accept: %s", path, uv_strerror(err));
		return err;
	}
	*ret = c;
	return 0;
}

void control_own_metrics(struct control *c)
{
	c->has_own_metrics = true;
}

/* ---- TCP ---- */

static void tcp_init(uv_loop_t *loop, union control_socket *ret)
{
	uv_tcp_init(loop, &ret->tcp);
}

static int tcp_open(union control_socket *s, int fd)
{
	return uv_tcp_open(&s->tcp, fd);
}

/* Whoever reaches the address. */
static bool tcp_admit(struct control_conn *conn)
{
	struct sockaddr_storage sa = {0};
	int len = sizeof(sa);

	uv_tcp_getpeername(&conn->socket.tcp, (struct sockaddr *)&sa, &len);
	sockaddr_text(&sa, conn->peer);
	return true;
}

static void tcp_remove(struct control *c)
{
	(void)c;
}

const struct control_transport control_tcp = {
	.speaks_bytes = true,
	.init = tcp_init,
	.open = tcp_open,
	.admit = tcp_admit,
	.remove = tcp_remove,
};

uint16_t control_port(const struct control *c)
{
	struct sockaddr_storage sa = {0};
	int len = sizeof(sa);

	uv_tcp_getsockname(&c->listener.tcp, (struct sockaddr *)&sa, &len);
	if (sa.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&sa)->sin6_port);
	return ntohs(((struct sockaddr_in *)&sa)->sin_port);
}

/* ---- the end ---- */

void control_part_gone(struct control *c)
{
	if (--c->parts > 0)
		return;
	if (c->on_closed)
		c->on_closed(c->closed_user);
	free(c);
}

static void on_handle_closed(uv_handle_t *handle)
{
	control_part_gone(handle->data);
}

void control_settle(struct control *c)
{
	if (c->is_closing && list_is_empty(&c->conns) &&
	    !uv_is_closing((uv_handle_t *)&c->deadline))
		uv_close((uv_handle_t *)&c->deadline, on_handle_closed);
}

static void on_deadline(uv_timer_t *timer)
{
	struct control *c = timer->data;

	list_for_each_safe(node, &c->conns)
		control_conn_close(container_of(node, struct control_conn, node), NULL);
}

void control_close(struct control *c, void (*on_closed)(void *user), void *user)
{
	c->is_closing = true;
	c->on_closed = on_closed;
	c->closed_user = user;
	uv_close(&c->listener.handle, on_handle_closed);
	c->transport->remove(c);
	list_for_each_safe(node, &c->conns) {
		struct control_conn *conn = container_of(node, struct control_conn, node);

		if (conn->state == CONTROL_CONN_READING || conn->state == CONTROL_CONN_LINGERING)
			control_conn_close(conn, NULL);
	}
	uv_timer_start(&c->deadline, on_deadline, CONTROL_CLOSE_MS, 0);
	control_settle(c);
}
