/* HTTP on the comm socket: see control_http.h. The parser is fed where the bytes lie, and starts
 * anew with every request; a request is answered with what the daemon says to `stats` or
 * `health_check`. */
#include "common/io/control_http.h"

#include "common/base/log.h"
#include "common/io/control_conn.h"
#include "common/io/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT "text/plain; charset=utf-8"
#define JSON "application/json"

struct control_http_target {
	const char *path;
	const char *op; /* what the daemon is asked first */
	void (*answer)(struct control_conn *conn, json_t *reply);
};

/* ---- answers ---- */

struct answer {
	int status;
	const char *reason;
	const char *content_type;
	const char *body;
	size_t body_len;
};

static void send_answer(struct control_conn *conn, const struct answer *a)
{
	char *out = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&out, &len);

	if (f) {
		fprintf(f,
			"HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
			"Connection: %s\r\n%s\r\n",
			a->status, a->reason, a->content_type, a->body_len,
			conn->http.keeps_alive ? "keep-alive" : "close",
			a->status == HTTP_STATUS_METHOD_NOT_ALLOWED ? "Allow: GET, HEAD\r\n" : "");
		if (!conn->http.is_head)
			fwrite(a->body, 1, a->body_len, f);
		fclose(f);
	}
	control_conn_send(conn, out, len, !conn->http.keeps_alive);
}

static void send_text(struct control_conn *conn, enum http_status status, const char *text)
{
	char body[256];
	struct answer a = {.status = (int)status, .content_type = TEXT, .body = body};

	a.reason = http_status_str(status);
	snprintf(body, sizeof(body), "%s\n", text);
	a.body_len = strlen(body);
	send_answer(conn, &a);
}

static void send_json(struct control_conn *conn, bool is_ok, const json_t *json)
{
	struct answer a = {.status = is_ok ? HTTP_STATUS_OK : HTTP_STATUS_SERVICE_UNAVAILABLE,
			   .content_type = JSON};
	char *body = NULL;
	FILE *f = open_memstream(&body, &a.body_len);

	if (!f) {
		control_conn_close(conn, "no memory for the answer");
		return;
	}
	json_dumpf(json, f, JSON_COMPACT);
	fputc('\n', f);
	fclose(f);
	a.reason = http_status_str((enum http_status)a.status);
	a.body = body;
	send_answer(conn, &a);
	free(body);
}

static bool is_true(json_t *reply, const char *key)
{
	return json_is_true(json_object_get(reply, key));
}

/* Those that the daemon itself has made of what it counts. */
static void answer_own_metrics(struct control_conn *conn, json_t *reply)
{
	json_t *text = json_object_get(reply, "text");
	struct answer a = {.status = HTTP_STATUS_OK,
			   .reason = "OK",
			   .content_type = METRICS_CONTENT_TYPE,
			   .body = json_string_value(text),
			   .body_len = json_string_length(text)};

	if (is_true(reply, "ok") && a.body)
		send_answer(conn, &a);
	else
		send_json(conn, false, reply);
}

static void send_metrics(struct control_conn *conn, const json_t *stats, const json_t *health)
{
	struct answer a = {.status = HTTP_STATUS_OK,
			   .reason = "OK",
			   .content_type = METRICS_CONTENT_TYPE};
	char *body = NULL;
	FILE *f = open_memstream(&body, &a.body_len);

	if (!f) {
		control_conn_close(conn, "no memory for the answer");
		return;
	}
	metrics_print(f, stats, health);
	fclose(f);
	a.body = body;
	send_answer(conn, &a);
	free(body);
}

static void answer_healthz(struct control_conn *conn, json_t *reply)
{
	send_json(conn, is_true(reply, "live"), reply);
}

/* Two questions in a row: the stats, kept, and then the health. True: the first is answered. */
static bool asks_health(struct control_conn *conn, json_t *reply)
{
	if (conn->http.stats)
		return false;
	conn->http.stats = json_incref(reply);
	control_conn_ask(conn, "health_check", json_object());
	return true;
}

static void answer_metrics(struct control_conn *conn, json_t *reply)
{
	bool is_ok = is_true(reply, "ok");
	json_t *stats;

	if (is_ok && asks_health(conn, reply))
		return;
	stats = conn->http.stats;
	conn->http.stats = NULL;
	if (is_ok)
		send_metrics(conn, stats, reply);
	else
		send_json(conn, false, reply);
	json_decref(stats);
}

static void answer_status(struct control_conn *conn, json_t *reply)
{
	json_t *both;

	if (asks_health(conn, reply))
		return;
	both = json_pack("{s:o, s:O}", "stats", conn->http.stats, "health", reply);
	conn->http.stats = NULL;
	send_json(conn, is_true(json_object_get(both, "stats"), "ok") && is_true(reply, "live"),
		  both);
	json_decref(both);
}

static const struct control_http_target targets[] = {
	{"/metrics", "stats", answer_metrics},
	{"/healthz", "health_check", answer_healthz},
	{"/status", "stats", answer_status},
};

/* In place of the first of them, after control_own_metrics. */
static const struct control_http_target own_metrics = {"/metrics", "metrics", answer_own_metrics};

static void http_answer(struct control_conn *conn, json_t *reply)
{
	conn->http.target->answer(conn, reply);
}

/* ---- requests ---- */

/* The parser hands the URL out in parts that lie side by side. */
static int on_url(http_parser *parser, const char *at, size_t len)
{
	struct control_conn *conn = parser->data;

	if (conn->http.url_len == 0)
		conn->http.url_offset = (size_t)(at - control_conn_in(conn));
	conn->http.url_len += len;
	return 0;
}

/* Not 0 stops the parser: what a refused method's body holds is of no interest. */
static int on_headers_complete(http_parser *parser)
{
	return parser->method == HTTP_GET || parser->method == HTTP_HEAD ? 0 : -1;
}

static int on_message_complete(http_parser *parser)
{
	http_parser_pause(parser, 1); /* one request at a time */
	return 0;
}

static const http_parser_settings settings = {
	.on_url = on_url,
	.on_headers_complete = on_headers_complete,
	.on_message_complete = on_message_complete,
};

static void start_request(struct control_conn *conn)
{
	struct control_http *h = &conn->http;

	http_parser_init(&h->parser, HTTP_REQUEST);
	h->parser.data = conn;
	h->url_offset = h->url_len = 0;
	h->target = NULL;
	h->keeps_alive = false;
	h->is_head = false;
}

static bool is_path(const struct control_http_target *t, const char *path, size_t len)
{
	return strlen(t->path) == len && memcmp(t->path, path, len) == 0;
}

/* The target whose path is that of the URL, NULL when there is none. */
static const struct control_http_target *find_target(const struct control *c, const char *url,
						     size_t len)
{
	struct http_parser_url parts;

	http_parser_url_init(&parts);
	if (http_parser_parse_url(url, len, 0, &parts) || !(parts.field_set & (1 << UF_PATH)))
		return NULL;
	url += parts.field_data[UF_PATH].off;
	len = parts.field_data[UF_PATH].len;
	if (c->has_own_metrics && is_path(&own_metrics, url, len))
		return &own_metrics;
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
		if (is_path(&targets[i], url, len))
			return &targets[i];
	return NULL;
}

static void http_refuse(struct control_conn *conn, const char *why)
{
	log_info("comm: %s, HTTP: %s", conn->peer, why);
	conn->http.keeps_alive = false;
	send_text(conn, HTTP_STATUS_BAD_REQUEST, why);
}

static void refuse_method(struct control_conn *conn)
{
	log_info("comm: %s, HTTP: method %s refused", conn->peer,
		 http_method_str((enum http_method)conn->http.parser.method));
	send_text(conn, HTTP_STATUS_METHOD_NOT_ALLOWED, "expected GET or HEAD");
}

/* The message is whole and `len` bytes long. */
static void take_request(struct control_conn *conn, size_t len)
{
	struct control_http *h = &conn->http;

	h->keeps_alive = http_should_keep_alive(&h->parser);
	h->is_head = h->parser.method == HTTP_HEAD;
	h->target = find_target(conn->control, control_conn_in(conn) + h->url_offset, h->url_len);
	control_conn_consume(conn, len);
	if (h->target)
		control_conn_ask(conn, h->target->op, json_object());
	else
		send_text(conn, HTTP_STATUS_NOT_FOUND,
			  "not found, expected /metrics, /healthz or /status");
}

static void http_take(struct control_conn *conn)
{
	struct control_http *h = &conn->http;
	size_t len = control_conn_in_len(conn);
	enum http_errno err;

	if (conn->scanned == 0)
		start_request(conn);
	if (conn->scanned == len) /* no bytes would mean the end of the stream */
		return;
	conn->scanned +=
		http_parser_execute(&h->parser, &settings, control_conn_in(conn) + conn->scanned,
				    len - conn->scanned);
	err = HTTP_PARSER_ERRNO(&h->parser);
	if (err == HPE_PAUSED)
		take_request(conn, conn->scanned);
	else if (err == HPE_CB_headers_complete)
		refuse_method(conn);
	else if (err != HPE_OK)
		http_refuse(conn, http_errno_description(err));
}

const struct control_dialect control_http = {
	.take = http_take,
	.answer = http_answer,
	.refuse = http_refuse,
};
