/* What a subflow has to write, gathered over a turn and written with one sendmsg. Headers,
 * control payloads and small DATA lie one behind the other in a buffer and make one part; large
 * DATA is a part of its own that refers to its chunk. */
#include "common/io/subflow_internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* One more frame of any kind must fit, and our own frames of one turn beside it: of HELLO_ACK,
 * AUTH, PING and PONG, each sent at most once between two writes, none is over 128 bytes. */
#define OWN_FRAMES 4u
#define ROOM_BYTES (FRAME_HEADER_BYTES + FRAME_CONTROL_MAX + OWN_FRAMES * 128u)
#define ROOM_PARTS (2u + OWN_FRAMES)
_Static_assert(SUBFLOW_COPY_BYTES <= FRAME_CONTROL_MAX, "copied DATA must fit where control does");
_Static_assert(ROOM_BYTES < SUBFLOW_OUT_BYTES && ROOM_PARTS < SUBFLOW_PARTS_MAX, "too small");

/* `len` more bytes of bytes[] at its fill are to be written: lengthens the last part if it ends
 * there. */
static void add_bytes(struct subflow_out *out, uint32_t len)
{
	uint8_t *at = out->bytes + out->fill;
	struct iovec *last = out->count ? &out->parts[out->count - 1] : NULL;

	if (last && (uint8_t *)last->iov_base + last->iov_len == at) {
		last->iov_len += len;
	} else {
		out->parts[out->count] = (struct iovec){at, len};
		out->chunks[out->count++] = NULL;
	}
	out->fill += len;
	out->left_bytes += len;
}

static void add_slice(struct subflow_out *out, const struct slice *data)
{
	out->parts[out->count] = (struct iovec){data->at, data->len};
	out->chunks[out->count++] = chunk_ref(data->chunk);
	out->left_bytes += data->len;
}

void subflow_out_put(struct subflow *s, const struct frame *head, const uint8_t *control,
		     const struct slice *data)
{
	struct subflow_out *out = &s->out;
	uint32_t len = FRAME_HEADER_BYTES;

	assert(!s->is_blocked);
	assert(!data || data->len == head->len);
	frame_encode(head, out->bytes + out->fill);
	if (head->len && (!data || head->len <= SUBFLOW_COPY_BYTES)) {
		memcpy(out->bytes + out->fill + len, data ? data->at : control, head->len);
		len += head->len;
	}
	add_bytes(out, len);
	if (data && head->len > SUBFLOW_COPY_BYTES)
		add_slice(out, data);
	worker_defer(s->worker, TURN_FLUSH, &s->flush);
}

bool subflow_out_is_due(const struct subflow_out *out)
{
	return out->left_bytes >= SUBFLOW_BATCH_BYTES ||
	       out->fill + ROOM_BYTES > SUBFLOW_OUT_BYTES ||
	       out->count + ROOM_PARTS > SUBFLOW_PARTS_MAX;
}

/* `n` bytes from the front are written. */
static void consume(struct subflow_out *out, size_t n)
{
	out->left_bytes -= n;
	while (n) {
		struct iovec *part = &out->parts[out->first];

		if (n < part->iov_len) {
			part->iov_base = (uint8_t *)part->iov_base + n;
			part->iov_len -= n;
			return;
		}
		n -= part->iov_len;
		chunk_unref(out->chunks[out->first++]);
	}
}

static void reset(struct subflow_out *out)
{
	out->first = out->count = out->fill = 0;
	out->left_bytes = 0;
}

void subflow_out_drop(struct subflow *s)
{
	struct subflow_out *out = &s->out;

	while (out->first < out->count)
		chunk_unref(out->chunks[out->first++]);
	reset(out);
}

void subflow_out_write(struct subflow *s)
{
	struct subflow_out *out = &s->out;
	ssize_t n = conn_writev(&s->conn, out->parts + out->first, (int)(out->count - out->first));

	if (n >= 0) {
		s->out_bytes += (uint64_t)n;
		consume(out, (size_t)n);
		subflow_watch(s);
	} else if (n != -EAGAIN) {
		/* The peer may have said something before: reading goes on to the end. */
		s->out_err = (int)n;
		s->is_blocked = true;
		subflow_out_drop(s);
		conn_want_read(&s->conn, true);
		return;
	}
	s->is_blocked = out->left_bytes > 0;
	if (s->is_blocked)
		conn_want_write(&s->conn);
	else
		reset(out);
}

static void put_pong(struct subflow *s)
{
	struct frame head = {.type = FRAME_PONG};
	uint8_t payload[8];

	s->has_pong = false;
	head.len = (uint32_t)u64_encode(s->pong_clock, payload, sizeof(payload));
	subflow_out_put(s, &head, payload, NULL);
}

void subflow_on_flush(struct deferred *flush)
{
	struct subflow *s = container_of(flush, struct subflow, flush);

	if (s->is_blocked)
		return; /* subflow_on_writable goes on */
	if (s->has_pong && s->state != SUBFLOW_ENDING)
		put_pong(s);
	if (s->out.left_bytes)
		subflow_out_write(s);
	if (s->is_blocked && s->state == SUBFLOW_UP && s->ops->blocked)
		s->ops->blocked(s);
	if (!s->is_blocked && s->state == SUBFLOW_ENDING)
		conn_shutdown(&s->conn);
}

void subflow_on_writable(struct conn *c)
{
	struct subflow *s = c->user;

	if (s->out_err)
		return;
	subflow_out_write(s);
	if (s->is_blocked)
		return;
	/* For the PONG that has waited, and for the FIN of an orderly close. */
	worker_defer(s->worker, TURN_FLUSH, &s->flush);
	if (s->state == SUBFLOW_UP)
		s->ops->room(s);
}
