/* with: src/mcast/sink/account.c */
/* What is known of sequence numbers: lost, twice, late, exactly, within the window. */
#include "mcast/sink/account.h"

#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct account a; /* 8 KiB */

static void take(uint64_t from, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		account_take(&a, from + i);
}

static void test_in_order(void **state)
{
	(void)state;
	account_init(&a);
	assert_int_equal(account_lost(&a, 0), 0);
	assert_int_equal(account_lost(&a, 10), 10);
	assert_false(account_is_over(&a, 1));
	take(0, 200000);
	assert_int_equal(a.unique, 200000);
	assert_int_equal(account_lost(&a, 0), 0);
	assert_true(account_is_exact(&a, 200000));
	assert_false(account_is_exact(&a, 199999));
	assert_false(account_is_exact(&a, 200001));
	assert_int_equal(account_lost(&a, 200001), 1);
}

/* Without a number that is expected, only what lies between two that came is lost. */
static void test_holes(void **state)
{
	(void)state;
	account_init(&a);
	take(100, 10);
	take(115, 5);
	assert_int_equal(account_lost(&a, 0), 5);
	assert_int_equal(account_lost(&a, 200), 185);
	assert_true(account_is_over(&a, 120));
	assert_false(account_is_over(&a, 121));
	account_take(&a, 111);
	assert_int_equal(account_lost(&a, 0), 4);
	assert_int_equal(a.reordered, 1);
	account_take(&a, 90); /* before the first one: it was none */
	assert_int_equal(account_lost(&a, 0), 13);
}

static void test_copies(void **state)
{
	(void)state;
	account_init(&a);
	take(0, 10);
	take(5, 10); /* five of them again */
	account_take(&a, 0);
	assert_int_equal(a.duplicated, 6);
	assert_int_equal(a.unique, 15);
	assert_int_equal(a.reordered, 0);
	assert_false(account_is_exact(&a, 15));
}

static void test_window(void **state)
{
	(void)state;
	account_init(&a);
	take(0, 1);
	take(2, ACCOUNT_WINDOW - 1); /* 1 is the last that can still be told */
	account_take(&a, 1);
	assert_int_equal(a.reordered, 1);
	account_take(&a, 0);
	assert_int_equal(a.too_late, 1);
	account_take(&a, ACCOUNT_WINDOW + 1);
	account_take(&a, 1);
	assert_int_equal(a.too_late, 2);
	assert_int_equal(a.duplicated, 0);
	assert_int_equal(account_lost(&a, 0), 0);
}

/* Far ahead: what lay in the places of the new numbers is forgotten. */
static void test_jump(void **state)
{
	(void)state;
	account_init(&a);
	take(0, 100);
	account_take(&a, 10 * ACCOUNT_WINDOW + 50);
	account_take(&a, 10 * ACCOUNT_WINDOW + 49);
	assert_int_equal(a.duplicated, 0);
	assert_int_equal(a.unique, 102);
	assert_int_equal(account_lost(&a, 0), 10 * ACCOUNT_WINDOW + 51 - 102);
}

/* Anything, beside a table of all numbers. */
static void test_random(void **state)
{
	enum { COUNT = 300000, SPREAD = 5000 };
	uint8_t *seen = calloc(COUNT + SPREAD, 1);
	uint64_t unique = 0, copies = 0, highest = 0, lost = 0;
	struct rng rng;

	(void)state;
	rng_init(&rng, 1);
	account_init(&a);
	for (uint64_t i = 0; i < COUNT; i++) {
		uint64_t n = i + rng_below(&rng, SPREAD);

		copies += seen[n];
		unique += !seen[n];
		seen[n] = 1;
		highest = n > highest ? n : highest;
		account_take(&a, n);
	}
	for (uint64_t n = 0; n <= highest; n++)
		lost += !seen[n];
	assert_int_equal(a.unique, unique);
	assert_int_equal(a.duplicated, copies);
	assert_int_equal(a.too_late, 0);
	assert_int_equal(account_lost(&a, highest + 1), lost);
	free(seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_order), cmocka_unit_test(test_holes),
		cmocka_unit_test(test_copies),	 cmocka_unit_test(test_window),
		cmocka_unit_test(test_jump),	 cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
