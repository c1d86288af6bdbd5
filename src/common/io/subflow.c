/* The life of a subflow: see subflow.h. Its owner may close it inside any callback; the memory
 * stays until libuv has let go, so that a look at the state after each callback is enough. */
#include "common/io/subflow_internal.h"

#include "common/base/hostport.h"
#include "common/base/log.h"
#include "common/base/rng.h"
#include "common/io/tcpinfo.h"

#include <assert.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the end ---- */

static void unhold(struct subflow *s)
{
	if (!--s->held)
		free(s);
}

static void on_timer_closed(uv_handle_t *handle)
{
	unhold(handle->data);
}

static void on_conn_closed(struct conn *c)
{
	unhold(c->user);
}

void subflow_let_go(struct subflow *s)
{
	s->state = SUBFLOW_CLOSED;
	if (s->dialer)
		dialer_cancel(s->dialer);
	s->dialer = NULL;
	deferred_cancel(&s->flush);
	subflow_out_drop(s);
	chunk_unref(s->begun.chunk);
	s->begun = (struct slice){0};
	conn_close(&s->conn);
	uv_close((uv_handle_t *)&s->timer, on_timer_closed);
	uv_close((uv_handle_t *)&s->look, on_timer_closed);
}

static void lose(struct subflow *s, const char *why)
{
	subflow_let_go(s);
	s->ops->lost(s, why);
}

void subflow_lose(struct subflow *s, const char *fmt, ...)
{
	char why[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	lose(s, why);
}

void subflow_refuse(struct subflow *s, const char *fmt, ...)
{
	char why[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	log_warn("subflow %s: closed: %s", s->peer, why);
	lose(s, why);
}

static void on_linger_end(uv_timer_t *timer)
{
	subflow_let_go(timer->data);
}

static void end_within(struct subflow *s, uint32_t linger_ms)
{
	if (s->state == SUBFLOW_CLOSED || s->state == SUBFLOW_ENDING)
		return;
	if (s->state == SUBFLOW_DIALLING) {
		subflow_let_go(s);
		return;
	}
	s->state = SUBFLOW_ENDING;
	worker_defer(s->worker, TURN_FLUSH, &s->flush);
	conn_want_read(&s->conn, true);
	uv_timer_stop(&s->look);
	uv_timer_start(&s->timer, on_linger_end, linger_ms, 0);
}

void subflow_close(struct subflow *s, bool is_orderly)
{
	if (is_orderly)
		end_within(s, SUBFLOW_LINGER_MS);
	else if (s->state != SUBFLOW_CLOSED && s->state != SUBFLOW_ENDING)
		subflow_let_go(s);
}

void subflow_finish(struct subflow *s)
{
	end_within(s, SUBFLOW_FINISH_MS);
}

/* ---- liveness ---- */

static void put_ping(struct subflow *s)
{
	struct frame head = {.type = FRAME_PING};
	uint8_t payload[8];

	head.len = (uint32_t)u64_encode(worker_now(s->worker), payload, sizeof(payload));
	subflow_out_put(s, &head, payload, NULL);
}

/* A tick without a word. While we do not read there is none to be heard; but a peer that lives
 * acknowledges what we sent, whoever reads. */
static void count_silence(struct subflow *s)
{
	if (s->is_paused && !s->stall.is_stalled)
		s->silent_ms = 0;
	else
		s->silent_ms += s->ping_every_ms;
}

/* Silence is counted in ticks and not by the clock: a process that was stopped for a while has
 * not listened. While we cannot write there is no need to ask, because a peer that lives speaks
 * once a second by itself. */
static void on_tick(uv_timer_t *timer)
{
	struct subflow *s = timer->data;

	if (s->out_err) {
		subflow_lose(s, "write: %s", uv_strerror(s->out_err));
	} else if (worker_now(s->worker) >= s->deadline_us) {
		subflow_lose(s, s->state == SUBFLOW_AUTH_WAIT ? "no AUTH in time"
							      : "no HELLO_ACK in time");
	} else if (s->silent_ms >= s->silence_max_ms) {
		subflow_lose(s, "silent for %u ms", s->silent_ms);
	} else {
		count_silence(s);
		if (!s->is_blocked)
			put_ping(s);
	}
}

void subflow_start_tick(struct subflow *s)
{
	uv_timer_start(&s->timer, on_tick, s->ping_every_ms, s->ping_every_ms);
}

/* ---- the beginning ---- */

static const struct conn_ops subflow_conn_ops = {
	.readable = subflow_on_readable,
	.writable = subflow_on_writable,
	.closed = on_conn_closed,
};

static struct subflow *subflow_new(struct worker *w, const struct hello *hello,
				   const struct subflow_key *key, const struct subflow_ops *ops,
				   void *user)
{
	struct subflow *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	s->worker = w;
	s->ops = ops;
	s->user = user;
	s->key = key && key->len ? key : NULL;
	s->hello = *hello;
	s->conn.fd = -1;
	s->deadline_us = NEVER_US;
	s->ping_every_ms = PING_EVERY_MS;
	s->silence_max_ms = SILENCE_MAX_MS;
	s->held = 2;
	/* Frames are handed out in pieces: a large one costs nobody more than a small one. */
	deframer_init(&s->in, FRAME_PAYLOAD_MAX);
	s->low_water = 1;
	deferred_init(&s->flush, subflow_on_flush);
	uv_timer_init(&w->loop, &s->timer);
	uv_timer_init(&w->loop, &s->look);
	s->timer.data = s->look.data = s;
	return s;
}

static int start_conn_take(struct subflow *s, int fd)
{
	int lowat = SUBFLOW_NOTSENT_BYTES;
	int err = conn_open_take(&s->conn, s->worker, fd, &subflow_conn_ops, s);

	if (err)
		return err;
	s->held++;
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof(lowat));
	tcpinfo_set_rto_max(fd, SUBFLOW_RTO_MAX_MS);
	conn_want_read(&s->conn, true);
	subflow_start_tick(s);
	return 0;
}

static void on_dialled(void *user, int fd, int err, const char *why)
{
	struct subflow *s = user;

	s->dialer = NULL;
	if (err) {
		subflow_lose(s, "%s", why);
		return;
	}
	err = start_conn_take(s, fd);
	if (err)
		subflow_lose(s, "%s", uv_strerror(err));
	else
		subflow_send_hello(s);
}

struct subflow *subflow_dial(struct worker *w, const char *host, uint16_t port, uint32_t wait_ms,
			     const struct hello *hello, const struct subflow_key *key,
			     const struct subflow_ops *ops, void *user)
{
	struct subflow *s = subflow_new(w, hello, key, ops, user);

	s->state = SUBFLOW_DIALLING;
	random_bytes(s->hello.nonce, sizeof(s->hello.nonce));
	hostport_text(host, port, s->peer);
	s->dialer = dialer_start(w, host, port, wait_ms, on_dialled, s);
	return s;
}

struct subflow *subflow_accept_take(struct worker *w, int fd, const struct hello *hello,
				    const struct subflow_key *key, const struct subflow_ops *ops,
				    void *user)
{
	struct subflow *s = subflow_new(w, hello, key, ops, user);
	struct sockaddr_storage peer = {0};
	socklen_t len = sizeof(peer);

	s->state = SUBFLOW_UNANSWERED;
	getpeername(fd, (struct sockaddr *)&peer, &len);
	sockaddr_text(&peer, s->peer);
	if (start_conn_take(s, fd)) {
		subflow_let_go(s);
		return NULL;
	}
	return s;
}

/* ---- while it lives ---- */

bool subflow_send(struct subflow *s, const struct frame *head, const uint8_t *control,
		  const struct slice *data)
{
	assert(s->state == SUBFLOW_UP);
	subflow_out_put(s, head, control, data);
	if (subflow_out_is_due(&s->out))
		subflow_out_write(s);
	return !s->is_blocked;
}

void subflow_pause(struct subflow *s, bool is_paused)
{
	if (s->state != SUBFLOW_UP)
		return;
	s->is_paused = is_paused;
	s->silent_ms = 0;
	conn_want_read(&s->conn, !is_paused);
}

void subflow_want_whole(struct subflow *s)
{
	s->in.wants_whole = true;
}

void *subflow_user(const struct subflow *s)
{
	return s->user;
}

const char *subflow_peer(const struct subflow *s)
{
	return s->peer;
}

bool subflow_is_stalled(const struct subflow *s)
{
	return s->stall.is_stalled;
}

bool subflow_has_ended(const struct subflow *s)
{
	return s->has_ended;
}

uint64_t subflow_base_rtt_us(const struct subflow *s)
{
	return s->base_rtt_us;
}

size_t subflow_undelivered_bytes(const struct subflow *s)
{
	return s->undelivered_bytes;
}

uint64_t subflow_hop_least_us(const struct subflow *s)
{
	return s->hop_least_us;
}

uint64_t subflow_hop_rtt_us(const struct subflow *s)
{
	return s->hop_rtt_us;
}
