/* The sending side of one session: what is acknowledged is freed and leaves its path's account,
 * what a path loses goes out again in stream order, and lies are refused. */
#include "common/flow/sendq.h"

#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/flow/budget.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NOW (10 * US_PER_S)
#define BOTH 3u /* paths are alive */

struct fixture {
	struct budget budget;
	struct sendq q;
	struct path paths[2];
	struct path *slots[2];
};

static int set_up(void **state)
{
	static struct fixture f;

	budget_init(&f.budget, 64 * MIB, 16, FIRST_CREDIT_BYTES);
	sendq_init(&f.q, 1000000, f.slots);
	for (uint16_t i = 0; i < 2; i++) {
		path_init(&f.paths[i], NULL, i, 1, FRAME_PAYLOAD_DEFAULT, NULL);
		f.slots[i] = &f.paths[i];
	}
	*state = &f;
	return 0;
}

/* Nothing is left behind: no bytes, no segments, nothing on the paths' accounts. */
static int tear_down(void **state)
{
	struct fixture *f = *state;

	sendq_clear(&f->q, &f->budget);
	assert_int_equal(f->paths[0].inflight_bytes, 0);
	assert_int_equal(f->paths[1].inflight_bytes, 0);
	assert_int_equal(f->budget.segments.used, 0);
	assert_int_equal(f->budget.chunks.used_bytes, 0);
	budget_done(&f->budget);
	return 0;
}

/* Each byte of the stream says its offset. */
static struct segment *push(struct fixture *f, int path, uint32_t len, bool is_fin)
{
	struct slice data = {0};

	if (len > 0) {
		data.chunk = chunk_new(&f->budget.chunks, len);
		data.at = data.chunk->bytes;
		data.len = len;
	}
	for (uint32_t i = 0; i < len; i++)
		data.at[i] = (uint8_t)(f->q.next + i);
	return sendq_push_take(&f->q, &f->budget, &f->paths[path], data, is_fin, NOW);
}

static int ack(struct fixture *f, uint64_t offset, uint64_t range_start, uint64_t range_end)
{
	struct ack_info info = {
		.range_count = range_end > 0,
		.ranges = {{range_start, range_end}},
	};

	int count = sendq_on_ack(&f->q, &f->budget, offset, &info, 0, NOW + 10000);

	return count < 0 ? count : 0;
}

/* The lost segments in the order in which they go out again, all on `path`. */
static void assert_resent(struct fixture *f, int path, size_t count, const uint64_t offsets[])
{
	for (size_t i = 0; i < count; i++) {
		struct segment *s;

		assert_false(list_is_empty(&f->q.lost));
		s = sendq_resend(&f->q, &f->paths[path], NOW);
		assert_int_equal(s->offset, offsets[i]);
		assert_ptr_equal(s->path, &f->paths[path]);
		if (s->data.len > 0)
			assert_int_equal(s->data.at[0], (uint8_t)offsets[i]);
	}
	assert_true(list_is_empty(&f->q.lost));
}

/* ---- acknowledging ---- */

static void segments_follow_each_other(void **state)
{
	struct fixture *f = *state;

	assert_true(sendq_is_acked(&f->q));
	assert_int_equal(push(f, 0, 100, false)->offset, 0);
	assert_int_equal(push(f, 1, 50, false)->offset, 100);
	assert_int_equal(push(f, 0, 1, false)->offset, 150);
	assert_int_equal(f->q.next, 151);
	assert_int_equal(f->paths[0].inflight_bytes, 101);
	assert_int_equal(f->paths[1].inflight_bytes, 50);
	assert_false(sendq_is_acked(&f->q));
}

static void an_ack_frees_what_is_below(void **state)
{
	struct fixture *f = *state;

	push(f, 0, 2000, false);
	push(f, 1, 500, false);
	push(f, 0, 70, false);
	assert_int_equal(ack(f, 2500, 0, 0), 0);
	assert_int_equal(f->q.acked, 2500);
	assert_int_equal(f->paths[0].inflight_bytes, 70);
	assert_int_equal(f->paths[1].inflight_bytes, 0);
	assert_int_equal(f->budget.chunks.used_bytes, 1 * KIB);
	assert_int_equal(ack(f, 2570, 0, 0), 0);
	assert_true(sendq_is_acked(&f->q));
	assert_true(f->paths[0].base_rtt_us == 10000);
}

/* They may have arrived by the path that was given up: that is no rate of the second one. */
static void what_was_sent_again_does_not_count_as_delivered(void **state)
{
	struct fixture *f = *state;

	push(f, 0, 1000, false);
	push(f, 1, 10, false);
	sendq_path_lost(&f->q, &f->paths[0], BOTH);
	assert_resent(f, 1, 1, (uint64_t[]){0});
	assert_int_equal(ack(f, 1010, 0, 0), 0);
	assert_int_equal(f->paths[1].delivered_bytes, 10);
	assert_true(f->paths[1].progress_us == NOW + 10000);
	assert_int_equal(f->paths[1].inflight_bytes, 0);
}

/* The answer to it takes 10 ms: TCP had to send it again. */
static void push_on_short_path(struct fixture *f, bool is_app_limited, uint64_t rtt_us)
{
	f->paths[0].base_rtt_us = rtt_us;
	f->paths[0].rate_Bps = 0;
	push(f, 0, 10, false)->mark.is_app_limited = is_app_limited;
	assert_int_equal(ack(f, f->q.next, 0, 0), 0);
}

static void a_lone_message_that_was_late_makes_doubt(void **state)
{
	struct fixture *f = *state;

	push_on_short_path(f, true, 10000 - LATE_SLACK_MS * US_PER_MS);
	assert_int_equal(f->paths[0].doubt_us, 0);
	push_on_short_path(f, false, 1000); /* with others before it: those tell */
	assert_int_equal(f->paths[0].doubt_us, 0);
	push_on_short_path(f, true, 1000);
	assert_int_equal(f->paths[0].doubt_us, 9000);
}

static void an_ack_in_the_middle_trims(void **state)
{
	struct fixture *f = *state;
	struct segment *s = push(f, 0, 1000, false);

	assert_int_equal(ack(f, 300, 0, 0), 0);
	assert_int_equal(s->offset, 300);
	assert_int_equal(s->data.len, 700);
	assert_int_equal(s->data.at[0], (uint8_t)300);
	assert_int_equal(f->paths[0].inflight_bytes, 700);
	sendq_path_lost(&f->q, &f->paths[0], BOTH);
	assert_int_equal(ack(f, 301, 0, 0), 0); /* also of what is on no path */
	assert_resent(f, 1, 1, (uint64_t[]){301});
	assert_int_equal(f->paths[1].inflight_bytes, 699);
}

static void an_old_ack_changes_nothing(void **state)
{
	struct fixture *f = *state;

	push(f, 0, 1000, false);
	push(f, 0, 1000, false);
	assert_int_equal(ack(f, 1000, 0, 0), 0);
	assert_int_equal(ack(f, 400, 500, 600), 0);
	assert_int_equal(f->q.acked, 1000);
	assert_int_equal(f->paths[0].inflight_bytes, 1000);
}

static void credit_only_grows(void **state)
{
	struct fixture *f = *state;
	struct ack_info info = {.credit = 2000000};

	assert_int_equal(sendq_on_ack(&f->q, &f->budget, 0, &info, 0, NOW), 0);
	assert_int_equal(f->q.credit, 2000000);
	info.credit = 1500000;
	assert_int_equal(sendq_on_ack(&f->q, &f->budget, 0, &info, 0, NOW), 0);
	assert_int_equal(f->q.credit, 2000000);
}

/* ---- ranges ---- */

static void ranges_free_whole_segments(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 6; i++)
		push(f, i % 2, 100, false);
	/* All of the third and fourth, some of the fifth. */
	assert_int_equal(ack(f, 0, 200, 450), 0);
	assert_int_equal(f->paths[0].inflight_bytes, 200);
	assert_int_equal(f->paths[1].inflight_bytes, 200);
	sendq_path_lost(&f->q, &f->paths[0], BOTH);
	sendq_path_lost(&f->q, &f->paths[1], BOTH);
	assert_resent(f, 0, 4, (uint64_t[]){0, 100, 400, 500});
}

static void several_ranges_at_once(void **state)
{
	struct fixture *f = *state;
	struct ack_info info = {
		.range_count = 3,
		.ranges = {{150, 250}, {300, 500}, {600, 800}},
	};

	for (int i = 0; i < 8; i++)
		push(f, 0, 100, false);
	assert_int_equal(sendq_on_ack(&f->q, &f->budget, 100, &info, 0, NOW), 5);
	sendq_path_lost(&f->q, &f->paths[0], BOTH);
	assert_resent(f, 1, 3, (uint64_t[]){100, 200, 500});
}

/* ---- loss ---- */

static void a_lost_path_gives_its_segments_back_in_order(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 6; i++)
		push(f, i % 2, 100, false);
	assert_int_equal(sendq_path_lost(&f->q, &f->paths[1], BOTH), 3);
	assert_int_equal(f->paths[1].inflight_bytes, 0);
	assert_int_equal(f->paths[0].inflight_bytes, 300);
	assert_int_equal(sendq_path_lost(&f->q, &f->paths[1], BOTH), 0);
	assert_resent(f, 0, 3, (uint64_t[]){100, 300, 500});
	assert_int_equal(f->paths[0].inflight_bytes, 600);
}

/* The second path dies while some of the first one's still wait. */
static void two_losses_merge_lowest_offset_first(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 6; i++)
		push(f, i % 2, 100, false);
	sendq_path_lost(&f->q, &f->paths[1], BOTH);
	assert_int_equal(sendq_resend(&f->q, &f->paths[0], NOW)->offset, 100);
	sendq_path_lost(&f->q, &f->paths[0], BOTH);
	assert_resent(f, 1, 6, (uint64_t[]){0, 100, 200, 300, 400, 500});
}

static void what_is_acknowledged_is_not_sent_again(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 5; i++)
		push(f, 0, 100, false);
	sendq_path_lost(&f->q, &f->paths[0], BOTH);
	assert_int_equal(ack(f, 200, 300, 400), 0);
	assert_resent(f, 1, 2, (uint64_t[]){200, 400});
}

/* It cannot be told which copy was acknowledged. */
static void resent_bytes_give_no_sample(void **state)
{
	struct fixture *f = *state;

	push(f, 0, 100, false);
	sendq_path_lost(&f->q, &f->paths[0], BOTH);
	sendq_resend(&f->q, &f->paths[1], NOW);
	assert_int_equal(ack(f, 100, 0, 0), 0);
	assert_int_equal(f->paths[1].inflight_bytes, 0);
	assert_int_equal(f->paths[1].base_rtt_us, 0);
}

/* Who looks at a path looks at the oldest. */
static void what_returns_to_another_path_is_older_than_what_is_new_there(void **state)
{
	struct fixture *f = *state;
	struct segment *copied = push(f, 0, 100, false);

	segment_copy(copied, &f->paths[1], NOW);
	push(f, 0, 100, false)->sent_us = NOW + 1;
	sendq_path_lost(&f->q, &f->paths[1], BOTH);
	assert_ptr_equal(copied->path, &f->paths[0]);
	assert_ptr_equal(list_first(&f->paths[0].carried, struct segment, path_node), copied);
}

static void clearing_takes_all_off_the_paths(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 4; i++)
		push(f, i % 2, 100, false);
	sendq_path_lost(&f->q, &f->paths[1], BOTH);
	sendq_clear(&f->q, &f->budget);
	assert_true(sendq_is_acked(&f->q));
	assert_true(list_is_empty(&f->q.lost));
	assert_int_equal(f->paths[0].inflight_bytes, 0);
}

/* ---- FIN ---- */

static void fin_takes_one_offset(void **state)
{
	struct fixture *f = *state;

	push(f, 0, 100, true);
	assert_true(f->q.has_fin);
	assert_int_equal(f->q.next, 101);
	assert_int_equal(ack(f, 100, 0, 0), 0); /* the bytes, not the end */
	assert_false(sendq_is_acked(&f->q));
	assert_int_equal(f->paths[0].inflight_bytes, 0);
	assert_int_equal(ack(f, 101, 0, 0), 0);
	assert_true(sendq_is_acked(&f->q));
}

static void a_lone_fin_is_resent_like_bytes(void **state)
{
	struct fixture *f = *state;
	struct segment *s;

	push(f, 0, 100, false);
	push(f, 0, 0, true);
	assert_int_equal(f->paths[0].inflight_bytes, 100);
	assert_int_equal(ack(f, 100, 0, 0), 0);
	assert_int_equal(sendq_path_lost(&f->q, &f->paths[0], BOTH), 1);
	s = sendq_resend(&f->q, &f->paths[1], NOW);
	assert_true(s->is_fin);
	assert_int_equal(s->data.len, 0);
	assert_int_equal(ack(f, 101, 0, 0), 0);
	assert_true(sendq_is_acked(&f->q));
}

/* ---- lies ---- */

static void what_was_never_sent_cannot_be_acknowledged(void **state)
{
	struct fixture *f = *state;
	struct ack_info generous = {.credit = 5000000};

	push(f, 0, 100, false);
	assert_int_equal(ack(f, 101, 0, 0), -EPROTO);
	assert_int_equal(ack(f, 0, 50, 101), -EPROTO);
	assert_int_equal(sendq_on_ack(&f->q, &f->budget, 101, &generous, 0, NOW), -EPROTO);
	assert_int_equal(f->q.credit, 1000000);
	assert_int_equal(f->q.acked, 0);
	assert_int_equal(f->paths[0].inflight_bytes, 100);
	assert_int_equal(ack(f, 100, 0, 0), 0);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(segments_follow_each_other),
		test(an_ack_frees_what_is_below),
		test(what_was_sent_again_does_not_count_as_delivered),
		test(a_lone_message_that_was_late_makes_doubt),
		test(an_ack_in_the_middle_trims),
		test(an_old_ack_changes_nothing),
		test(credit_only_grows),
		test(ranges_free_whole_segments),
		test(several_ranges_at_once),
		test(a_lost_path_gives_its_segments_back_in_order),
		test(two_losses_merge_lowest_offset_first),
		test(what_is_acknowledged_is_not_sent_again),
		test(resent_bytes_give_no_sample),
		test(what_returns_to_another_path_is_older_than_what_is_new_there),
		test(clearing_takes_all_off_the_paths),
		test(fin_takes_one_offset),
		test(a_lone_fin_is_resent_like_bytes),
		test(what_was_never_sent_cannot_be_acknowledged),
	};

	return cmocka_run_group_tests_name("sendq", tests, NULL, NULL);
}
