/* What is in a packet: an RTP header if that is wanted, the stamp, the bytes of a file if one is
 * given, as many as fit, and a pattern up to its size.
 *
 * Where the pattern begins depends on every field of the stamp, so that bits that changed show in
 * either; a packet without room for it has only UDP's checksum. */
#ifndef TRAFFIC_PAYLOAD_H
#define TRAFFIC_PAYLOAD_H

#include "common/base/limits.h"
#include "common/base/pattern.h"
#include "mcast/core/stamp.h"

#include <stdbool.h>
#include <stddef.h>

#define RTP_BYTES 12u /* RFC 3550, 5.1, without CSRC */
#define PAYLOAD_HEAD_MAX (RTP_BYTES + STAMP_BYTES)
#define PAYLOAD_MAX 65507u /* of UDP over IPv4, with fragments */
/* Of more than this nobody has sent: also, numbers behind it can be added to. */
#define PAYLOAD_SEQUENCE_MAX (1ull << 62)

static inline uint32_t payload_head_bytes(bool is_rtp)
{
	return is_rtp ? PAYLOAD_HEAD_MAX : STAMP_BYTES;
}

/* What both ends know of the packets of a run. */
struct payload {
	bool is_rtp;
	uint32_t given_bytes; /* of the file; 0: there is none */
	uint8_t given[PAYLOAD_MAX];
	struct pattern pattern;
};

void payload_init(struct payload *p, bool is_rtp);
/* The first PAYLOAD_MAX bytes of a file: packets are to have them. 0, or a negative errno with
 * `ret_why`. */
int payload_load(struct payload *p, const char *path, char ret_why[WHY_BYTES_MAX]);

/* RTP and stamp; `out` has room for PAYLOAD_HEAD_MAX. The stream is the SSRC's low part and the
 * timestamp is of 90 kHz, as of video. */
void payload_head(const struct payload *p, const struct stamp *s, uint8_t *out);
/* Of a packet of `size` bytes those of the file, which stand behind its head. */
size_t payload_given_bytes(const struct payload *p, size_t size);
/* What stands behind them, up to PATTERN_PIECE_MAX bytes. */
const uint8_t *payload_pattern(const struct payload *p, const struct stamp *s);

enum payload_verdict {
	PAYLOAD_GOOD,
	PAYLOAD_FOREIGN,   /* no stamp where one would be */
	PAYLOAD_CORRUPTED, /* a stamp, and something else that does not fit it */
};

/* `ret` is set unless it is foreign. */
enum payload_verdict payload_read(const struct payload *p, const uint8_t *bytes, size_t len,
				  struct stamp *ret);

#endif
