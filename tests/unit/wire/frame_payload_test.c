/* The payloads of frames: for each a known layout, the way there and back, truncation at every
 * length, trailing bytes, and every check that refuses. */
#include "common/wire/frame.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* A decoder in one shape, so that all are cut short in one way. */
typedef int decoder(const uint8_t *in, size_t len, void *ret);

static int decode_hello(const uint8_t *in, size_t len, void *ret)
{
	return hello_decode(in, len, ret);
}

static int decode_hello_ack(const uint8_t *in, size_t len, void *ret)
{
	return hello_ack_decode(in, len, ret);
}

static int decode_open(const uint8_t *in, size_t len, void *ret)
{
	return open_decode(in, len, ret);
}

static const struct frame ack_head = {.type = FRAME_ACK, .session = 1, .offset = 1000};

static int decode_ack(const uint8_t *in, size_t len, void *ret)
{
	return ack_decode(&ack_head, in, len, ret);
}

static int decode_reset(const uint8_t *in, size_t len, void *ret)
{
	return reset_decode(in, len, ret);
}

static int decode_u64(const uint8_t *in, size_t len, void *ret)
{
	return u64_decode(in, len, ret);
}

/* Decodes `len` bytes that end where ASan would see one byte more being read. */
static int decode_exactly(decoder *decode, const uint8_t *in, size_t len, void *ret)
{
	uint8_t *copy = test_malloc(len ? len : 1);
	int err;

	memcpy(copy, in, len);
	err = decode(copy, len, ret);
	test_free(copy);
	return err;
}

/* -EPROTO, and nothing was written to the result. */
static void check_refused(decoder *decode, const uint8_t *in, size_t len)
{
	uint8_t ret[sizeof(struct open_info) + sizeof(struct ack_info)];
	uint8_t untouched[sizeof(ret)];

	memset(ret, 0xa5, sizeof(ret));
	memset(untouched, 0xa5, sizeof(untouched));
	assert_int_equal(decode_exactly(decode, in, len, ret), -EPROTO);
	assert_memory_equal(ret, untouched, sizeof(ret));
}

/* Only the whole payload decodes: not a part of it, not one with a byte more. */
static void check_only_whole(decoder *decode, const uint8_t *in, size_t len)
{
	uint8_t longer[FRAME_CONTROL_MAX + 1] = {0};

	for (size_t cut = 0; cut < len; cut++)
		check_refused(decode, in, cut);
	memcpy(longer, in, len);
	check_refused(decode, longer, len + 1);
}

/* With one byte changed it is refused. */
static void check_change_refused(decoder *decode, const uint8_t *in, size_t len, size_t index,
				 uint8_t value)
{
	uint8_t changed[FRAME_CONTROL_MAX];

	memcpy(changed, in, len);
	changed[index] = value;
	check_refused(decode, changed, len);
}

static struct hello good_hello(void)
{
	struct hello h = {
		.version_min = 1,
		.version_max = 3,
		.hops_left = 16,
		.generation = 0x01020304,
		.payload_max = FRAME_PAYLOAD_DEFAULT,
	};

	memset(h.tunnel.bytes, 0x11, sizeof(h.tunnel.bytes));
	memset(h.nonce, 0x22, sizeof(h.nonce));
	return h;
}

static void test_hello(void **state)
{
	static const char expected[] =
		"MPP1\x01\x03\x10"
		"\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11"
		"\x01\x02\x03\x04\x00\x02\x00\x00"
		"\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22";
	struct hello h = good_hello(), got;
	uint8_t bytes[HELLO_PAYLOAD_MAX];
	size_t len = hello_encode(&h, bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(len, sizeof(expected) - 1);
	assert_memory_equal(bytes, expected, len);
	assert_int_equal(decode_exactly(decode_hello, bytes, len, &got), 0);
	assert_int_equal(got.version_min, 1);
	assert_int_equal(got.version_max, 3);
	assert_int_equal(got.hops_left, 16);
	assert_memory_equal(&got.tunnel, &h.tunnel, sizeof(h.tunnel));
	assert_int_equal(got.generation, h.generation);
	assert_int_equal(got.payload_max, h.payload_max);
	assert_memory_equal(got.nonce, h.nonce, sizeof(h.nonce));
	check_only_whole(decode_hello, bytes, len);
}

static int hello_result(const struct hello *h)
{
	uint8_t bytes[HELLO_PAYLOAD_MAX];
	struct hello got;

	return hello_decode(bytes, hello_encode(h, bytes, sizeof(bytes)), &got);
}

static void test_hello_refuses(void **state)
{
	struct hello h = good_hello();
	uint8_t bytes[HELLO_PAYLOAD_MAX];
	size_t len = hello_encode(&h, bytes, sizeof(bytes));

	(void)state;
	for (size_t i = 0; i < 4; i++)
		check_change_refused(decode_hello, bytes, len, i, 'x');
	check_change_refused(decode_hello, bytes, len, 4, 0); /* version 0 is another format */
	check_change_refused(decode_hello, bytes, len, 4, 4); /* above version_max */
	check_change_refused(decode_hello, bytes, len, 6, HOP_LIMIT + 1);
	h.hops_left = 0; /* the proxy says no, with a reason */
	assert_int_equal(hello_result(&h), 0);
	h.payload_max = FRAME_PAYLOAD_MIN;
	assert_int_equal(hello_result(&h), 0);
	h.payload_max = FRAME_PAYLOAD_MIN - 1;
	assert_int_equal(hello_result(&h), -EPROTO);
	h.payload_max = FRAME_PAYLOAD_MAX;
	assert_int_equal(hello_result(&h), 0);
	h.payload_max = FRAME_PAYLOAD_MAX + 1;
	assert_int_equal(hello_result(&h), -EPROTO);
}

static struct hello_ack good_hello_ack(void)
{
	struct hello_ack h = {
		.version = 1,
		.instance = 0x0102030405060708,
		.payload_max = FRAME_PAYLOAD_DEFAULT,
		.first_credit = 0x00004000,
		.sessions_max = 0x00002000,
	};

	memset(h.nonce, 0x33, sizeof(h.nonce));
	memset(h.mac, 0x44, sizeof(h.mac));
	return h;
}

static void test_hello_ack(void **state)
{
	static const char expected[] = "\x01\x01\x02\x03\x04\x05\x06\x07\x08\x00\x02\x00\x00"
				       "\x00\x00\x40\x00\x00\x00\x20\x00";
	struct hello_ack h = good_hello_ack(), got;
	uint8_t bytes[HELLO_ACK_PAYLOAD_MAX];
	size_t len = hello_ack_encode(&h, bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(len, 69);
	assert_memory_equal(bytes, expected, sizeof(expected) - 1);
	assert_memory_equal(bytes + 21, h.nonce, 16);
	assert_memory_equal(bytes + 37, h.mac, MAC_BYTES);
	assert_int_equal(decode_exactly(decode_hello_ack, bytes, len, &got), 0);
	assert_int_equal(got.version, 1);
	assert_true(got.instance == h.instance);
	assert_int_equal(got.payload_max, h.payload_max);
	assert_int_equal(got.first_credit, h.first_credit);
	assert_int_equal(got.sessions_max, h.sessions_max);
	assert_memory_equal(got.nonce, h.nonce, sizeof(h.nonce));
	assert_memory_equal(got.mac, h.mac, sizeof(h.mac));
	check_only_whole(decode_hello_ack, bytes, len);
	check_change_refused(decode_hello_ack, bytes, len, 0, 0);
	check_change_refused(decode_hello_ack, bytes, len, 9, 1); /* payload_max: 16 MiB */
	memset(bytes + 1, 0, 8);				  /* instance */
	check_refused(decode_hello_ack, bytes, len);
	h.sessions_max = 0;
	len = hello_ack_encode(&h, bytes, sizeof(bytes));
	check_refused(decode_hello_ack, bytes, len);
}

static struct address address_of_name(const char *name, uint16_t port)
{
	struct address a = {.kind = ADDRESS_NAME, .port = port};

	memcpy(a.name, name, strlen(name) + 1);
	return a;
}

static void check_address(const struct address *got, const struct address *expected)
{
	assert_int_equal(got->kind, expected->kind);
	assert_int_equal(got->port, expected->port);
	assert_memory_equal(got->ip, expected->ip, sizeof(got->ip));
	assert_string_equal(got->name, expected->name);
}

static void check_open(const struct address *target, const struct address *client)
{
	struct open_info o = {*target, *client}, got;
	uint8_t bytes[FRAME_CONTROL_MAX];
	size_t len = open_encode(&o, bytes, sizeof(bytes));

	memset(&got, 0xa5, sizeof(got));
	assert_int_equal(decode_exactly(decode_open, bytes, len, &got), 0);
	check_address(&got.target, target);
	check_address(&got.client, client);
	check_only_whole(decode_open, bytes, len);
}

static void test_open_with_every_pair_of_kinds(void **state)
{
	char longest[256];
	struct address all[5] = {
		{.kind = ADDRESS_NONE},
		{.kind = ADDRESS_IPV4, .ip = {10, 0, 0, 1}, .port = 8080},
		{.kind = ADDRESS_IPV6, .ip = {0x20, 1, 0xd, 0xb8, [15] = 1}, .port = 65535},
	};

	(void)state;
	memset(longest, 'a', 255);
	longest[255] = '\0';
	all[3] = address_of_name("Server-1.my_site.example", 443);
	all[4] = address_of_name(longest, 1);
	for (size_t i = 0; i < COUNT(all); i++) {
		for (size_t j = 0; j < COUNT(all); j++)
			check_open(&all[i], &all[j]);
	}
}

static void test_open_layout(void **state)
{
	static const char expected[] = "\x03\x02"
				       "ab\x01\xbb\x01\x7f\x00\x00\x01\x1f\x90";
	struct open_info o = {
		.target = address_of_name("ab", 443),
		.client = {.kind = ADDRESS_IPV4, .ip = {127, 0, 0, 1}, .port = 8080},
	};
	uint8_t bytes[FRAME_CONTROL_MAX];

	(void)state;
	assert_int_equal(open_encode(&o, bytes, sizeof(bytes)), sizeof(expected) - 1);
	assert_memory_equal(bytes, expected, sizeof(expected) - 1);
}

static void test_open_refuses(void **state)
{
	static const char good[] = "abcXYZ019-._";
	struct open_info o = {.target = address_of_name("ab", 443)}, got;
	uint8_t bytes[FRAME_CONTROL_MAX];
	size_t len = open_encode(&o, bytes, sizeof(bytes));

	(void)state;
	for (unsigned c = 0; c < 256; c++) {
		bytes[3] = (uint8_t)c;
		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    (c && strchr(good, (int)c)))
			assert_int_equal(open_decode(bytes, len, &got), 0);
		else
			check_refused(decode_open, bytes, len);
	}
	check_refused(decode_open, (const uint8_t *)"\x03\x00\x01\xbb\x00", 5); /* no name */
	check_refused(decode_open, (const uint8_t *)"\x04\x00", 2);
	check_refused(decode_open, (const uint8_t *)"\x00\xff", 2);
}

static void test_ack(void **state)
{
	static const char expected[] =
		"\x01\x02\x03\x04\x05\x06\x07\x08\x0a\x0b\x0c\x0d\xf0\xf1\xf2\xf3"
		"\x00\x00\x00\x00\x00\x00\x03\xe9\x00\x00\x00\x00\x00\x00\x03\xeb";
	struct ack_info a = {0x0102030405060708, 0x0a0b0c0d, 0xf0f1f2f3, 1, {{1001, 1003}}}, got;
	uint8_t bytes[ACK_PAYLOAD_MAX];
	size_t len = ack_encode(&a, bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(len, sizeof(expected) - 1);
	assert_memory_equal(bytes, expected, len);
	assert_int_equal(decode_exactly(decode_ack, bytes, len, &got), 0);
	assert_true(got.credit == a.credit);
	assert_int_equal(got.delay_us, a.delay_us);
	assert_int_equal(got.clock_us, a.clock_us);
	assert_int_equal(got.range_count, 1);
	assert_true(got.ranges[0].start == 1001 && got.ranges[0].end == 1003);
}

static void test_ack_with_every_count_and_length(void **state)
{
	struct ack_info a = {.credit = 1 << 20, .range_count = ACK_RANGES_MAX}, got;
	uint8_t bytes[ACK_PAYLOAD_MAX + 16] = {0};

	(void)state;
	for (uint32_t i = 0; i < ACK_RANGES_MAX; i++)
		a.ranges[i] = (struct range){2000 + 10 * i, 2005 + 10 * i};
	assert_int_equal(ack_encode(&a, bytes, ACK_PAYLOAD_MAX), ACK_PAYLOAD_MAX);
	for (size_t len = 0; len <= sizeof(bytes); len++) {
		if (len < 16 || (len - 16) % 16 != 0 || len > ACK_PAYLOAD_MAX) {
			check_refused(decode_ack, bytes, len);
			continue;
		}
		assert_int_equal(decode_exactly(decode_ack, bytes, len, &got), 0);
		assert_int_equal(got.range_count, (len - 16) / 16);
		assert_memory_equal(got.ranges, a.ranges, got.range_count * sizeof(struct range));
	}
}

/* The ACK's own offset is 1000. */
static void test_ack_ranges_ascend_above_offset(void **state)
{
	static const struct {
		struct range ranges[2];
		bool is_good;
	} cases[] = {
		{{{1001, 1002}, {1003, 1004}}, true},
		{{{1001, 1002}, {1002, 1004}}, true}, /* touching is disjoint */
		{{{1000, 1002}, {1003, 1004}}, false},
		{{{5, 1002}, {1003, 1004}}, false},
		{{{1001, 1001}, {1003, 1004}}, false},
		{{{1002, 1001}, {1003, 1004}}, false},
		{{{1001, 1005}, {1004, 1006}}, false},
		{{{1003, 1004}, {1001, 1002}}, false},
		{{{1001, 1002}, {1004, 1003}}, false},
	};
	uint8_t bytes[ACK_PAYLOAD_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct ack_info a = {.range_count = 2}, got;
		size_t len;

		memcpy(a.ranges, cases[i].ranges, sizeof(cases[i].ranges));
		len = ack_encode(&a, bytes, sizeof(bytes));
		if (cases[i].is_good)
			assert_int_equal(decode_ack(bytes, len, &got), 0);
		else
			check_refused(decode_ack, bytes, len);
	}
}

static void test_reset(void **state)
{
	struct reset_info r = {RESET_REFUSED, "connect: refused"}, got;
	uint8_t bytes[FRAME_CONTROL_MAX];
	size_t len = reset_encode(&r, bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(len, 4 + strlen(r.reason));
	assert_memory_equal(bytes,
			    "\x00\x00\x00\x02"
			    "connect: refused",
			    len);
	for (size_t cut = 0; cut < 4; cut++)
		check_refused(decode_reset, bytes, cut);
	for (size_t cut = 4; cut <= len; cut++) { /* the reason is what is left */
		assert_int_equal(decode_exactly(decode_reset, bytes, cut, &got), 0);
		assert_int_equal(got.code, RESET_REFUSED);
		assert_int_equal(strlen(got.reason), cut - 4);
		assert_memory_equal(got.reason, r.reason, cut - 4);
	}
}

static void test_reset_reason_is_bounded_and_printable(void **state)
{
	struct reset_info r = {.code = 77}, got; /* a code of a later version passes */
	uint8_t bytes[FRAME_CONTROL_MAX];
	size_t len;

	(void)state;
	memset(r.reason, 'r', sizeof(r.reason) - 1);
	len = reset_encode(&r, bytes, sizeof(bytes));
	assert_int_equal(len, 4 + 127);
	assert_int_equal(decode_exactly(decode_reset, bytes, len, &got), 0);
	assert_int_equal(got.code, 77);
	assert_string_equal(got.reason, r.reason);
	bytes[len] = 'r';
	check_refused(decode_reset, bytes, len + 1);
	memcpy(bytes + 4, "a\0b\n\x1f\x7f\x80\xff~ ", 10);
	assert_int_equal(decode_exactly(decode_reset, bytes, 14, &got), 0);
	assert_string_equal(got.reason, "a?b?????~ ");
}

static void test_reset_code_names(void **state)
{
	(void)state;
	assert_string_equal(reset_code_name(RESET_FINISHED), "finished");
	assert_string_equal(reset_code_name(RESET_TIMEOUT), "timeout");
	assert_string_equal(reset_code_name(RESET_TIMEOUT + 1), "?");
	assert_string_equal(reset_code_name(UINT32_MAX), "?");
	for (uint32_t code = 0; code <= RESET_TIMEOUT; code++)
		assert_non_null(reset_code_name(code));
}

static void test_u64(void **state)
{
	uint8_t bytes[8];
	uint64_t got;

	(void)state;
	assert_int_equal(u64_encode(0x0102030405060708, bytes, sizeof(bytes)), 8);
	assert_memory_equal(bytes, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
	assert_int_equal(decode_exactly(decode_u64, bytes, 8, &got), 0);
	assert_true(got == 0x0102030405060708);
	check_only_whole(decode_u64, bytes, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hello),
		cmocka_unit_test(test_hello_refuses),
		cmocka_unit_test(test_hello_ack),
		cmocka_unit_test(test_open_with_every_pair_of_kinds),
		cmocka_unit_test(test_open_layout),
		cmocka_unit_test(test_open_refuses),
		cmocka_unit_test(test_ack),
		cmocka_unit_test(test_ack_with_every_count_and_length),
		cmocka_unit_test(test_ack_ranges_ascend_above_offset),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_reset_reason_is_bounded_and_printable),
		cmocka_unit_test(test_reset_code_names),
		cmocka_unit_test(test_u64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
