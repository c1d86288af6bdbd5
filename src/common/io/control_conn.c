/* One connection of the comm socket: see control_conn.h. It reads only while no request is
 * under way, so that a caller who does not wait for answers fills the kernel's buffers and not
 * ours; and every state but ASKED has a time limit. */
#include "common/io/control_conn.h"

#include "common/base/log.h"

#include <stdlib.h>
#include <string.h>

static void on_timer(uv_timer_t *timer);
static void read_on(struct control_conn *conn);

static void start_timer(struct control_conn *conn, uint64_t ms)
{
	uv_timer_start(&conn->timer, on_timer, ms, 0);
}

/* ---- the end ---- */

static void on_handle_closed(uv_handle_t *handle)
{
	struct control_conn *conn = handle->data;
	struct control *c = conn->control;

	if (--conn->handles_open > 0)
		return;
	json_decref(conn->request.args);
	json_decref(conn->http.stats);
	free(conn->out);
	free(conn);
	control_part_gone(c);
}

void control_conn_close(struct control_conn *conn, const char *why)
{
	if (conn->state == CONTROL_CONN_CLOSING)
		return;
	if (why)
		log_info("comm: closed %s: %s", conn->peer, why);
	conn->state = CONTROL_CONN_CLOSING;
	list_remove(&conn->node);
	conn->control->conn_count--;
	uv_close(&conn->socket.handle, on_handle_closed);
	uv_close((uv_handle_t *)&conn->timer, on_handle_closed);
	control_settle(conn->control);
}

static void on_shutdown(uv_shutdown_t *shutdown, int status)
{
	struct control_conn *conn = container_of(shutdown, struct control_conn, shutdown);

	if (status < 0)
		control_conn_close(conn, NULL);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
	struct control_conn *conn = handle->data;

	(void)suggested;
	*ret = uv_buf_init(conn->in + conn->in_end, (unsigned)(sizeof(conn->in) - conn->in_end));
}

static void on_dropped(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
	(void)buf;
	if (len < 0)
		control_conn_close(stream->data, NULL);
}

void control_conn_end(struct control_conn *conn)
{
	if (conn->has_eof || conn->control->is_closing) {
		control_conn_close(conn, NULL);
		return;
	}
	conn->state = CONTROL_CONN_LINGERING;
	conn->in_start = conn->in_end = 0;
	start_timer(conn, CONTROL_LINGER_MS);
	if (uv_shutdown(&conn->shutdown, &conn->socket.stream, on_shutdown) ||
	    uv_read_start(&conn->socket.stream, on_alloc, on_dropped))
		control_conn_close(conn, NULL);
}

static void on_timer(uv_timer_t *timer)
{
	struct control_conn *conn = timer->data;

	switch (conn->state) {
	case CONTROL_CONN_READING:
		if (!conn->is_late_timed)
			control_conn_close(conn, conn->dialect ? NULL : "it said nothing");
		else
			conn->dialect->refuse(conn, "the request did not end in time");
		return;
	case CONTROL_CONN_WRITING:
		control_conn_close(conn, "it does not read its answer");
		return;
	case CONTROL_CONN_LINGERING:
		control_conn_close(conn, NULL);
		return;
	case CONTROL_CONN_ASKED: /* no timer runs */
	case CONTROL_CONN_CLOSING:
		return;
	}
}

/* ---- asking and answering ---- */

static void stop_reading(struct control_conn *conn)
{
	uv_read_stop(&conn->socket.stream);
	uv_timer_stop(&conn->timer);
	conn->is_late_timed = false;
}

void control_conn_ask(struct control_conn *conn, const char *op, json_t *args_take)
{
	struct control *c = conn->control;

	stop_reading(conn);
	conn->state = CONTROL_CONN_ASKED;
	conn->request = (struct control_request){.op = op, .args = args_take};
	c->handle(c->user, &conn->request);
}

static void on_written(uv_write_t *write, int status)
{
	struct control_conn *conn = container_of(write, struct control_conn, write);

	free(conn->out);
	conn->out = NULL;
	if (conn->state == CONTROL_CONN_CLOSING)
		return;
	if (status < 0) {
		control_conn_close(conn, "it was gone before its answer");
	} else if (conn->ends_after_write || conn->control->is_closing) {
		control_conn_end(conn);
	} else {
		conn->state = CONTROL_CONN_READING;
		read_on(conn);
	}
}

void control_conn_send(struct control_conn *conn, char *out_take, size_t len, bool then_end)
{
	const uv_buf_t buf = uv_buf_init(out_take, (unsigned)len);

	if (!out_take) {
		control_conn_close(conn, "no memory for the answer");
		return;
	}
	stop_reading(conn);
	conn->state = CONTROL_CONN_WRITING;
	conn->out = out_take;
	conn->ends_after_write = then_end;
	start_timer(conn, conn->control->wait_ms);
	if (uv_write(&conn->write, &conn->socket.stream, &buf, 1, on_written))
		control_conn_close(conn, "it was gone before its answer");
}

/* ---- reading ---- */

void control_conn_consume(struct control_conn *conn, size_t len)
{
	conn->in_start += len;
	conn->scanned = 0;
}

static const struct control_dialect *dialect_of(char first)
{
	if (first >= '1' && first <= '5')
		return &control_byte;
	if (first == '{')
		return &control_json;
	if (first >= 'A' && first <= 'Z') /* of GET, and of methods that deserve a 405 */
		return &control_http;
	return NULL;
}

/* Leaves the state READING when it is none that is spoken here. */
static void choose_dialect(struct control_conn *conn)
{
	const char first = *control_conn_in(conn);

	conn->dialect = dialect_of(first);
	if (conn->dialect == &control_byte && !conn->control->transport->speaks_bytes) {
		conn->dialect = &control_json;
		conn->dialect->refuse(conn, "one-byte commands are not taken at this socket, "
					    "expected an object with a string \"op\"");
		return;
	}
	if (conn->dialect)
		return;
	control_conn_close(conn,
			   first == 0x16
				   ? "it speaks TLS, which is not set up"
				   : "its first byte is of no dialect (one-byte, JSON, HTTP)");
}

/* Makes the whole buffer ready for what belongs to one request. */
static void move_to_front(struct control_conn *conn)
{
	size_t len = control_conn_in_len(conn);

	if (conn->in_start == 0)
		return;
	memmove(conn->in, control_conn_in(conn), len);
	conn->in_start = 0;
	conn->in_end = len;
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
	struct control_conn *conn = stream->data;

	(void)buf;
	if (len == 0)
		return;
	if (len < 0 && len != UV_EOF) {
		control_conn_close(conn, uv_strerror((int)len));
		return;
	}
	if (len == UV_EOF)
		conn->has_eof = true;
	else
		conn->in_end += (size_t)len;
	read_on(conn);
}

/* There is no whole request: waits for more of it, at the start of one for as long as the
 * dialect may rest, then for wait_ms in all, however the bytes drip in. */
static void await_input(struct control_conn *conn)
{
	struct control *c = conn->control;
	bool is_resting = control_conn_in_len(conn) == 0;

	move_to_front(conn);
	if (is_resting)
		start_timer(conn, conn->dialect && conn->dialect->may_rest ? CONTROL_IDLE_MS
									   : c->wait_ms);
	else if (!conn->is_late_timed)
		start_timer(conn, c->wait_ms);
	conn->is_late_timed = !is_resting;
	list_remove(&conn->node);
	list_push_back(&c->conns, &conn->node);
	uv_read_start(&conn->socket.stream, on_alloc, on_read);
}

static void read_on(struct control_conn *conn)
{
	if (!conn->dialect && control_conn_in_len(conn) > 0)
		choose_dialect(conn);
	if (conn->dialect && conn->state == CONTROL_CONN_READING)
		conn->dialect->take(conn);
	if (conn->state != CONTROL_CONN_READING)
		return;
	if (conn->has_eof)
		control_conn_close(conn, control_conn_in_len(conn) > 0
						 ? "it ended in the middle of a request"
						 : NULL);
	else if (conn->dialect && control_conn_in_len(conn) == sizeof(conn->in))
		conn->dialect->refuse(conn, "the request is too long");
	else
		await_input(conn);
}

/* ---- accepting ---- */

/* One too many: who waits for an answer keeps its place, who rests for the longest loses it. So
 * an operator gets in, whoever holds connections open. */
static void make_room(struct control *c)
{
	if (c->conn_count <= CONTROL_CONNECTIONS_MAX)
		return;
	list_for_each(node, &c->conns) {
		struct control_conn *conn = container_of(node, struct control_conn, node);

		if (conn->state == CONTROL_CONN_READING || conn->state == CONTROL_CONN_LINGERING) {
			control_conn_close(conn, "too many connections");
			return;
		}
	}
}

void control_conn_accept(struct control *c)
{
	struct control_conn *conn = calloc(1, sizeof(*conn));

	if (!conn)
		abort(); /* a process that cannot get 64 KiB is lost */
	conn->control = c;
	c->transport->init(c->deadline.loop, &conn->socket);
	uv_timer_init(c->deadline.loop, &conn->timer);
	conn->socket.handle.data = conn->timer.data = conn;
	conn->handles_open = 2;
	list_push_back(&c->conns, &conn->node);
	c->conn_count++;
	c->parts++;
	if (uv_accept(&c->listener.stream, &conn->socket.stream)) {
		control_conn_close(conn, "cannot be accepted");
		return;
	}
	if (!c->transport->admit(conn)) {
		control_conn_close(conn, NULL);
		return;
	}
	await_input(conn);
	make_room(c);
}
