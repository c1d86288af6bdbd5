/* What comes in on a subflow: reads into the worker's chunk, cuts it into frames, deals with
 * the hop-local ones and hands out the others. The owner may close the subflow inside any
 * callback, so each loop here looks at the state before it goes on. */
#include "common/io/subflow_internal.h"

#include "common/base/minmax.h"
#include "common/io/tcpinfo.h"

#include <errno.h>
#include <string.h>

static void take_ping(struct subflow *s, const struct frame *head, const uint8_t *payload)
{
	if (u64_decode(payload, head->len, &s->pong_clock)) {
		subflow_refuse(s, "its PING is malformed");
		return;
	}
	s->has_pong = true;
	worker_defer(s->worker, TURN_FLUSH, &s->flush);
}

static void take_pong(struct subflow *s, const struct frame *head, const uint8_t *payload)
{
	uint64_t now_us = worker_now(s->worker);
	uint64_t clock_us, rtt_us;

	if (u64_decode(payload, head->len, &clock_us) || clock_us > now_us) {
		subflow_refuse(s, "its PONG is malformed");
		return;
	}
	rtt_us = now_us - clock_us + 1; /* 0 means: not yet */
	s->hop_least_us = s->hop_least_us ? min_u64(s->hop_least_us, rtt_us) : rtt_us;
	s->hop_rtt_us = s->hop_rtt_us ? (7 * s->hop_rtt_us + rtt_us) / 8 : rtt_us;
}

static void take_frame(struct subflow *s, const struct deframed *in)
{
	bool is_data = in->head.type == FRAME_DATA;
	int err;

	if (s->state != SUBFLOW_UP) {
		subflow_refuse(s, "%s before the handshake was over",
			       frame_type_name(in->head.type));
		return;
	}
	err = s->ops->frame(s, &in->head, is_data ? NULL : in->control, is_data ? &in->data : NULL);
	if (err && s->state == SUBFLOW_UP)
		subflow_refuse(s, "%s (session %llu, offset %llu, length %u) breaks the protocol",
			       frame_type_name(in->head.type), (unsigned long long)in->head.session,
			       (unsigned long long)in->head.offset, in->head.len);
}

static void dispatch(struct subflow *s, const struct deframed *in)
{
	switch ((enum frame_type)in->head.type) {
	case FRAME_HELLO:
		subflow_refuse(s, "a second HELLO");
		return;
	case FRAME_HELLO_ACK:
		subflow_take_hello_ack(s, &in->head, in->control);
		return;
	case FRAME_AUTH:
		subflow_take_auth(s, &in->head, in->control);
		return;
	case FRAME_PING:
		take_ping(s, &in->head, in->control);
		return;
	case FRAME_PONG:
		take_pong(s, &in->head, in->control);
		return;
	case FRAME_OPEN:
	case FRAME_DATA:
	case FRAME_ACK:
	case FRAME_RESET:
	case FRAME_PATH_LOST:
	case FRAME_PATH_STALLED:
	case FRAME_PATH_BACK:
	case FRAME_DRAIN:
	case FRAME_DRAINED:
	case FRAME_TUNNEL_CLOSE:
	case FRAME_DATAGRAM:
	case FRAME_PROBE:
	case FRAME_PROBED:
		take_frame(s, in);
		return;
	}
}

static bool is_listening(const struct subflow *s)
{
	return s->state != SUBFLOW_ENDING && s->state != SUBFLOW_CLOSED;
}

/* Leaves in `bytes` what waits for the rest of its frame. */
static void take_bytes(struct subflow *s, struct slice *bytes)
{
	struct deframed in;

	while (is_listening(s)) {
		int result = deframer_next(&s->in, bytes, &in);

		if (!result)
			return;
		if (result < 0) {
			subflow_refuse(s, "its bytes are no frames");
			return;
		}
		dispatch(s, &in);
	}
}

/* Where the next read goes. What was read before may still be referred to. */
static struct chunk *shared_chunk(struct worker *w)
{
	struct chunk *rx = w->rx;

	if (rx && rx->refs == 1)
		rx->fill = 0;
	if (!rx || rx->size - rx->fill < SUBFLOW_READ_MIN) {
		chunk_unref(rx);
		w->rx = chunk_new(w->chunks, CHUNK_LARGE);
	}
	return w->rx;
}

/* The chunk of the frame that has begun, which is ours alone until it is whole; if the rest does
 * not fit behind, the beginning moves to one where it does. */
static struct chunk *own_chunk(struct subflow *s)
{
	struct slice *begun = &s->begun;
	struct chunk *c = begun->chunk;

	if (deframer_wants(&s->in) <= (size_t)(c->bytes + c->size - begun->at))
		return c;
	c = chunk_new(s->worker->chunks, CHUNK_LARGE);
	memcpy(c->bytes, begun->at, begun->len);
	c->fill = begun->len;
	chunk_unref(begun->chunk);
	*begun = (struct slice){c, c->bytes, begun->len};
	return c;
}

/* Keeps what is left of `bytes` with its chunk, which no other subflow may read into then. */
static void keep_begun(struct subflow *s, struct slice bytes)
{
	struct worker *w = s->worker;

	if (bytes.len > 0 && !s->begun.chunk)
		w->rx = NULL;
	if (bytes.len == 0 && s->begun.chunk) {
		if (w->rx)
			chunk_unref(s->begun.chunk);
		else
			w->rx = s->begun.chunk;
		bytes.chunk = NULL;
	}
	s->begun = bytes.len > 0 ? bytes : (struct slice){0};
}

/* The loop need not wake us before the rest of the frame is there (socket(7), SO_RCVLOWAT). */
static void await_rest(struct subflow *s)
{
	uint32_t rest = s->begun.len ? deframer_wants(&s->in) - s->begun.len : 1;

	if (rest == s->low_water)
		return;
	s->low_water = rest;
	conn_set_low_water(&s->conn, rest);
}

static void on_end(struct subflow *s, ssize_t n)
{
	int err = n ? (int)n : s->out_err;

	s->has_ended = !err && deframer_is_idle(&s->in);
	if (err)
		s->undelivered_bytes =
			s->out.left_bytes + tcpinfo_undelivered_bytes(s->conn.fd, err);
	if (s->state == SUBFLOW_ENDING)
		subflow_let_go(s);
	else if (n)
		subflow_lose(s, "read: %s", uv_strerror((int)n));
	else if (s->out_err)
		subflow_lose(s, "write: %s", uv_strerror(s->out_err));
	else
		subflow_lose(s, "closed by the peer%s",
			     deframer_is_idle(&s->in) ? "" : " in the middle of a frame");
}

/* One read. Returns true when there may be more. */
static bool read_once(struct subflow *s)
{
	bool has_begun = s->begun.chunk && is_listening(s);
	struct chunk *rx = has_begun ? own_chunk(s) : shared_chunk(s->worker);
	uint32_t begun = has_begun ? s->begun.len : 0;
	uint32_t room = rx->size - rx->fill;
	struct slice bytes = {rx, rx->bytes + rx->fill - begun, begun};
	ssize_t n = conn_read(&s->conn, rx->bytes + rx->fill, room);

	if (n == -EAGAIN)
		return false;
	if (n <= 0) {
		on_end(s, n);
		return false;
	}
	bytes.len += (uint32_t)n;
	rx->fill += (uint32_t)n;
	s->in_bytes += (uint64_t)n;
	s->silent_ms = 0;
	take_bytes(s, &bytes);
	if (!is_listening(s))
		return false;
	keep_begun(s, bytes);
	await_rest(s);
	return (uint32_t)n == room && !s->is_paused;
}

void subflow_on_readable(struct conn *c)
{
	struct subflow *s = c->user;

	if (s->is_paused && s->out_err && s->state != SUBFLOW_ENDING) {
		/* Nobody takes what the peer has said, and it is gone. */
		subflow_lose(s, "write: %s", uv_strerror(s->out_err));
		return;
	}
	for (unsigned int i = 0; i < SUBFLOW_READS_MAX; i++) {
		if (!read_once(s))
			return;
	}
}
