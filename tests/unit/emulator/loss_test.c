/* with: src/emulator/core/loss.c */
/* Bursts: how often they begin, how long they are, and that loss goes on between them. */
#include "emulator/core/loss.h"

#include "emulator/core/quantity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define PACKETS 1000000

struct seen {
	uint64_t bursts, in_bursts, alone;
};

static struct seen look(const struct settings *s, uint64_t seed)
{
	struct seen seen = {0};
	struct loss loss = {false};
	struct rng rng;

	rng_init(&rng, seed);
	for (int i = 0; i < PACKETS; i++) {
		/* It may begin anew right behind its end, so lost neighbours are no measure. */
		bool was_burst = loss.is_burst;
		enum loss_kind kind = loss_next(&loss, s, &rng);

		seen.bursts += kind == LOSS_BURST && !was_burst;
		seen.in_bursts += kind == LOSS_BURST;
		seen.alone += kind == LOSS_RANDOM;
	}
	return seen;
}

static void test_none(void **state)
{
	const struct settings s = {.loss_ppb = 0};
	struct seen seen = look(&s, 1);

	(void)state;
	assert_int_equal(seen.in_bursts + seen.alone, 0);
}

static void test_all(void **state)
{
	const struct settings s = {.loss_ppb = PPB_ALL};

	(void)state;
	assert_int_equal(look(&s, 1).alone, PACKETS);
}

/* 0.1 %, 5 packets: a thousand bursts, nearly (in the bursts none begins). */
static void test_bursts_have_their_rate_and_length(void **state)
{
	const struct settings s = {.burst_ppb = PPB_ALL / 1000, .burst_mille = 5000};
	struct seen seen = look(&s, 2);

	(void)state;
	assert_in_range(seen.bursts, 840, 1155);
	/* The mean of a thousand geometric lengths: 5 with a deviation of 0.14. */
	assert_in_range(seen.in_bursts * 100 / seen.bursts, 430, 570);
	assert_int_equal(seen.alone, 0);
}

static void test_bursts_of_one(void **state)
{
	const struct settings s = {.burst_ppb = PPB_ALL / 100, .burst_mille = 1000};
	struct seen seen = look(&s, 3);

	(void)state;
	assert_int_equal(seen.in_bursts, seen.bursts);
	assert_in_range(seen.bursts, 9500, 10500);
}

static void test_both_kinds(void **state)
{
	const struct settings s = {.loss_ppb = PPB_ALL / 100,
				   .burst_ppb = PPB_ALL / 1000,
				   .burst_mille = 10000};
	struct seen seen = look(&s, 4);

	(void)state;
	assert_in_range(seen.in_bursts, 8000, 12000);
	assert_in_range(seen.alone, 9400, 10400);
}

static void test_switched_off_in_a_burst(void **state)
{
	struct settings s = {.burst_ppb = PPB_ALL, .burst_mille = 1000000};
	struct loss loss = {false};
	struct rng rng;

	(void)state;
	rng_init(&rng, 5);
	assert_int_equal(loss_next(&loss, &s, &rng), LOSS_BURST);
	s.burst_ppb = 0;
	assert_int_equal(loss_next(&loss, &s, &rng), LOSS_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_bursts_have_their_rate_and_length),
		cmocka_unit_test(test_bursts_of_one),
		cmocka_unit_test(test_both_kinds),
		cmocka_unit_test(test_switched_off_in_a_burst),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
