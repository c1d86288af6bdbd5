/* Cuts a subflow's byte stream into frames. DATA is handed out in pieces as it arrives: a DATA
 * frame may be split anywhere, because each byte's offset tells its place; so nobody waits for
 * a whole frame, and no payload byte is copied. Other frames are handed out whole. */
#ifndef WIRE_DEFRAMER_H
#define WIRE_DEFRAMER_H

#include "common/base/chunk.h"
#include "common/wire/frame.h"

struct deframer {
	uint32_t payload_max;
	bool wants_whole;      /* see deframer_init */
	uint32_t head_have;    /* header bytes collected; FRAME_HEADER_BYTES: `frame` is valid */
	uint32_t payload_have; /* payload bytes seen of `frame` */
	bool is_broken;	       /* a header was refused: nothing after it can be told apart */
	struct frame frame;
	uint8_t head[FRAME_HEADER_BYTES];
	uint8_t control[FRAME_CONTROL_MAX]; /* a control payload that came in parts */
};

/* One step's result. For DATA: `head` describes just this piece (offset, len, FIN only on the
 * last one) and `data` points into the input's chunk, borrowed. Else `control` has head.len
 * bytes, in place or in the deframer, valid until the next call or the input's end. */
struct deframed {
	struct frame head;
	struct slice data;
	const uint8_t *control;
};

/* A relay sets `wants_whole` afterwards: then the beginning of a DATA frame is left in `in` (which
 * is not used up when deframer_next returns 0) where the rest can be read behind it; the caller
 * presents both together, in one chunk, next time. So a frame that comes in many small segments
 * goes out as one, with one header. */
void deframer_init(struct deframer *d, uint32_t payload_max);

/* Takes bytes off the front of `in` (advancing it). 1: `ret` is filled; 0: `in` is used up;
 * -EPROTO: the stream is broken for good. A DATA piece is never empty unless its frame is. */
int deframer_next(struct deframer *d, struct slice *in, struct deframed *ret);

/* Payload bytes of the current frame that are not handed out yet, those left in `in` included. */
uint32_t deframer_wants(const struct deframer *d);

/* True between two frames: here an end of the stream cuts nothing. */
bool deframer_is_idle(const struct deframer *d);

#endif
