/* The way back of acknowledgements, by two clocks that have nothing to do with each other. */
#include "common/flow/wayback.h"

#include "common/base/clock.h"
#include "common/base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define WAY_US (20 * US_PER_MS)

/* An ACK that is on its way for `way_us`, by clocks that are `offset_us` apart. */
static uint64_t take(struct wayback *w, uint64_t sent_us, uint64_t way_us, uint32_t offset_us)
{
	return wayback_take(w, (uint32_t)sent_us + offset_us, sent_us + way_us);
}

static void only_what_is_longer_than_the_shortest_counts(void **state)
{
	static const uint32_t offsets[] = {0, 1, INT32_MAX, (uint32_t)INT32_MAX + 1, UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof(offsets) / sizeof(*offsets); i++) {
		struct wayback w = {0};
		/* The lower half of our clock wraps under way. */
		uint64_t now_us = UINT32_MAX - US_PER_S;

		assert_int_equal(take(&w, now_us, WAY_US, offsets[i]), 0);
		for (int k = 0; k < 300; k++) {
			now_us += 10 * US_PER_MS;
			assert_int_equal(take(&w, now_us, WAY_US + 700, offsets[i]), 700);
		}
		assert_int_equal(take(&w, now_us, WAY_US - 5000, offsets[i]), 0);
		assert_int_equal(take(&w, now_us, WAY_US, offsets[i]), 5000);
	}
}

/* The route has changed, or one clock runs faster. */
static void a_longer_way_becomes_the_shortest(void **state)
{
	struct wayback w = {0};
	uint64_t start_us = 77 * US_PER_S, now_us = start_us, after_us = 0;

	(void)state;
	take(&w, now_us, WAY_US, 12345);
	for (; now_us < start_us + 3 * PATH_RTT_WINDOW_MS * US_PER_MS; now_us += US_PER_MS)
		if (take(&w, now_us, 2 * WAY_US, 12345) > 0)
			after_us = now_us;
	assert_in_range(after_us - start_us, PATH_RTT_WINDOW_MS * US_PER_MS - WAY_US,
			2 * PATH_RTT_WINDOW_MS * US_PER_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_is_longer_than_the_shortest_counts),
		cmocka_unit_test(a_longer_way_becomes_the_shortest),
	};

	return cmocka_run_group_tests_name("wayback", tests, NULL, NULL);
}
