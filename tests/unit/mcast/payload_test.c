/* with: src/mcast/traffic/payload.c src/mcast/core/stamp.c */
/* What a packet holds comes back, and whatever changes on the way shows. */
#include "mcast/traffic/payload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define BYTES 200

static struct payload payload;
static const struct stamp sent = {.stream = 3,
				  .run = 0xfedcba98,
				  .sequence = 70001,
				  .sent_ns = 1763757000123456789};

static void fill(const struct stamp *s, bool is_rtp, uint8_t *out)
{
	uint32_t head_bytes = payload_head_bytes(is_rtp);
	size_t given_bytes;

	payload.is_rtp = is_rtp;
	given_bytes = payload_given_bytes(&payload, BYTES);
	payload_head(&payload, s, out);
	memcpy(out + head_bytes, payload.given, given_bytes);
	head_bytes += (uint32_t)given_bytes;
	memcpy(out + head_bytes, payload_pattern(&payload, s), BYTES - head_bytes);
}

static void check_back(bool is_rtp)
{
	uint8_t bytes[BYTES];
	struct stamp got;

	fill(&sent, is_rtp, bytes);
	for (size_t len = payload_head_bytes(is_rtp); len <= BYTES; len++) {
		assert_int_equal(payload_read(&payload, bytes, len, &got), PAYLOAD_GOOD);
		assert_int_equal(got.stream, sent.stream);
		assert_int_equal(got.run, sent.run);
		assert_int_equal(got.sequence, sent.sequence);
		assert_int_equal(got.sent_ns, sent.sent_ns);
	}
	for (size_t len = 0; len < payload_head_bytes(is_rtp); len++)
		assert_int_equal(payload_read(&payload, bytes, len, &got), PAYLOAD_FOREIGN);
	payload.is_rtp = !is_rtp;
	assert_int_equal(payload_read(&payload, bytes, BYTES, &got), PAYLOAD_FOREIGN);
}

static void test_back(void **state)
{
	(void)state;
	payload_init(&payload, false);
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
		assert_int_not_equal(payload_read(&payload, bytes, BYTES, &got), PAYLOAD_GOOD);
		bytes[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	assert_int_equal(payload_read(&payload, bytes, BYTES, &got), PAYLOAD_GOOD);
}

static void load(const char *text)
{
	char path[] = "/tmp/payload_test.XXXXXX", why[WHY_BYTES_MAX];
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	if (*text)
		assert_int_equal(payload_load(&payload, path, why), 0);
	else
		assert_true(payload_load(&payload, path, why) < 0);
	unlink(path);
}

/* A file's bytes stand behind the head, whatever its length. */
static void test_given(void **state)
{
	static char text[2 * BYTES];
	uint8_t bytes[BYTES];

	(void)state;
	load("");
	for (size_t len = 1; len < sizeof(text); len += 7) {
		memset(text, 'x', len);
		load(text);
		if (len < BYTES / 2) /* else the pattern, which tells, has no room */
			test_bits(state);
		fill(&sent, false, bytes);
		assert_memory_equal(bytes + STAMP_BYTES, text,
				    payload_given_bytes(&payload, BYTES));
	}
	payload.given_bytes = 0;
}

static void test_rtp(void **state)
{
	uint8_t head[PAYLOAD_HEAD_MAX];

	(void)state;
	payload.is_rtp = true;
	payload_head(&payload, &sent, head);
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
	assert_int_equal(payload_read(&payload, bytes, BYTES, &got), PAYLOAD_CORRUPTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_back),
		cmocka_unit_test(test_bits),
		cmocka_unit_test(test_given),
		cmocka_unit_test(test_rtp),
		cmocka_unit_test(test_absurd_sequence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
