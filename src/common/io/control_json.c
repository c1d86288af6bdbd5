/* JSON lines on the comm socket: {"op": "...", ...} becomes a request, the reply goes back as
 * one line. A line that is no request is answered too, and the connection goes on: where it
 * ends is known. */
#include "common/base/log.h"
#include "common/io/control_conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void send_line(struct control_conn *conn, const json_t *reply, bool then_end)
{
	char *out = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&out, &len);

	if (f) {
		json_dumpf(reply, f, JSON_COMPACT);
		fputc('\n', f);
		fclose(f);
	}
	control_conn_send(conn, out, len, then_end);
}

static void send_error(struct control_conn *conn, const char *why, bool then_end)
{
	json_t *reply = json_pack("{s:b, s:s, s:s}", "ok", 0, "code", "bad_request", "error", why);

	log_info("comm: %s, JSON dialect: %s", conn->peer, why);
	send_line(conn, reply, then_end);
	json_decref(reply);
}

static void json_refuse(struct control_conn *conn, const char *why)
{
	send_error(conn, why, true);
}

static void take_line(struct control_conn *conn, const char *line, size_t len)
{
	json_error_t error;
	json_t *args = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
	const char *op = json_string_value(json_object_get(args, "op"));
	char why[128];

	control_conn_consume(conn, len);
	if (op) {
		control_conn_ask(conn, op, args);
		return;
	}
	/* jansson's own words may quote bytes that are not UTF-8; the place says enough. */
	if (args)
		snprintf(why, sizeof(why), "expected an object with a string \"op\"");
	else
		snprintf(why, sizeof(why),
			 "not JSON after %d bytes of the line, expected one object",
			 error.position);
	json_decref(args);
	send_error(conn, why, false);
}

/* The length of the line at the front with its end, or 0 when it is not there whole. */
static size_t line_len(const struct control_conn *conn)
{
	const char *in = control_conn_in(conn);
	size_t len = control_conn_in_len(conn);
	const char *end = memchr(in + conn->scanned, '\n', len - conn->scanned);

	if (end)
		return (size_t)(end - in) + 1;
	return conn->has_eof ? len : 0;
}

static bool is_blank(const char *line, size_t len)
{
	while (len > 0 && strchr(" \t\r\n", line[len - 1]) && line[len - 1])
		len--;
	return len == 0;
}

static void json_take(struct control_conn *conn)
{
	size_t len = line_len(conn);

	while (len > 0 && is_blank(control_conn_in(conn), len)) {
		control_conn_consume(conn, len);
		len = line_len(conn);
	}
	if (len > 0)
		take_line(conn, control_conn_in(conn), len);
	else
		conn->scanned = control_conn_in_len(conn);
}

static void json_answer(struct control_conn *conn, json_t *reply)
{
	send_line(conn, reply, false);
}

const struct control_dialect control_json = {
	.may_rest = true,
	.take = json_take,
	.answer = json_answer,
	.refuse = json_refuse,
};
