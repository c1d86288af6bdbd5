/* What is in a packet: an RTP header if that is wanted, the stamp, and a pattern up to its size.
 *
 * Where the pattern begins depends on every field of the stamp, so that bits that changed show in
 * either; a packet of the stamp alone has only UDP's checksum. */
#ifndef TRAFFIC_PAYLOAD_H
#define TRAFFIC_PAYLOAD_H

#include "common/base/pattern.h"
#include "mcast/core/stamp.h"

#include <stdbool.h>

#define RTP_BYTES 12u /* RFC 3550, 5.1, without CSRC */
#define PAYLOAD_HEAD_MAX (RTP_BYTES + STAMP_BYTES)
#define PAYLOAD_MAX 65507u /* of UDP over IPv4, with fragments */
/* Of more than this nobody has sent: also, numbers behind it can be added to. */
#define PAYLOAD_SEQUENCE_MAX (1ull << 62)

static inline uint32_t payload_head_bytes(bool is_rtp)
{
	return is_rtp ? PAYLOAD_HEAD_MAX : STAMP_BYTES;
}

/* RTP and stamp; `out` has room for PAYLOAD_HEAD_MAX. The stream is the SSRC's low part and the
 * timestamp is of 90 kHz, as of video. */
void payload_head(const struct stamp *s, bool is_rtp, uint8_t *out);
/* What stands behind the head, up to PATTERN_PIECE_MAX bytes. */
const uint8_t *payload_body(const struct pattern *p, const struct stamp *s);

enum payload_verdict {
	PAYLOAD_GOOD,
	PAYLOAD_FOREIGN,   /* no stamp where one would be */
	PAYLOAD_CORRUPTED, /* a stamp, and something else that does not fit it */
};

/* `ret` is set unless it is foreign. */
enum payload_verdict payload_read(const uint8_t *bytes, size_t len, bool is_rtp,
				  const struct pattern *p, struct stamp *ret);

#endif
