/* The header of a frame: its layout, and for every type which lengths, flags, sessions and offsets
 * it may have, up to each bound and one beyond. */
#include "common/wire/frame.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static const struct type_case {
	uint8_t type;
	const char *name;
	uint8_t flags;
	bool has_session, has_offset;
	uint32_t len_min, len_max;
} types[] = {
	{FRAME_HELLO, "HELLO", 0, false, false, 47, 47},
	{FRAME_HELLO_ACK, "HELLO_ACK", 0, false, false, 69, 69},
	{FRAME_AUTH, "AUTH", 0, false, false, 32, 32},
	{FRAME_OPEN, "OPEN", 0, true, false, 2, 518},
	{FRAME_DATA, "DATA", 1, true, true, 0, FRAME_PAYLOAD_DEFAULT},
	{FRAME_ACK, "ACK", 0, true, true, 16, 528},
	{FRAME_RESET, "RESET", 1, true, true, 4, 131},
	{FRAME_PING, "PING", 0, false, false, 8, 8},
	{FRAME_PONG, "PONG", 0, false, false, 8, 8},
	{FRAME_PATH_LOST, "PATH_LOST", 0, false, false, 8, 8},
	{FRAME_PATH_STALLED, "PATH_STALLED", 0, false, false, 8, 8},
	{FRAME_PATH_BACK, "PATH_BACK", 0, false, false, 8, 8},
	{FRAME_DRAIN, "DRAIN", 0, false, false, 0, 0},
	{FRAME_DRAINED, "DRAINED", 0, false, false, 0, 0},
	{FRAME_TUNNEL_CLOSE, "TUNNEL_CLOSE", 0, false, false, 0, 0},
	{FRAME_PROBE, "PROBE", 0, false, false, 8, 8},
	{FRAME_PROBED, "PROBED", 0, false, false, 8, 8},
};

/* A header that is good for the type. */
static struct frame good_frame(const struct type_case *t)
{
	return (struct frame){
		.type = t->type,
		.len = t->len_min,
		.session = t->has_session ? 0x1122334455667788 : 0,
		.offset = t->has_offset ? 0x99aabbccddeeff00 : 0,
	};
}

static int decode_frame(const struct frame *f)
{
	uint8_t bytes[FRAME_HEADER_BYTES];
	struct frame got, untouched;
	int err;

	memset(&got, 0xa5, sizeof(got));
	memset(&untouched, 0xa5, sizeof(untouched));
	frame_encode(f, bytes);
	err = frame_decode(bytes, FRAME_PAYLOAD_DEFAULT, &got);
	if (err < 0) {
		assert_memory_equal(&got, &untouched, sizeof(got));
		return err;
	}
	assert_int_equal(got.type, f->type);
	assert_int_equal(got.flags, f->flags);
	assert_int_equal(got.len, f->len);
	assert_true(got.session == f->session);
	assert_true(got.offset == f->offset);
	return err;
}

static void test_header_layout(void **state)
{
	static const uint8_t expected[FRAME_HEADER_BYTES] = {
		0x85, 0x01, 0, 0, 0, 1, 2, 3, 0, 0, 0, 0x0a, 0, 0, 0, 0x0b, 1, 2, 3, 4, 5, 6, 7, 8,
	};
	struct frame f = {FRAME_DATA, FRAME_FLAG_FIN, 0x010203, 0x0a0000000b, 0x0102030405060708};
	uint8_t bytes[FRAME_HEADER_BYTES];

	(void)state;
	memset(bytes, 0xff, sizeof(bytes));
	frame_encode(&f, bytes);
	assert_memory_equal(bytes, expected, sizeof(bytes));
}

static void test_lengths_of_each_type(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(types); i++) {
		struct frame f = good_frame(&types[i]);

		assert_int_equal(decode_frame(&f), 0);
		f.len = types[i].len_max;
		assert_int_equal(decode_frame(&f), 0);
		f.len = types[i].len_max + 1;
		assert_int_equal(decode_frame(&f), -EPROTO);
		f.len = UINT32_MAX;
		assert_int_equal(decode_frame(&f), -EPROTO);
		f.len = types[i].len_min - 1;
		if (types[i].len_min > 0)
			assert_int_equal(decode_frame(&f), -EPROTO);
	}
}

static void test_flags_of_each_type(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(types); i++) {
		for (unsigned flags = 0; flags < 256; flags++) {
			struct frame f = good_frame(&types[i]);
			bool is_good = (flags & ~(unsigned)types[i].flags) == 0;

			f.flags = (uint8_t)flags;
			assert_int_equal(decode_frame(&f), is_good ? 0 : -EPROTO);
		}
	}
}

static void test_session_and_offset_of_each_type(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(types); i++) {
		struct frame f = good_frame(&types[i]);

		f.session = !f.session;
		assert_int_equal(decode_frame(&f), -EPROTO);
		f.session = UINT64_MAX;
		assert_int_equal(decode_frame(&f), -EPROTO);
		f = good_frame(&types[i]);
		f.offset = 1;
		assert_int_equal(decode_frame(&f), types[i].has_offset ? 0 : -EPROTO);
		f.offset = UINT64_MAX;
		assert_int_equal(decode_frame(&f), -EPROTO);
	}
}

static void test_unknown_types(void **state)
{
	(void)state;
	for (unsigned type = 0; type < 256; type++) {
		struct frame f = {.type = (uint8_t)type};
		const char *name = "?";

		for (size_t i = 0; i < COUNT(types); i++) {
			if (types[i].type == type)
				name = types[i].name;
		}
		if (type == FRAME_DATAGRAM)
			name = "DATAGRAM";
		assert_string_equal(frame_type_name((uint8_t)type), name);
		if (name[0] != '?' && type != FRAME_DATAGRAM)
			continue;
		for (f.len = 0; f.len < 3; f.len++) {
			for (f.session = 0; f.session < 2; f.session++)
				assert_int_equal(decode_frame(&f), -EPROTO);
		}
	}
}

static void test_reserved_field(void **state)
{
	struct frame f = good_frame(&types[0]);
	uint8_t bytes[FRAME_HEADER_BYTES];

	(void)state;
	for (int i = 2; i <= 3; i++) {
		frame_encode(&f, bytes);
		bytes[i] = 1;
		assert_int_equal(frame_decode(bytes, FRAME_PAYLOAD_DEFAULT, &f), -EPROTO);
	}
}

static void test_offsets_do_not_overflow(void **state)
{
	static const struct {
		uint64_t offset;
		uint32_t len;
		uint8_t flags;
		int result;
	} cases[] = {
		{UINT64_MAX - 10, 10, 0, 0},
		{UINT64_MAX - 10, 11, 0, -EPROTO},
		{UINT64_MAX - 11, 10, FRAME_FLAG_FIN, 0},
		{UINT64_MAX - 10, 10, FRAME_FLAG_FIN, -EPROTO},
		{UINT64_MAX - 1, 0, FRAME_FLAG_FIN, 0},
		{UINT64_MAX - 1, 0, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct frame f = {FRAME_DATA, cases[i].flags, cases[i].len, 1, cases[i].offset};

		assert_int_equal(decode_frame(&f), cases[i].result);
	}
}

static void test_agreed_payload_bounds_data_only(void **state)
{
	struct frame data = {.type = FRAME_DATA, .len = 4097, .session = 1};
	struct frame ack = {.type = FRAME_ACK, .len = 528, .session = 1};
	uint8_t bytes[FRAME_HEADER_BYTES];

	(void)state;
	frame_encode(&data, bytes);
	assert_int_equal(frame_decode(bytes, 4096, &data), -EPROTO);
	assert_int_equal(frame_decode(bytes, 4097, &data), 0);
	frame_encode(&ack, bytes);
	assert_int_equal(frame_decode(bytes, 100, &ack), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header_layout),
		cmocka_unit_test(test_lengths_of_each_type),
		cmocka_unit_test(test_flags_of_each_type),
		cmocka_unit_test(test_session_and_offset_of_each_type),
		cmocka_unit_test(test_unknown_types),
		cmocka_unit_test(test_reserved_field),
		cmocka_unit_test(test_offsets_do_not_overflow),
		cmocka_unit_test(test_agreed_payload_bounds_data_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
