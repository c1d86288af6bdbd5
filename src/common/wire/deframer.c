/* The state between two reads of a subflow: at most one header or one control payload in parts.
 * The common case, a header whole in the input and a payload after it, copies nothing and keeps
 * nothing but the decoded header. */
#include "common/wire/deframer.h"

#include "common/base/minmax.h"

#include <errno.h>
#include <string.h>

void deframer_init(struct deframer *d, uint32_t payload_max)
{
	d->payload_max = payload_max;
	d->head_have = 0;
	d->payload_have = 0;
	d->is_broken = false;
	d->wants_whole = false;
}

uint32_t deframer_wants(const struct deframer *d)
{
	return d->head_have == FRAME_HEADER_BYTES ? d->frame.len - d->payload_have : 0;
}

bool deframer_is_idle(const struct deframer *d)
{
	return d->head_have == 0 && !d->is_broken;
}

static const uint8_t *take(struct slice *in, uint32_t len)
{
	const uint8_t *at = in->at;

	in->at += len;
	in->len -= len;
	return at;
}

/* The header's bytes, in place where they are all there; NULL while some are missing. */
static const uint8_t *head_bytes(struct deframer *d, struct slice *in)
{
	uint32_t len;

	if (d->head_have == 0 && in->len >= FRAME_HEADER_BYTES) {
		d->head_have = FRAME_HEADER_BYTES;
		return take(in, FRAME_HEADER_BYTES);
	}
	len = min_u32(FRAME_HEADER_BYTES - d->head_have, in->len);
	memcpy(d->head + d->head_have, take(in, len), len);
	d->head_have += len;
	return d->head_have == FRAME_HEADER_BYTES ? d->head : NULL;
}

static void next_frame(struct deframer *d)
{
	d->head_have = 0;
	d->payload_have = 0;
}

/* Whether the rest can be read right behind the `len` bytes that are there; a few bytes may be
 * moved to where it can. */
static bool is_worth_waiting(const struct deframer *d, const struct slice *in, uint32_t left)
{
	const uint8_t *end;

	if (!d->wants_whole)
		return false;
	end = in->chunk->bytes + in->chunk->size;
	return left <= (size_t)(end - in->at) ||
	       (in->len <= COPYBREAK_BYTES && left <= CHUNK_LARGE);
}

static int data_piece(struct deframer *d, struct slice *in, struct deframed *ret)
{
	uint32_t left = d->frame.len - d->payload_have;
	uint32_t len = min_u32(left, in->len);

	if (len < left && (len == 0 || is_worth_waiting(d, in, left)))
		return 0;
	ret->head = d->frame;
	ret->head.offset += d->payload_have;
	ret->head.len = len;
	if (len < left)
		ret->head.flags &= (uint8_t)~FRAME_FLAG_FIN;
	ret->data = (struct slice){in->chunk, in->at, len};
	ret->control = NULL;
	take(in, len);
	d->payload_have += len;
	if (len == left)
		next_frame(d);
	return 1;
}

/* The payload, in place or collected; NULL while some of it is missing. */
static const uint8_t *control_payload(struct deframer *d, struct slice *in)
{
	uint32_t len = min_u32(d->frame.len - d->payload_have, in->len);

	if (len == d->frame.len)
		return take(in, len);
	memcpy(d->control + d->payload_have, take(in, len), len);
	d->payload_have += len;
	return d->payload_have == d->frame.len ? d->control : NULL;
}

static int control_frame(struct deframer *d, struct slice *in, struct deframed *ret)
{
	const uint8_t *payload = control_payload(d, in);

	if (!payload)
		return 0;
	ret->head = d->frame;
	ret->data = (struct slice){0};
	ret->control = payload;
	next_frame(d);
	return 1;
}

int deframer_next(struct deframer *d, struct slice *in, struct deframed *ret)
{
	if (d->is_broken)
		return -EPROTO;
	if (in->len == 0) /* a frame without payload has gone out with its header's last byte */
		return 0;
	if (d->head_have < FRAME_HEADER_BYTES) {
		const uint8_t *head = head_bytes(d, in);

		if (!head)
			return 0;
		if (frame_decode(head, d->payload_max, &d->frame) < 0) {
			d->is_broken = true;
			return -EPROTO;
		}
	}
	if (d->frame.type == FRAME_DATA)
		return data_piece(d, in, ret);
	return control_frame(d, in, ret);
}
