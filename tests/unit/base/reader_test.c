/* Reader and writer: byte order, reading and writing up to the last byte and past it, and that
 * a failure stays a failure. */
#include "common/base/reader.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const uint8_t bytes[15] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static void test_reads_network_order(void **state)
{
	struct reader r;

	(void)state;
	reader_init(&r, bytes, sizeof(bytes));
	assert_int_equal(reader_u8(&r), 0x01);
	assert_int_equal(reader_u16(&r), 0x0203);
	assert_int_equal(reader_u32(&r), 0x04050607);
	assert_true(reader_u64(&r) == 0x08090a0b0c0d0e0f);
	assert_int_equal(reader_left(&r), 0);
	assert_false(r.is_bad);
}

static void test_every_field_cut_short_is_bad_and_zero(void **state)
{
	static const size_t sizes[] = {1, 2, 4, 8};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		for (size_t have = 0; have < sizes[i]; have++) {
			struct reader r;
			uint64_t v = sizes[i];

			reader_init(&r, bytes, have);
			switch (sizes[i]) {
			case 1:
				v = reader_u8(&r);
				break;
			case 2:
				v = reader_u16(&r);
				break;
			case 4:
				v = reader_u32(&r);
				break;
			case 8:
				v = reader_u64(&r);
				break;
			}
			assert_true(v == 0);
			assert_true(r.is_bad);
		}
	}
}

static void test_nothing_is_read_after_an_overrun(void **state)
{
	struct reader r;
	uint8_t out[2] = {0xff, 0xff};

	(void)state;
	reader_init(&r, bytes, 3);
	assert_int_equal(reader_u32(&r), 0);
	assert_int_equal(reader_left(&r), 0);
	assert_int_equal(reader_u8(&r), 0); /* byte 0 is there, but not what comes here */
	assert_true(r.is_bad);
	reader_bytes(&r, out, 2);
	assert_int_equal(out[0] | out[1], 0);
	assert_null(reader_take(&r, 1));
}

static void test_takes_in_place(void **state)
{
	struct reader r;
	uint8_t out[5];

	(void)state;
	reader_init(&r, bytes, 10);
	assert_ptr_equal(reader_take(&r, 4), bytes);
	reader_bytes(&r, out, 5);
	assert_memory_equal(out, bytes + 4, 5);
	assert_ptr_equal(reader_take(&r, 0), bytes + 9);
	assert_null(reader_take(&r, 2));
	assert_true(r.is_bad);
}

static void test_huge_length_does_not_wrap(void **state)
{
	struct reader r;

	(void)state;
	reader_init(&r, bytes, 4);
	assert_null(reader_take(&r, SIZE_MAX));
	assert_true(r.is_bad);
}

static void test_no_bytes_at_null(void **state)
{
	struct reader r;

	(void)state;
	reader_init(&r, NULL, 0);
	assert_int_equal(reader_left(&r), 0);
	assert_non_null(reader_take(&r, 0));
	assert_false(r.is_bad);
	assert_int_equal(reader_u8(&r), 0);
	assert_true(r.is_bad);
}

static void test_writes_what_reader_reads(void **state)
{
	uint8_t out[sizeof(bytes) + 3];
	struct writer w;

	(void)state;
	writer_init(&w, out, sizeof(out));
	writer_u8(&w, 0x01);
	writer_u16(&w, 0x0203);
	writer_u32(&w, 0x04050607);
	writer_u64(&w, 0x08090a0b0c0d0e0f);
	writer_bytes(&w, "xyz", 3);
	writer_bytes(&w, NULL, 0);
	assert_false(w.is_bad);
	assert_int_equal(writer_len(&w), sizeof(out));
	assert_memory_equal(out, bytes, sizeof(bytes));
	assert_memory_equal(out + sizeof(bytes), "xyz", 3);
}

static void test_writer_stops_at_first_overrun(void **state)
{
	uint8_t out[5] = {0, 0, 0, 0xee, 0xee};
	struct writer w;

	(void)state;
	writer_init(&w, out, 3);
	writer_u16(&w, 0xaabb);
	writer_u16(&w, 0xccdd);
	assert_true(w.is_bad);
	assert_int_equal(writer_len(&w), 2);
	writer_u8(&w, 0xcc); /* would fit, but not after what is missing */
	writer_bytes(&w, "z", 1);
	assert_int_equal(writer_len(&w), 2);
	assert_memory_equal(out, "\xaa\xbb\x00\xee\xee", 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_network_order),
		cmocka_unit_test(test_every_field_cut_short_is_bad_and_zero),
		cmocka_unit_test(test_nothing_is_read_after_an_overrun),
		cmocka_unit_test(test_takes_in_place),
		cmocka_unit_test(test_huge_length_does_not_wrap),
		cmocka_unit_test(test_no_bytes_at_null),
		cmocka_unit_test(test_writes_what_reader_reads),
		cmocka_unit_test(test_writer_stops_at_first_overrun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
