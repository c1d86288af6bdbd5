/* What is in a packet: see payload.h. */
#include "mcast/traffic/payload.h"

#include "common/base/clock.h"

#include <string.h>

#define RTP_VERSION (2u << 6)
#define RTP_TYPE 96u /* the first of the dynamic ones (RFC 3551, 6) */
#define RTP_CLOCK_HZ 90000u

static void put_u32(uint8_t *out, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void put_rtp(const struct stamp *s, uint8_t *out)
{
	uint64_t us = s->sent_ns / 1000;

	out[0] = RTP_VERSION;
	out[1] = RTP_TYPE;
	out[2] = (uint8_t)(s->sequence >> 8);
	out[3] = (uint8_t)s->sequence;
	put_u32(out + 4, (uint32_t)(us * (RTP_CLOCK_HZ / 1000) / US_PER_MS));
	put_u32(out + 8, s->run + s->stream);
}

void payload_head(const struct stamp *s, bool is_rtp, uint8_t *out)
{
	if (is_rtp)
		put_rtp(s, out);
	stamp_encode(s, out + (is_rtp ? RTP_BYTES : 0));
}

const uint8_t *payload_body(const struct pattern *p, const struct stamp *s)
{
	return pattern_at(p, (uint64_t)s->run + s->stream, s->sequence + s->sent_ns);
}

enum payload_verdict payload_read(const uint8_t *bytes, size_t len, bool is_rtp,
				  const struct pattern *p, struct stamp *ret)
{
	size_t head_bytes = payload_head_bytes(is_rtp);
	uint8_t rtp[RTP_BYTES];
	struct stamp s;

	if (len < head_bytes || stamp_decode(bytes + head_bytes - STAMP_BYTES, STAMP_BYTES, &s))
		return PAYLOAD_FOREIGN;
	*ret = s;
	if (s.sequence > PAYLOAD_SEQUENCE_MAX)
		return PAYLOAD_CORRUPTED;
	if (is_rtp) {
		put_rtp(&s, rtp);
		if (memcmp(bytes, rtp, RTP_BYTES) != 0)
			return PAYLOAD_CORRUPTED;
	}
	if (memcmp(bytes + head_bytes, payload_body(p, &s), len - head_bytes) != 0)
		return PAYLOAD_CORRUPTED;
	return PAYLOAD_GOOD;
}
