/* The one-byte commands of the comm socket: what is a command, what is a part of one and what
 * can never become one; every prefix of a good command asks for more. */
#include "common/wire/ctlmsg.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int decode(const char *bytes, size_t len, size_t *ret_used, struct ctlmsg *ret)
{
	return ctlmsg_decode((const uint8_t *)bytes, len, ret_used, ret);
}

static void single_bytes_are_commands(void **state)
{
	static const char *const names[] = {"health_check", NULL, "update_topo", "reset", "close"};
	struct ctlmsg msg;
	size_t used;

	(void)state;
	for (int op = '1'; op <= '5'; op++) {
		const char bytes[] = {(char)op, '1'};

		if (op == CTLMSG_UPDATE_TOPO_PRE)
			continue;
		used = 0;
		assert_int_equal(decode(bytes, sizeof(bytes), &used, &msg), 1);
		assert_int_equal(used, 1);
		assert_int_equal(msg.op, op);
		assert_int_equal(msg.address_count, 0);
		assert_string_equal(ctlmsg_op_name(msg.op), names[op - '1']);
	}
}

static void other_bytes_are_not(void **state)
{
	(void)state;
	for (int b = 0; b < 256; b++) {
		const uint8_t byte = (uint8_t)b;
		struct ctlmsg msg;
		size_t used = 77;

		if (b >= '1' && b <= '5')
			continue;
		assert_int_equal(ctlmsg_decode(&byte, 1, &used, &msg), -EPROTO);
		assert_int_equal(used, 77);
	}
}

static void addresses_are_big_endian(void **state)
{
	static const char bytes[] = "22\x0a\x00\x00\x01\x1b\x58\xc0\xa8\x07\xfe\xff\xff"
				    "3";
	struct ctlmsg msg;
	size_t used = 0;

	(void)state;
	for (size_t len = 0; len < 14; len++)
		assert_int_equal(decode(bytes, len, &used, &msg), 0);
	assert_int_equal(used, 0);
	assert_int_equal(decode(bytes, sizeof(bytes) - 1, &used, &msg), 1);
	assert_int_equal(used, 14);
	assert_int_equal(msg.op, CTLMSG_UPDATE_TOPO_PRE);
	assert_string_equal(ctlmsg_op_name(msg.op), "update_topo_pre");
	assert_int_equal(msg.address_count, 2);
	assert_memory_equal(msg.addresses[0].ip, "\x0a\x00\x00\x01", 4);
	assert_int_equal(msg.addresses[0].port, 7000);
	assert_memory_equal(msg.addresses[1].ip, "\xc0\xa8\x07\xfe", 4);
	assert_int_equal(msg.addresses[1].port, 65535);
}

static void the_count_is_checked_at_once(void **state)
{
	static const uint8_t counts[] = {0, '/', '0', '0' + PATHS_MAX + 1, 0xff};
	struct ctlmsg msg;
	size_t used;

	(void)state;
	for (size_t i = 0; i < sizeof(counts); i++) {
		const uint8_t bytes[] = {'2', counts[i]};

		assert_int_equal(ctlmsg_decode(bytes, 2, &used, &msg), -EPROTO);
	}
}

static void the_largest_count_fits(void **state)
{
	uint8_t bytes[2 + 6 * PATHS_MAX];
	struct ctlmsg msg;
	size_t used;

	(void)state;
	memset(bytes, 1, sizeof(bytes));
	bytes[0] = '2';
	bytes[1] = '0' + PATHS_MAX;
	assert_int_equal(ctlmsg_decode(bytes, sizeof(bytes) - 1, &used, &msg), 0);
	assert_int_equal(ctlmsg_decode(bytes, sizeof(bytes), &used, &msg), 1);
	assert_int_equal(used, sizeof(bytes));
	assert_int_equal(msg.address_count, PATHS_MAX);
	assert_int_equal(msg.addresses[PATHS_MAX - 1].port, 0x0101);
}

static void port_0_is_refused(void **state)
{
	struct ctlmsg msg;
	size_t used;

	(void)state;
	assert_int_equal(decode("21\x7f\x00\x00\x01\x00\x00", 8, &used, &msg), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(single_bytes_are_commands),
		cmocka_unit_test(other_bytes_are_not),
		cmocka_unit_test(addresses_are_big_endian),
		cmocka_unit_test(the_count_is_checked_at_once),
		cmocka_unit_test(the_largest_count_fits),
		cmocka_unit_test(port_0_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
