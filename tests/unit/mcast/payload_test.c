/* with: src/mcast/traffic/payload.c src/mcast/core/stamp.c */
/* What a packet holds comes back, and whatever changes on the way shows. */
#include "mcast/traffic/payload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define BYTES 200

static struct pattern pattern;
static const struct stamp sent = {.stream = 3,
				  .run = 0xfedcba98,
				  .sequence = 70001,
				  .sent_ns = 1763757000123456789};

static void fill(const struct stamp *s, bool is_rtp, uint8_t *out)
{
	uint32_t head_bytes = payload_head_bytes(is_rtp);

	payload_head(s, is_rtp, out);
	memcpy(out + head_bytes, payload_body(&pattern, s), BYTES - head_bytes);
}

static void check_back(bool is_rtp)
{
	uint8_t bytes[BYTES];
	struct stamp got;

	fill(&sent, is_rtp, bytes);
	for (size_t len = payload_head_bytes(is_rtp); len <= BYTES; len++) {
		assert_int_equal(payload_read(bytes, len, is_rtp, &pattern, &got), PAYLOAD_GOOD);
		assert_int_equal(got.stream, sent.stream);
		assert_int_equal(got.run, sent.run);
		assert_int_equal(got.sequence, sent.sequence);
		assert_int_equal(got.sent_ns, sent.sent_ns);
	}
	for (size_t len = 0; len < payload_head_bytes(is_rtp); len++)
		assert_int_equal(payload_read(bytes, len, is_rtp, &pattern, &got), PAYLOAD_FOREIGN);
	assert_int_equal(payload_read(bytes, BYTES, !is_rtp, &pattern, &got), PAYLOAD_FOREIGN);
}

static void test_back(void **state)
{
	(void)state;
	pattern_init(&pattern);
	check_back(false);
	check_back(true);
}

/* Every single bit, of RTP, stamp and pattern. */
static void test_bits(void **state)
{
	uint8_t bytes[BYTES];
	struct stamp got;

	(void)state;
	fill(&sent, true, bytes);
	for (size_t i = 0; i < BYTES * 8u; i++) {
		bytes[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_int_not_equal(payload_read(bytes, BYTES, true, &pattern, &got),
				     PAYLOAD_GOOD);
		bytes[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	assert_int_equal(payload_read(bytes, BYTES, true, &pattern, &got), PAYLOAD_GOOD);
}

static void test_rtp(void **state)
{
	uint8_t head[PAYLOAD_HEAD_MAX];

	(void)state;
	payload_head(&sent, true, head);
	assert_int_equal(head[0], 0x80);
	assert_int_equal(head[1], 96);
	assert_int_equal(head[2] << 8 | head[3], 70001 & 0xffff);
}

/* No number of a packet is so high that one cannot count on. */
static void test_absurd_sequence(void **state)
{
	struct stamp absurd = sent, got;
	uint8_t bytes[BYTES];

	(void)state;
	absurd.sequence = UINT64_MAX;
	fill(&absurd, false, bytes);
	assert_int_equal(payload_read(bytes, BYTES, false, &pattern, &got), PAYLOAD_CORRUPTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_back),
		cmocka_unit_test(test_bits),
		cmocka_unit_test(test_rtp),
		cmocka_unit_test(test_absurd_sequence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
