/* Numbers, sizes, times and hosts from text: what is taken, what is refused, and that a refusal
 * leaves the output alone. */
#include "common/conf/parse.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void numbers(void **state)
{
	uint64_t v = 7;

	(void)state;
	assert_int_equal(parse_u64("18446744073709551615", 0, UINT64_MAX, &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(parse_u64("18446744073709551616", 0, UINT64_MAX, &v), -ERANGE);
	assert_int_equal(parse_u64("", 0, 9, &v), -EINVAL);
	assert_int_equal(parse_u64(" 1", 0, 9, &v), -EINVAL);
	assert_int_equal(parse_u64("1 ", 0, 9, &v), -EINVAL);
	assert_int_equal(parse_u64("0x1", 0, 9, &v), -EINVAL);
	assert_int_equal(parse_u64("1", 2, 9, &v), -ERANGE);
	assert_int_equal(parse_size("17179869184G", 0, UINT64_MAX, &v), -ERANGE);
	assert_int_equal(parse_size("99999999999999999999999999", 0, UINT64_MAX, &v), -ERANGE);
	assert_int_equal(parse_size("K", 0, UINT64_MAX, &v), -EINVAL);
	assert_true(v == UINT64_MAX);
	assert_int_equal(parse_size("3k", 0, UINT64_MAX, &v), 0);
	assert_int_equal(v, 3072);
	assert_int_equal(parse_time("3S", 0, UINT64_MAX, &v), 0);
	assert_int_equal(v, 3000);
	assert_int_equal(parse_time("3 s", 0, UINT64_MAX, &v), -EINVAL);
}

/* A label may have 63 letters, a name 253. */
#define LABEL_63 "abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-123456789"

static const char label_64[] = "x" LABEL_63;
static const char name_255[] = LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63;

static void hosts(void **state)
{
	static const char *const bad_hosts[] = {
		"",	 ".",	       "a..b",	      "a.",  "-a",     "a-",	 "a_b",
		"1.2.3", "10.0.0.300", "127",	      ":::", "::1%lo", "[::1",	 "::1]",
		"[]",	 "[",	       "[127.0.0.1]", "a b", "a/b",    label_64, name_255,
	};
	char host[CONF_HOST_MAX] = "before";

	(void)state;
	for (size_t i = 0; i < sizeof(bad_hosts) / sizeof(bad_hosts[0]); i++) {
		assert_int_equal(parse_host(bad_hosts[i], host), -EINVAL);
		assert_string_equal(host, "before");
	}
	assert_int_equal(parse_host("[2001:DB8:0::1]", host), 0);
	assert_string_equal(host, "2001:db8::1");
	assert_int_equal(parse_host("3com.example", host), 0);
	assert_string_equal(host, "3com.example");
	assert_int_equal(parse_host(LABEL_63 "." LABEL_63 "." LABEL_63, host), 0);
}

static void formats_mirror_parsers(void **state)
{
	static const uint64_t values[] = {0,	 1,   999,	     1000,	    1024,      1500,
					  65536, MIB, 1536ull * MIB, 1024ull * MIB, UINT64_MAX};
	char text[FORMAT_MAX];
	uint64_t v = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		format_size(values[i], text);
		assert_int_equal(parse_size(text, 0, UINT64_MAX, &v), 0);
		assert_true(v == values[i]);
		format_time(values[i], text);
		assert_int_equal(parse_time(text, 0, UINT64_MAX, &v), 0);
		assert_true(v == values[i]);
	}
	format_size(1536ull * MIB, text);
	assert_string_equal(text, "1536M");
	format_time(30000, text);
	assert_string_equal(text, "30s");
}

static void names_are_cut_where_they_do_not_fit(void **state)
{
	static char long_name[200];
	const char *const two[] = {"a", "bc", NULL}, *const none[] = {NULL};
	const char *const much[] = {long_name, long_name, "z", NULL};
	char text[NAMES_TEXT_MAX];

	(void)state;
	names_text(two, text);
	assert_string_equal(text, "a, bc");
	names_text(none, text);
	assert_string_equal(text, "");
	memset(long_name, 'x', sizeof(long_name) - 1);
	names_text(much, text);
	assert_int_equal(strlen(text), NAMES_TEXT_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(hosts),
		cmocka_unit_test(formats_mirror_parsers),
		cmocka_unit_test(names_are_cut_where_they_do_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
