/* When a connection counts as stalled: looks at what the kernel would say, one after another. */
#include "common/io/stall.h"

#include "common/base/clock.h"
#include "common/base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define START_US (100 * US_PER_S)

static struct stall begun(void)
{
	struct stall s = {.delivered = 7};

	stall_begin(&s, START_US);
	return s;
}

/* One segment outstanding at a hop of 10 ms, last sent and heard long ago. */
static struct stall_look look_at(uint64_t after_ms)
{
	return (struct stall_look){
		.now_us = START_US + after_ms * US_PER_MS,
		.unacked_segments = 1,
		.delivered = 7,
		.sent_ms = 60000,
		.heard_ms = 60000,
		.rtt_us = 10000,
	};
}

static void two_rtts_and_a_delayed_ack_are_no_stall(void **state)
{
	struct stall s = begun();
	struct stall_look look = look_at(64);

	(void)state;
	assert_int_equal(stall_look(&s, &look), 2); /* exactly then, and one for rounding */
	assert_false(s.is_stalled);
	look = look_at(65);
	assert_int_equal(stall_look(&s, &look), SUBFLOW_LOOK_MS);
	assert_true(s.is_stalled);
}

static void a_long_way_gets_longer(void **state)
{
	struct stall s = begun();
	struct stall_look look = look_at(644);

	(void)state;
	look.rtt_us = 300000;
	stall_look(&s, &look);
	assert_false(s.is_stalled);
	look.now_us += US_PER_MS;
	stall_look(&s, &look);
	assert_true(s.is_stalled);
}

/* What was heard before the bytes were sent says nothing of them. */
static void idle_time_does_not_count(void **state)
{
	struct stall s = begun();
	struct stall_look look = look_at(10);

	(void)state;
	assert_int_equal(stall_look(&s, &look), SUBFLOW_LOOK_MS);
	assert_false(s.is_stalled);
}

static void progress_ends_it_and_begins_the_count_anew(void **state)
{
	struct stall s = begun();
	struct stall_look look = look_at(200);

	(void)state;
	stall_look(&s, &look);
	assert_true(s.is_stalled);
	look = look_at(210);
	look.delivered++;
	look.heard_ms = 4;
	look.sent_ms = 8;
	assert_int_equal(stall_look(&s, &look), SUBFLOW_LOOK_MS);
	assert_false(s.is_stalled);
	look.heard_ms += 60; /* and since then nothing: 206 + 65 ms */
	look.now_us = START_US + 270 * US_PER_MS;
	assert_int_equal(stall_look(&s, &look), 2);
	assert_false(s.is_stalled);
	look.now_us += US_PER_MS;
	stall_look(&s, &look);
	assert_true(s.is_stalled);
}

/* The oldest byte may have been sent right before this look, long after what was acknowledged. */
static void a_late_byte_is_not_blamed_on_an_old_acknowledgement(void **state)
{
	struct stall s = begun();
	struct stall_look look = look_at(100);

	(void)state;
	look.delivered++;
	look.heard_ms = 90;
	look.sent_ms = 1;
	stall_look(&s, &look);
	assert_false(s.is_stalled);
	look.now_us += 60 * US_PER_MS;
	stall_look(&s, &look);
	assert_false(s.is_stalled);
}

/* Dead in our direction only: the peer's segments come, and acknowledge nothing. */
static void a_peer_that_only_talks_is_stalled(void **state)
{
	struct stall s = begun();
	struct stall_look look = look_at(66);

	(void)state;
	look.heard_ms = 0;
	stall_look(&s, &look);
	assert_true(s.is_stalled);
}

static void a_slow_reader_never_is(void **state)
{
	struct stall s = begun();
	struct stall_look look = look_at(5000);

	(void)state;
	look.is_window_closed = true;
	assert_int_equal(stall_look(&s, &look), SUBFLOW_LOOK_MS);
	assert_false(s.is_stalled);
	look.unacked_segments = 0;
	look.unsent_bytes = 100000;
	look.now_us += US_PER_S;
	assert_int_equal(stall_look(&s, &look), SUBFLOW_LOOK_MS);
	assert_false(s.is_stalled);

	/* It reads again, and what goes out then has its own time. */
	look = look_at(6060);
	stall_look(&s, &look);
	assert_false(s.is_stalled);
	look = look_at(6066);
	stall_look(&s, &look);
	assert_true(s.is_stalled);
}

static void a_kernel_that_cannot_send_is_stalled(void **state)
{
	struct stall s = begun();
	struct stall_look look = look_at(66);

	(void)state;
	look.unacked_segments = 0;
	look.unsent_bytes = 100;
	assert_int_equal(stall_look(&s, &look), SUBFLOW_LOOK_MS);
	assert_true(s.is_stalled);
}

static void nothing_outstanding_ends_the_looking(void **state)
{
	struct stall s = begun();
	struct stall_look look = look_at(100);

	(void)state;
	stall_look(&s, &look);
	look.unacked_segments = 0;
	assert_int_equal(stall_look(&s, &look), 0);
	assert_false(s.is_stalled);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_rtts_and_a_delayed_ack_are_no_stall),
		cmocka_unit_test(a_long_way_gets_longer),
		cmocka_unit_test(idle_time_does_not_count),
		cmocka_unit_test(progress_ends_it_and_begins_the_count_anew),
		cmocka_unit_test(a_late_byte_is_not_blamed_on_an_old_acknowledgement),
		cmocka_unit_test(a_peer_that_only_talks_is_stalled),
		cmocka_unit_test(a_slow_reader_never_is),
		cmocka_unit_test(a_kernel_that_cannot_send_is_stalled),
		cmocka_unit_test(nothing_outstanding_ends_the_looking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
