/* The clock counts microseconds of CLOCK_MONOTONIC and never goes back. */
#include "common/base/clock.h"

#include <time.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static uint64_t monotonic_us(void)
{
	struct timespec ts;

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &ts), 0);
	return (uint64_t)ts.tv_sec * US_PER_S + (uint64_t)ts.tv_nsec / 1000;
}

static void test_lies_between_two_readings(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++) {
		uint64_t before = monotonic_us();
		uint64_t now = clock_now_us();

		assert_true(before <= now && now <= monotonic_us());
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lies_between_two_readings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
