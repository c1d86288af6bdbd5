/* The pattern: pieces fit together into one stream, streams differ, and a stream does not look like
 * itself moved by a usual frame or message size. */
#include "common/base/pattern.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static int set_up(void **state)
{
	struct pattern *p = malloc(sizeof(*p));

	if (!p)
		return -1;
	pattern_init(p);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	free(*state);
	return 0;
}

static void test_the_same_everywhere(void **state)
{
	struct pattern *other = malloc(sizeof(*other));

	assert_non_null(other);
	pattern_init(other);
	assert_memory_equal(*state, other, sizeof(*other));
	free(other);
}

static void test_pieces_fit_together(void **state)
{
	static const uint64_t offsets[] = {0,	  1,	  65535,      65536,	     65537,
					   65538, 131073, 1ull << 40, UINT64_MAX / 2};
	const struct pattern *p = *state;

	for (size_t i = 0; i < sizeof(offsets) / sizeof(*offsets); i++) {
		for (uint64_t seed = 0; seed < 200000; seed += 33333) {
			const uint8_t *piece = pattern_at(p, seed, offsets[i]);

			assert_true(piece >= p->bytes);
			assert_true(piece + PATTERN_PIECE_MAX <= p->bytes + sizeof(p->bytes));
			assert_memory_equal(piece + 1000, pattern_at(p, seed, offsets[i] + 1000),
					    PATTERN_PIECE_MAX - 1000);
		}
	}
}

static void test_streams_differ(void **state)
{
	const struct pattern *p = *state;

	for (uint64_t seed = 0; seed < 1000; seed++)
		for (uint64_t other = seed + 1; other < seed + 10; other++)
			assert_memory_not_equal(pattern_at(p, seed, 0), pattern_at(p, other, 0),
						16);
}

/* What is lost, repeated or swapped in whole pieces shows. */
static void test_moved_by_a_piece_it_differs(void **state)
{
	static const uint64_t pieces[] = {1, 16, 256, 512, 1024, 1448, 4096, 16384, 65536, 1 << 20};
	const struct pattern *p = *state;

	for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++)
		assert_memory_not_equal(pattern_at(p, 3, 0), pattern_at(p, 3, pieces[i]), 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_the_same_everywhere, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_pieces_fit_together, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_streams_differ, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_moved_by_a_piece_it_differs, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
