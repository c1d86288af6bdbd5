/* What is in a packet: see payload.h. */
#include "mcast/traffic/payload.h"

#include "common/base/clock.h"
#include "common/base/fail.h"
#include "common/base/minmax.h"

#include <errno.h>
#include <stdio.h>
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

void payload_init(struct payload *p, bool is_rtp)
{
	p->is_rtp = is_rtp;
	p->given_bytes = 0;
	pattern_init(&p->pattern);
}

int payload_load(struct payload *p, const char *path, char ret_why[WHY_BYTES_MAX])
{
	FILE *file = fopen(path, "re");
	int err = 0;

	if (!file)
		return fail_why(ret_why, "--payload \"%s\": %s", path, strerror(errno));
	errno = 0;
	p->given_bytes = (uint32_t)fread(p->given, 1, sizeof(p->given), file);
	if (ferror(file))
		err = fail_why(ret_why, "--payload \"%s\": %s", path, strerror(errno));
	else if (p->given_bytes == 0)
		err = fail_why(ret_why, "--payload \"%s\": expected bytes, it is empty", path);
	fclose(file);
	return err;
}

void payload_head(const struct payload *p, const struct stamp *s, uint8_t *out)
{
	if (p->is_rtp)
		put_rtp(s, out);
	stamp_encode(s, out + (p->is_rtp ? RTP_BYTES : 0));
}

size_t payload_given_bytes(const struct payload *p, size_t size)
{
	return min_u64(p->given_bytes, size - payload_head_bytes(p->is_rtp));
}

const uint8_t *payload_pattern(const struct payload *p, const struct stamp *s)
{
	return pattern_at(&p->pattern, (uint64_t)s->run + s->stream, s->sequence + s->sent_ns);
}

enum payload_verdict payload_read(const struct payload *p, const uint8_t *bytes, size_t len,
				  struct stamp *ret)
{
	size_t head_bytes = payload_head_bytes(p->is_rtp), given_bytes;
	uint8_t rtp[RTP_BYTES];
	struct stamp s;

	if (len < head_bytes || stamp_decode(bytes + head_bytes - STAMP_BYTES, STAMP_BYTES, &s))
		return PAYLOAD_FOREIGN;
	*ret = s;
	if (s.sequence > PAYLOAD_SEQUENCE_MAX)
		return PAYLOAD_CORRUPTED;
	if (p->is_rtp) {
		put_rtp(&s, rtp);
		if (memcmp(bytes, rtp, RTP_BYTES) != 0)
			return PAYLOAD_CORRUPTED;
	}
	given_bytes = payload_given_bytes(p, len);
	if (memcmp(bytes + head_bytes, p->given, given_bytes) != 0)
		return PAYLOAD_CORRUPTED;
	head_bytes += given_bytes;
	if (memcmp(bytes + head_bytes, payload_pattern(p, &s), len - head_bytes) != 0)
		return PAYLOAD_CORRUPTED;
	return PAYLOAD_GOOD;
}
