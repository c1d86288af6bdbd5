/* with: src/echo/client/sources.c */
/* Source addresses by number: never a network's or broadcast address, and prefixes that are none.
 * And samples, which are numbers spread evenly. */
#include "echo/client/sources.h"

#include "echo/client/sample.h"

#include <arpa/inet.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct example {
	const char *prefix;
	uint32_t count;
	const char *first, *last;
};

static void check_address(const union address *a, const char *expected)
{
	char text[INET6_ADDRSTRLEN];
	const void *bytes =
		a->any.sa_family == AF_INET ? (const void *)&a->v4.sin_addr : &a->v6.sin6_addr;

	assert_non_null(inet_ntop(a->any.sa_family, bytes, text, sizeof(text)));
	assert_string_equal(text, expected);
	assert_int_equal(a->any.sa_family == AF_INET ? a->v4.sin_port : a->v6.sin6_port, 0);
}

static void test_prefixes(void **state)
{
	static const struct example examples[] = {
		{"127.0.0.0/8", 16777214, "127.0.0.1", "127.255.255.254"},
		{"10.1.2.0/24", 254, "10.1.2.1", "10.1.2.254"},
		{"10.1.2.200/24", 55, "10.1.2.200", "10.1.2.254"},
		{"10.1.2.1/24", 254, "10.1.2.1", "10.1.2.254"},
		{"10.1.2.4/30", 2, "10.1.2.5", "10.1.2.6"},
		{"10.1.2.4/31", 2, "10.1.2.4", "10.1.2.5"},
		{"10.1.2.5/32", 1, "10.1.2.5", "10.1.2.5"},
		{"0.0.0.0/0", 4294967294u, "0.0.0.1", "255.255.255.254"},
		{"fd00:1::/120", 255, "fd00:1::1", "fd00:1::ff"},
		{"fd00:1::10/112", 65520, "fd00:1::10", "fd00:1::ffff"},
		{"fd00:1::2/127", 2, "fd00:1::2", "fd00:1::3"},
		{"::1/128", 1, "::1", "::1"},
		{"fd00:2::/64", UINT32_MAX, "fd00:2::1", "fd00:2::ffff:ffff"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(examples) / sizeof(*examples); i++) {
		const struct example *e = &examples[i];
		char why[WHY_BYTES_MAX];
		union address a;
		struct sources s;

		assert_int_equal(sources_parse(e->prefix, &s, why), 0);
		assert_int_equal(s.count, e->count);
		a = sources_nth(&s, 0);
		check_address(&a, e->first);
		a = sources_nth(&s, s.count - 1);
		check_address(&a, e->last);
	}
}

static void test_carry(void **state)
{
	char why[WHY_BYTES_MAX];
	union address a;
	struct sources s;

	(void)state;
	assert_int_equal(sources_parse("10.1.0.0/16", &s, why), 0);
	a = sources_nth(&s, 255);
	check_address(&a, "10.1.1.0"); /* the network's address of a smaller prefix only */
}

static void test_no_prefixes(void **state)
{
	static const char *const texts[] = {
		"",
		"10.0.0.0",
		"/8",
		"10.0.0.0/",
		"10.0.0.0/33",
		"10.0.0/8",
		"10.0.0.0/8 ",
		"10.0.0.0/-1",
		"fd00::/129",
		"localhost/8",
		"10.0.0.255/24",
		"fd00::1/x",
		"0000:0000:0000:0000:0000:ffff:255.255.255.2550/8",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		char why[WHY_BYTES_MAX] = "";
		struct sources s = {.count = 77};

		assert_true(sources_parse(texts[i], &s, why) < 0);
		assert_string_not_equal(why, "");
		assert_int_equal(s.count, 77);
	}
}

static void check_sample(uint64_t count, uint64_t sample)
{
	uint64_t taken = 0, gap = 0, gap_max = 0;

	for (uint64_t i = 0; i < count; i++) {
		bool has = sample_has(i, count, sample);

		gap = has ? 0 : gap + 1;
		gap_max = gap > gap_max ? gap : gap_max;
		taken += has;
	}
	assert_true(taken == sample);
	assert_true(sample == 0 || gap_max <= count / sample);
}

static void test_samples(void **state)
{
	(void)state;
	check_sample(1000, 1000);
	check_sample(1000, 0);
	check_sample(1000, 1);
	check_sample(1000, 7);
	check_sample(999, 998);
	check_sample(1, 1);
	check_sample(0, 0);
	assert_true(sample_before(10, 0, 0) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_carry),
		cmocka_unit_test(test_no_prefixes),
		cmocka_unit_test(test_samples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
