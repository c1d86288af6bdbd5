/* with: src/mcast/core/stamp.c src/mcast/core/siphash.c */
/* Stamps there and back, and what is none; SipHash by the vector of its paper. */
#include "mcast/core/siphash.h"
#include "mcast/core/stamp.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct stamp example = {.stream = 3,
				     .run = 0xfedcba98,
				     .sequence = 1ull << 40,
				     .sent_ns = 1700000000123456789};

static void there_and_back(void **state)
{
	uint8_t bytes[STAMP_BYTES + 1] = {0};
	struct stamp got;

	(void)state;
	stamp_encode(&example, bytes);
	assert_int_equal(stamp_decode(bytes, sizeof(bytes), &got), 0);
	assert_int_equal(got.stream, example.stream);
	assert_int_equal(got.run, example.run);
	assert_int_equal(got.sequence, example.sequence);
	assert_int_equal(got.sent_ns, example.sent_ns);
}

static void what_is_none(void **state)
{
	uint8_t bytes[STAMP_BYTES];
	struct stamp got = {.stream = 7};

	(void)state;
	stamp_encode(&example, bytes);
	for (size_t len = 0; len < STAMP_BYTES; len++)
		assert_int_equal(stamp_decode(bytes, len, &got), -EPROTO);
	bytes[0] ^= 1;
	assert_int_equal(stamp_decode(bytes, sizeof(bytes), &got), -EPROTO);
	assert_int_equal(got.stream, 7);
}

/* Appendix A. */
static void siphash_is_the_papers(void **state)
{
	const uint64_t key[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
	const uint8_t bytes[15] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};

	(void)state;
	assert_true(siphash(key, bytes, sizeof(bytes)) == 0xa129ca6149be45e5);
	assert_true(siphash(key, bytes, 8) == 0x93f5f5799a932462);
	assert_true(siphash(key, bytes, 0) == 0x726fdb47dd0e0e31);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(what_is_none),
		cmocka_unit_test(siphash_is_the_papers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
