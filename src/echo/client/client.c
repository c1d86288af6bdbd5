/* One connection of the event model. Bytes go from the pattern to the socket without a copy or a
 * request; libuv is asked to wait only when the socket is full. */
#include "echo/client/client.h"

#include "common/base/clock.h"
#include "echo/client/model_event.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* Its memory belongs to the array of clients, which lives as long as the loop. */
static void close_client(struct client *c)
{
	c->state = CLIENT_OVER;
	if (!uv_is_closing((uv_handle_t *)&c->tcp))
		uv_close((uv_handle_t *)&c->tcp, NULL);
}

/* The end of its exchange, good (0) or bad, and then of the connection as well. */
static void finish(struct client *c, int err)
{
	struct event *e = c->event;
	struct result *result = e->worker->result;
	bool was_busy = c->state == CLIENT_BUSY;

	if (c->state == CLIENT_OVER)
		return;
	c->state = CLIENT_QUIET;
	if (err)
		close_client(c);
	if (err == -EBADMSG)
		result_wrong(result, c->exchange.seed, c->exchange.received);
	else
		result_count(result, was_busy ? outcome_of(err) : OUTCOME_DROPPED);
	if (!was_busy)
		return;
	if (!err && e->stage == STAGE_VERIFY)
		tally(&result->verified);
	e->under_way--;
	event_step(e);
}

static int send_more(struct client *c, uint64_t now);

static void on_written(uv_write_t *request, int status)
{
	struct client *c = request->data;
	int err = status;

	free(request);
	c->write = NULL;
	if (c->state == CLIENT_OVER)
		return;
	if (!err)
		err = send_more(c, clock_now_ns());
	if (err)
		finish(c, err);
}

/* The socket is full: libuv sends this piece when there is room. */
static int queue(struct client *c, uv_buf_t piece, uint64_t now)
{
	int err;

	c->write = malloc(sizeof(*c->write));
	if (!c->write)
		return -ENOMEM;
	c->write->data = c;
	err = uv_write(c->write, (uv_stream_t *)&c->tcp, &piece, 1, on_written);
	if (err) {
		free(c->write);
		c->write = NULL;
		return err;
	}
	exchange_sent(&c->exchange, piece.len, now);
	return 0;
}

static int send_more(struct client *c, uint64_t now)
{
	const struct pattern *pattern = c->event->worker->pattern;
	const uint8_t *bytes;
	size_t len;

	while (!c->write && (len = exchange_next(&c->exchange, pattern, &bytes)) > 0) {
		uv_buf_t piece = uv_buf_init((char *)bytes, (unsigned)len);
		int n = uv_try_write((uv_stream_t *)&c->tcp, &piece, 1);

		if (n == UV_EAGAIN)
			return queue(c, piece, now);
		if (n < 0)
			return n;
		exchange_sent(&c->exchange, (size_t)n, now);
	}
	return 0;
}

/* 0 or what ends the connection. */
static int take(struct client *c, size_t len)
{
	struct event *e = c->event;
	uint64_t now = clock_now_ns();
	struct news news;
	int err = exchange_received(&c->exchange, e->worker->pattern, e->buffer, len, now, &news);

	if (err)
		return err;
	c->progress_ns = now;
	meter_add(&e->meter, &news, now);
	if (meter_is_over(&e->meter, now))
		exchange_stop(&c->exchange);
	return exchange_is_done(&c->exchange) ? 0 : send_more(c, now);
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
	struct client *c = stream->data;
	int err;

	(void)buf;
	if (nread == 0 || c->state == CLIENT_OVER)
		return;
	if (nread < 0)
		err = nread == UV_EOF ? -ENODATA : (int)nread;
	else
		err = take(c, (size_t)nread);
	if (err || exchange_is_done(&c->exchange))
		finish(c, err);
}

static void on_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
	struct client *c = handle->data;

	(void)suggested;
	*ret = uv_buf_init((char *)c->event->buffer, sizeof(c->event->buffer));
}

/* An attempt is over, well or not. */
static void on_connect(uv_connect_t *request, int status)
{
	struct client *c = request->data;
	struct event *e = c->event;
	int err = status;

	free(request);
	if (!e->is_working)
		return; /* all is being closed */
	if (err == UV_ECANCELED)
		err = -ETIMEDOUT; /* we have closed it */
	if (!err)
		err = uv_read_start((uv_stream_t *)&c->tcp, on_buffer, on_read);
	e->under_way--;
	if (err) {
		e->tried += dial_failed(&e->dial, err);
		close_client(c);
	} else {
		e->tried++;
		c->state = CLIENT_QUIET;
		dial_succeeded(&e->dial);
	}
	event_step(e);
}

/* The socket is the client's from here on, also on failure. */
static int start_connecting(struct client *c, int fd)
{
	const union address *server = &c->event->worker->plan->server;
	uv_connect_t *request;
	int err = uv_tcp_open(&c->tcp, fd);

	if (err) {
		close(fd);
		return err;
	}
	request = malloc(sizeof(*request));
	if (!request)
		return -ENOMEM;
	request->data = c;
	err = uv_tcp_connect(request, &c->tcp, &server->any, on_connect);
	if (err)
		free(request);
	return err;
}

void client_connect(struct event *e)
{
	struct client *c = &e->clients[e->client_count];
	int fd = dial_open(&e->dial, SOCK_NONBLOCK);
	int err;

	if (fd < 0) {
		e->tried += dial_failed(&e->dial, fd);
		return;
	}
	/* Each attempt is one of the quota or has taken a source of the pool. */
	assert(e->client_count < e->client_max);
	net_nodelay(fd);
	uv_tcp_init(&e->loop, &c->tcp);
	c->tcp.data = c;
	c->event = e;
	c->state = CLIENT_CONNECTING;
	c->progress_ns = clock_now_ns();
	exchange_init(&c->exchange, worker_seed(e->worker, e->client_count));
	e->client_count++;
	err = start_connecting(c, fd);
	if (err) {
		close_client(c);
		e->tried += dial_failed(&e->dial, err);
		return;
	}
	e->under_way++;
}

void client_begin(struct client *c, uint32_t size, uint32_t depth, uint64_t messages)
{
	int err;

	c->state = CLIENT_BUSY;
	c->progress_ns = clock_now_ns();
	c->event->under_way++;
	exchange_begin(&c->exchange, size, depth, messages);
	err = send_more(c, c->progress_ns);
	if (err)
		finish(c, err);
}

void client_look(struct client *c, uint64_t now)
{
	uint64_t timeout_ns = c->event->worker->plan->timeout_ms * NS_PER_MS;
	bool is_late = now > c->progress_ns && now - c->progress_ns > timeout_ns;

	switch (c->state) {
	case CLIENT_CONNECTING:
		if (is_late)
			close_client(c); /* which calls on_connect() */
		break;
	case CLIENT_BUSY:
		if (meter_is_over(&c->event->meter, now))
			exchange_stop(&c->exchange);
		if (exchange_is_done(&c->exchange))
			finish(c, 0);
		else if (is_late)
			finish(c, -ETIMEDOUT);
		break;
	case CLIENT_QUIET:
	case CLIENT_OVER:
		break;
	}
}
