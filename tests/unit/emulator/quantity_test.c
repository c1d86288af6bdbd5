/* with: src/emulator/core/quantity.c */
/* Numbers with units: what they mean, and what is refused. */
#include "emulator/core/quantity.h"

#include "emulator/core/limits.h"

#include <errno.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static uint64_t rate(const char *text)
{
	uint64_t value;

	assert_int_equal(quantity_rate(text, &value), 0);
	return value;
}

static uint64_t time_of(const char *text)
{
	uint64_t value;

	assert_int_equal(quantity_time(text, &value), 0);
	return value;
}

static uint64_t chance(const char *text)
{
	uint64_t value;

	assert_int_equal(quantity_chance(text, &value), 0);
	return value;
}

static void test_good(void **state)
{
	uint64_t bytes, packets, mean;

	(void)state;
	assert_int_equal(rate("50mbit"), 50000000);
	assert_int_equal(rate("2.5gbit"), 2500000000);
	assert_int_equal(rate("56Kbit"), 56000);
	assert_int_equal(rate("1tbit"), RATE_BPS_MAX);
	assert_int_equal(rate("300bit"), 300);
	assert_int_equal(time_of("10ms"), 10000000);
	assert_int_equal(time_of("0.25ms"), 250000);
	assert_int_equal(time_of("0.000001ms"), 1);
	assert_int_equal(time_of("7us"), 7000);
	assert_int_equal(time_of("60s"), TIME_NS_MAX);
	assert_int_equal(time_of("0ms"), 0);
	assert_int_equal(chance("100%"), PPB_ALL);
	assert_int_equal(chance("0.1%"), 1000000);
	assert_int_equal(chance("0.0000001%"), 1);
	assert_int_equal(quantity_limit("64kb", &bytes, &packets), 0);
	assert_int_equal(bytes, 65536);
	assert_int_equal(packets, 0);
	assert_int_equal(quantity_limit("100p", &bytes, &packets), 0);
	assert_int_equal(bytes, 0);
	assert_int_equal(packets, 100);
	assert_int_equal(quantity_mean("2.5", &mean), 0);
	assert_int_equal(mean, 2500);
}

static void test_refused(void **state)
{
	static const char *const no_number[] = {"",	   "mbit",   ".5mbit", "5.mbit",
						"-5mbit",  "+5mbit", " 5mbit", "5 mbit",
						"5mbits",  "5",	     "5ms",    "1.2.3mbit",
						"0x5mbit", "5mbit "};
	static const char *const too_much[] = {"2tbit", "1000.1gbit", "0.1bit",
					       "9999999999999999999mbit",
					       "99999999999999999999999999999mbit"};
	uint64_t a = 77, b = 77;

	(void)state;
	for (size_t i = 0; i < sizeof(no_number) / sizeof(*no_number); i++)
		assert_int_equal(quantity_rate(no_number[i], &a), -EINVAL);
	for (size_t i = 0; i < sizeof(too_much) / sizeof(*too_much); i++)
		assert_int_equal(quantity_rate(too_much[i], &a), -ERANGE);
	assert_int_equal(quantity_time("61s", &a), -ERANGE);
	assert_int_equal(quantity_time("0.0000001ms", &a), -ERANGE);
	assert_int_equal(quantity_chance("100.0000001%", &a), -ERANGE);
	assert_int_equal(quantity_chance("0.5", &a), -EINVAL);
	assert_int_equal(quantity_limit("0p", &a, &b), -ERANGE);
	assert_int_equal(quantity_limit("0kb", &a, &b), -ERANGE);
	assert_int_equal(quantity_limit("1000001p", &a, &b), -ERANGE);
	assert_int_equal(quantity_limit("2000mb", &a, &b), -ERANGE);
	assert_int_equal(quantity_limit("64k", &a, &b), -EINVAL);
	assert_int_equal(quantity_mean("0.9", &a), -ERANGE);
	assert_int_equal(quantity_mean("five", &a), -EINVAL);
	assert_int_equal(a, 77);
	assert_int_equal(b, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
