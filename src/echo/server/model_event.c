/* Model event: all connections in one loop of libuv. What was read is sent back at once from the
 * loop's one buffer; only what the kernel does not take is copied, and until it is gone that
 * connection is not read.
 *
 * Accepting is ours, over a uv_poll_t: a listening uv_tcp_t out of descriptors closes the clients
 * that wait, and can only be stopped by accepting one more. */
#include "common/base/list.h"
#include "echo/server/admission.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

/* One read: a client with 64 messages of 1 KiB under way costs one turn. It stays in the L2
 * cache. */
#define READ_BYTES (64u * 1024)

struct event {
	struct admission admission;
	uv_loop_t loop;
	uv_poll_t listener;
	uv_timer_t retry; /* after a pause of accepting */
	bool is_listening;
	char buffer[READ_BYTES];
};

struct connection {
	uv_tcp_t tcp;
	struct event *event;
};

/* What a client has not taken yet. */
struct remainder {
	uv_write_t request;
	size_t len;
	char bytes[];
};

static void update_listening(struct event *e);

static struct connection *connection_of(void *handle)
{
	return container_of(handle, struct connection, tcp);
}

static void on_closed(uv_handle_t *handle)
{
	struct connection *c = connection_of(handle);
	struct event *e = c->event;

	free(c);
	admission_leave(&e->admission);
	update_listening(e);
}

static void end(struct connection *c, enum counter why)
{
	if (uv_is_closing((uv_handle_t *)&c->tcp))
		return; /* already counted */
	counters_add(c->event->admission.worker->counters, why, 1);
	uv_close((uv_handle_t *)&c->tcp, on_closed);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
	(void)suggested;
	ret_buf->base = connection_of(handle)->event->buffer;
	ret_buf->len = READ_BYTES;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

static void on_written(uv_write_t *request, int status)
{
	struct remainder *r = container_of(request, struct remainder, request);
	uv_stream_t *stream = request->handle;
	struct connection *c = connection_of(stream);
	size_t len = r->len;

	free(r);
	if (status == 0) {
		counters_add(c->event->admission.worker->counters, COUNTER_BYTES, len);
		status = uv_read_start(stream, on_alloc, on_read);
	}
	if (status)
		end(c, counter_of_error(-status));
}

/* Sends what is left when the socket has room, and reads on only then. */
static int send_later(struct connection *c, const char *bytes, size_t len)
{
	struct remainder *r = malloc(sizeof(*r) + len);
	uv_buf_t buf;
	int err;

	if (!r)
		return -ENOMEM;
	r->len = len;
	memcpy(r->bytes, bytes, len);
	buf = uv_buf_init(r->bytes, (unsigned)len);
	err = uv_write(&r->request, (uv_stream_t *)&c->tcp, &buf, 1, on_written);
	if (err) {
		free(r);
		return err;
	}
	counters_add(c->event->admission.worker->counters, COUNTER_STALLED, 1);
	return uv_read_stop((uv_stream_t *)&c->tcp);
}

static void echo(struct connection *c, const uv_buf_t *buf)
{
	struct counters *counters = c->event->admission.worker->counters;
	int sent = uv_try_write((uv_stream_t *)&c->tcp, buf, 1);
	int err = 0;

	if (sent == UV_EAGAIN)
		sent = 0;
	if (sent < 0) {
		end(c, counter_of_error(-sent));
		return;
	}
	counters_add(counters, COUNTER_BYTES, (uint64_t)sent);
	if ((size_t)sent < buf->len)
		err = send_later(c, buf->base + sent, buf->len - (size_t)sent);
	if (err)
		end(c, counter_of_error(-err));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct connection *c = connection_of(stream);
	uv_buf_t bytes;

	if (n > 0) {
		counters_add(c->event->admission.worker->counters, COUNTER_READS, 1);
		bytes = uv_buf_init(buf->base, (unsigned)n);
		echo(c, &bytes);
	} else if (n < 0) {
		/* Nothing waits to be sent: it would not be read otherwise. */
		end(c, n == UV_EOF ? COUNTER_ENDED : counter_of_error((int)-n));
	}
}

static void begin(struct event *e, int fd)
{
	struct connection *c = malloc(sizeof(*c));
	int err;

	admission_enter(&e->admission);
	if (!c) {
		counters_add(e->admission.worker->counters, COUNTER_NO_MEMORY, 1);
		admission_abort(fd);
		admission_leave(&e->admission);
		return;
	}
	c->event = e;
	uv_tcp_init(&e->loop, &c->tcp); /* cannot fail: it makes no socket */
	err = uv_tcp_open(&c->tcp, fd);
	if (err)
		close(fd);
	else
		err = uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
	if (err)
		end(c, counter_of_error(-err));
}

static void on_waiting(uv_poll_t *listener, int status, int events)
{
	struct event *e = container_of(listener, struct event, listener);

	(void)events;
	if (status < 0)
		admission_refuse(&e->admission, -status);
	for (unsigned i = 0; i < ACCEPTS_MAX && admission_room(&e->admission) > 0; i++) {
		int fd = accept4(e->admission.worker->listener, NULL, NULL,
				 SOCK_CLOEXEC | SOCK_NONBLOCK);
		int err = errno;

		if (fd >= 0) {
			begin(e, fd);
			continue;
		}
		admission_refuse(&e->admission, err);
		if (err == EAGAIN)
			break;
	}
	update_listening(e);
}

static void on_retry(uv_timer_t *timer)
{
	update_listening(container_of(timer, struct event, retry));
}

/* After each change of e->admission. */
static void update_listening(struct event *e)
{
	bool has_room = admission_room(&e->admission) > 0;
	int wait_ms = admission_wait_ms(&e->admission);

	if (wait_ms >= 0 && !uv_is_active((uv_handle_t *)&e->retry))
		uv_timer_start(&e->retry, on_retry, (uint64_t)wait_ms, 0);
	if (has_room == e->is_listening)
		return;
	e->is_listening = has_room;
	if (has_room)
		uv_poll_start(&e->listener, UV_READABLE, on_waiting);
	else
		uv_poll_stop(&e->listener);
}

static int run(struct event *e)
{
	int err = uv_loop_init(&e->loop);

	if (err == 0)
		err = uv_timer_init(&e->loop, &e->retry);
	if (err == 0)
		err = uv_poll_init(&e->loop, &e->listener, e->admission.worker->listener);
	if (err)
		return err;
	update_listening(e);
	uv_run(&e->loop, UV_RUN_DEFAULT);
	return -ECANCELED; /* it does not end while it listens, waits or has connections */
}

static int serve(struct worker *worker)
{
	struct event *e = calloc(1, sizeof(*e));
	int err;

	if (!e)
		return -ENOMEM;
	admission_init(&e->admission, worker);
	err = run(e);
	free(e);
	return err;
}

const struct model model_event = {"event", CAPACITY_EVENT, NULL, serve};
