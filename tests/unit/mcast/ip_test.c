/* with: src/mcast/core/ip.c */
/* Addresses as text and back, and what they are. */
#include "mcast/core/ip.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct ip ip(const char *text)
{
	struct ip ip;

	assert_int_equal(ip_parse(text, &ip), 0);
	return ip;
}

static void assert_text(const char *in, const char *out)
{
	struct ip parsed = ip(in);
	char text[IP_TEXT_MAX];

	ip_text(&parsed, text);
	assert_string_equal(text, out);
}

static void test_text(void **state)
{
	const struct ip none = {.family = IP_NONE};
	char text[IP_TEXT_MAX];

	(void)state;
	assert_text("239.1.1.1", "239.1.1.1");
	assert_text("FF3E:0:0:0::1", "ff3e::1");
	assert_text("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1");
	assert_text("::", "::");
	assert_text("::ffff:239.1.1.1", "239.1.1.1");
	ip_text(&none, text);
	assert_string_equal(text, "");
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"",	      "239.1.1",     "239.1.1.256", "239.1.1.1 ", "239.1.1.01a",
		"[ff3e::1]",  "fe80::1%br0", "ff3e:::1",    "tv1",	  "0xef010101",
		"239.1.1.1:1"};
	struct ip got = {.family = IP_NONE};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(ip_parse(bad[i], &got), -EINVAL);
		assert_int_equal(got.family, IP_NONE);
	}
}

static void test_kinds(void **state)
{
	const struct ip none = {.family = IP_NONE}, low = ip("224.0.0.0"),
			high = ip("239.255.255.255"), below = ip("223.255.255.255"),
			above = ip("240.0.0.0"), v6 = ip("ff00::"), link = ip("febf::1"),
			site = ip("fec0::1"), zero = ip("0.0.0.0"), zero6 = ip("::"),
			all = ip("255.255.255.255");

	(void)state;
	assert_true(ip_is_multicast(&low) && ip_is_multicast(&high) && ip_is_multicast(&v6));
	assert_false(ip_is_multicast(&below) || ip_is_multicast(&above) || ip_is_multicast(&link));
	assert_false(ip_is_multicast(&none) || ip_is_unspecified(&none) || ip_is_broadcast(&none));
	assert_true(ip_is_link_local_v6(&link));
	assert_false(ip_is_link_local_v6(&site) || ip_is_link_local_v6(&low));
	assert_true(ip_is_unspecified(&zero) && ip_is_unspecified(&zero6));
	assert_false(ip_is_same(&zero, &zero6) || ip_is_unspecified(&low));
	assert_true(ip_is_broadcast(&all));
	assert_false(ip_is_broadcast(&high));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
