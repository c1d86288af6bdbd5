/* with: src/mcast/traffic/streams.c src/mcast/core/ip.c */
/* Groups and ports of several streams: steps, carries, and where they end. */
#include "mcast/traffic/streams.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct streams streams(const char *group, uint16_t port, uint32_t count)
{
	struct streams s;

	streams_init(&s);
	assert_int_equal(ip_parse(group, &s.group), 0);
	s.port = port;
	s.count = count;
	s.interface_index = 7;
	return s;
}

static void expect_text(const struct streams *s, uint32_t index, const char *wanted)
{
	char text[HOSTPORT_TEXT_MAX];

	streams_text(s, index, text);
	assert_string_equal(text, wanted);
}

static void test_steps(void **state)
{
	struct streams s = streams("239.1.254.255", 5000, 600);

	(void)state;
	expect_text(&s, 0, "239.1.254.255:5000");
	expect_text(&s, 1, "239.1.255.0:5001");
	expect_text(&s, 257, "239.2.0.0:5257");
	s.group_step = 256;
	s.port_step = 0;
	expect_text(&s, 2, "239.2.0.255:5000");
	assert_int_equal(streams_check(&s), EXIT_DONE);
}

static void test_v6(void **state)
{
	struct streams s = streams("ff15::ffff:ffff:ffff:ffff", 5000, 3);
	union stream_address address;

	(void)state;
	expect_text(&s, 1, "[ff15:0:0:1::]:5001");
	assert_int_equal(streams_address(&s, 1, &address), sizeof(address.v6));
	assert_int_equal(address.v6.sin6_scope_id, 7);
	assert_int_equal(ntohs(address.v6.sin6_port), 5001);
	assert_int_equal(streams_check(&s), EXIT_DONE);
}

static void test_ends(void **state)
{
	struct streams s = streams("239.255.255.254", 65534, 2);
	struct ip group;

	(void)state;
	assert_int_equal(streams_check(&s), EXIT_DONE);
	assert_int_equal(streams_group(&s, 2, &group), -ERANGE); /* 240.0.0.0 */
	s.count = 3;
	assert_int_equal(streams_check(&s), EXIT_FAILED); /* port 65536 */
	s.port = 1000;
	assert_int_equal(streams_check(&s), EXIT_FAILED);
	s.group_step = 0;
	assert_int_equal(streams_check(&s), EXIT_DONE);
	s.port_step = 0; /* the same stream three times */
	assert_int_equal(streams_check(&s), EXIT_FAILED);
	s = streams("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 1000, 2);
	assert_int_equal(streams_check(&s), EXIT_FAILED);
}

static void test_source(void **state)
{
	struct streams s = streams("239.1.1.1", 5000, 1);

	(void)state;
	assert_int_equal(streams_option(&s, 'S', "10.0.0.1"), EXIT_DONE);
	assert_int_equal(streams_check(&s), EXIT_DONE);
	assert_int_equal(streams_option(&s, 'S', "fd00::1"), EXIT_DONE);
	assert_int_equal(streams_check(&s), EXIT_FAILED);
	assert_int_equal(streams_option(&s, 'S', "239.0.0.1"), EXIT_FAILED);
	assert_int_equal(streams_option(&s, 'S', "0.0.0.0"), EXIT_FAILED);
	assert_int_equal(streams_option(&s, 'g', "10.0.0.1"), EXIT_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_v6),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_source),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
